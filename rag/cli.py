"""The command line. Results go to standard output, progress and logs to standard error.

Exit status: 0 all of it worked, 1 some of it failed and was reported, 2 the call was wrong.
"""

import dataclasses
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rag import json_forms
from rag.build import open_library
from rag.config import load_settings
from rag.errors import ConfigError, DocumentNotFound, InvalidQuery, RagError
from rag.filters import Filter, In, both, parse
from rag.library import Library
from rag.progress import progress_bar
from rag.records import (
    AddReport,
    Answer,
    Delta,
    Done,
    Hit,
    Modality,
    Retrieved,
)

app = typer.Typer(
    name="rag",
    help="Commonplace: private answers from your own notes, PDFs and mails.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_UNBROKEN = 1000  # columns where there is no terminal: a path broken over two lines is no use to another program

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _UNBROKEN)
err = Console(highlight=False, stderr=True, width=None if sys.stderr.isatty() else _UNBROKEN)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Where = Annotated[
    str, typer.Option("--where", help="Filter, e.g. 'kind:pdf tag:work folder:~/notes after:2024-01-31 -language:de'.")
]
OnlyModality = Annotated[Modality | None, typer.Option("--kind", help="Only passages of text, or only pictures.")]


def main() -> None:
    """Run the command line; our own errors become one line and an exit status."""
    try:
        app()
    except RagError as exc:
        err.print(f"[red]error:[/red] {escape(str(exc))}")
        sys.exit(2 if isinstance(exc, ConfigError | InvalidQuery | DocumentNotFound) else 1)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; Python would complain again at exit
        sys.exit(1)


@app.command()
def add(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.")],
    prune: Annotated[bool, typer.Option(help="Remove documents whose files are gone from these folders.")] = False,
    as_json: AsJson = False,
) -> None:
    """Index files and folders. Unchanged files are skipped; a broken file costs one line of the report."""
    with _library() as library, _stoppable() as stop, progress_bar(err) as show:
        report = library.add(paths, prune=prune, on_progress=show, stop=stop)
    if as_json:
        _print_json(json_forms.add_json(report))
    else:
        _print_report(report)
    if report.failed or stop.is_set():
        raise typer.Exit(1)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many hits.")] = 10,
    kind: OnlyModality = None,
    where: Where = "",
    as_json: AsJson = False,
) -> None:
    """The ranked list of passages for a query."""
    with _library() as library:
        result = library.search(query, k=k, where=_filter(where, kind))
    if as_json:
        _print_json(json_forms.search_json(result))
        return
    for hit in result.hits:
        _print_hit(hit)
    if not result.hits:
        err.print("Nothing in your library matches this.")


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="A question in your own words.")],
    where: Where = "",
    as_json: AsJson = False,
) -> None:
    """An answer from the local model, streamed, with its sources."""
    with _library() as library, _stoppable() as stop:
        answer = None
        for event in library.ask(question, where=_filter(where, None), stop=stop):
            if isinstance(event, Delta) and not as_json:
                out.print(event.text, end="", markup=False)
            elif isinstance(event, Retrieved) and not as_json:
                err.print(f"[dim]reading {len(event.passages)} sources…[/dim]")
            elif isinstance(event, Done):
                answer = event.answer
    if answer is None:
        raise typer.Exit(1)
    if as_json:
        _print_json(json_forms.answer_json(answer))
    else:
        _print_sources(answer)


@app.command("list")
def list_documents(
    text: Annotated[str, typer.Argument(help="Only titles and paths that contain this.")] = "",
    as_json: AsJson = False,
) -> None:
    """The documents in the library."""
    with _library() as library:
        documents = library.documents(text)
    if as_json:
        _print_json([dataclasses.asdict(info) for info in documents])
        return
    table = Table("id", "kind", "title", "pages", "chunks", "date", box=None, header_style="bold")
    table.add_column("path", overflow="fold")
    for info in documents:
        date = info.date.date().isoformat() if info.date else ""
        pages = str(info.pages or "")
        table.add_row(info.id[:8], info.kind, escape(info.title), pages, str(info.chunks), date, escape(info.path))
    out.print(table if documents else "The library is empty. Add something: rag add ~/notes")


@app.command()
def show(
    document: Annotated[str, typer.Argument(help="Id, beginning of an id, or path.")], as_json: AsJson = False
) -> None:
    """A document as it was read: its facts and its text."""
    with _library() as library:
        found = library.document(library.resolve(document))
    if as_json:
        facts = {key: value for key, value in dataclasses.asdict(found).items() if key != "attachments"}
        _print_json(facts)
        return
    facts_of = {
        "path": found.path,
        "kind": found.kind,
        "language": found.language,
        "date": found.date,
        **dict(found.fields),
    }
    err.print(f"[bold]{escape(found.title)}[/bold]")
    for key, value in facts_of.items():
        err.print(f"[dim]{escape(key)}: {escape(str(value))}[/dim]")
    out.print(found.text, markup=False)


@app.command()
def remove(
    documents: Annotated[list[str], typer.Argument(help="Ids, beginnings of ids, or paths.")], as_json: AsJson = False
) -> None:
    """Take documents out of the library. The files themselves are not touched."""
    with _library() as library:
        removed = library.remove([library.resolve(document) for document in documents])
    if as_json:
        _print_json({"removed": removed})
    else:
        out.print(f"Removed {removed} {_plural('document', removed)}.")


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Check that the catalogue, the index and the documents agree."""
    with _library() as library:
        report = library.verify()
    if as_json:
        _print_json(dataclasses.asdict(report))
    else:
        for problem in report.problems:
            out.print(escape(problem))
        state = "sound" if not report.problems else f"{len(report.problems)} problems"
        out.print(f"{report.documents} documents, {report.chunks} chunks: {state}.")
    if report.problems:
        raise typer.Exit(1)


@app.command()
def status(as_json: AsJson = False) -> None:
    """What is in the library and which models serve it."""
    with _library() as library:
        found = library.status()
    if as_json:
        _print_json(dataclasses.asdict(found))
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found.kinds.items())) or "nothing yet"
    out.print(f"{found.documents} documents ({kinds}), {found.chunks} chunks in {escape(found.home)}")
    for model in found.models:
        where = f"on {model.device} ({model.precision}; {model.reason})" if model.loaded else "(loaded at first use)"
        out.print(f"{model.role}: {escape(model.name)} {where}")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 picks a free one [default: 7860].")] = None,
    sample: Annotated[Path | None, typer.Option(help="Index this folder first if the library is empty.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Open the chat in a browser. Only this machine can reach it."""
    with _library(host=host, port=port) as library:
        if sample is not None and not library.status().documents:
            err.print(f"The library is empty: adding the sample collection in {escape(str(sample))}")
            with progress_bar(err) as show_progress:
                _print_report(library.add([sample], on_progress=show_progress))
        from ui.app import serve as serve_ui  # gradio takes seconds to import: only this command pays

        serve_ui(library, open_browser=browser)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """The truth about this machine: models, device, memory, speed, and what to change."""
    from rag.models.doctor import examine  # loads torch and both models

    with _library() as library:
        checks = examine(library.settings.home, *library.models())
    if as_json:
        _print_json([dataclasses.asdict(check) for check in checks])
    else:
        table = Table("", "check", "finding", "what to do", box=None, header_style="bold")
        for check in checks:
            mark = "[green]ok[/green]" if check.ok else "[red]no[/red]"
            table.add_row(mark, escape(check.name), escape(check.finding), escape(check.remedy))
        out.print(table)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


# --- helpers ---


@contextmanager
def _library(**chosen: Any) -> Iterator[Library]:
    library = open_library(load_settings(**chosen))
    try:
        yield library
    finally:
        library.close()


@contextmanager
def _stoppable() -> Iterator[Event]:
    """The first Ctrl-C asks for an orderly end, the second one kills."""
    stop = Event()

    def first(*_: object) -> None:
        err.print("[yellow]stopping after what is in work; press Ctrl-C again to end at once[/yellow]")
        signal.signal(signal.SIGINT, before)
        stop.set()

    before = signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _filter(where: str, modality: Modality | None) -> Filter | None:
    return both(parse(where), In("modality", (modality,)) if modality else None)


def _print_json(value: object) -> None:
    def plain(item: Any) -> object:
        return item.isoformat() if hasattr(item, "isoformat") else str(item)

    # Written as bytes: a console in another encoding must not break a name or a text.
    text = json.dumps(value, ensure_ascii=False, default=plain)
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape") + b"\n")
    sys.stdout.flush()


def _print_report(report: AddReport) -> None:
    for path in report.vanished:
        err.print(f"[yellow]gone[/yellow]  {escape(path)} (still indexed; --prune removes it)")
    for note in report.warnings:
        err.print(f"[yellow]note[/yellow]  {escape(note.path)}: {escape(note.error)}")
    for failure in report.failed:
        err.print(f"[red]failed[/red]  {escape(failure.path)}: {escape(failure.error)}")
    counts = {
        "added": len(report.added),
        "updated": len(report.updated),
        "unchanged": len(report.unchanged),
        "removed": len(report.removed),
        "skipped (no reader for this kind)": len(report.skipped),
        "failed": len(report.failed),
    }
    table = Table(box=None, show_header=False)
    for name, count in counts.items():
        if count or name == "added":
            table.add_row(name, str(count))
    out.print(table)
    out.print(f"{report.chunks} {_plural('chunk', report.chunks)} in {report.seconds:.1f} s")


def _print_hit(hit: Hit) -> None:
    chunk = hit.chunk
    page = f", p. {chunk.page}" if chunk.page else ""
    found = " · ".join(f"{by.retriever} {by.rank}" for by in hit.found_by)
    out.print(f"[bold]{hit.rank}. {escape(chunk.title)}[/bold]{page}  [dim]{hit.score:.3f}  {found}[/dim]")
    out.print(f"[dim]{escape(chunk.path)}[/dim]")
    out.print(escape(" ".join(chunk.text.split())[:300]) + "\n")


def _print_sources(answer: Answer) -> None:
    cited = {citation.number for citation in answer.citations}
    out.print()
    for passage in answer.passages:
        chunk = passage.hit.chunk
        page = f", p. {chunk.page}" if chunk.page else ""
        mark = "bold" if passage.number in cited else "dim"
        out.print(f"[{mark}]\\[{passage.number}] {escape(chunk.title)}{page}[/{mark}]  [dim]{escape(chunk.path)}[/dim]")
    seconds = sum(answer.ms.values()) / 1000
    err.print(f"[dim]{answer.model or 'no language model'} · {answer.tokens} tokens · {seconds:.1f} s[/dim]")


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"


if __name__ == "__main__":
    main()
