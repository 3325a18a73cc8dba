"""The command line. Results go to standard output, progress and logs to standard error.

Exit status: 0 all of it worked, 1 some of it failed and was reported, 2 the call was wrong.
"""

import dataclasses
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from rag import cli_index, cli_lab, cli_mcp, cli_models, cli_moving, cli_tune, json_forms, terminal
from rag.build import open_library
from rag.config import load_settings
from rag.errors import ConfigError, DocumentNotFound, InvalidQuery, RagError, UnreadableFile
from rag.filters import Filter, In, both, parse
from rag.library import Library
from rag.progress import progress_bar, stoppable
from rag.records import Audience, Delta, Done, Kind, Modality, Retrieved
from rag.terminal import err, out

app = typer.Typer(
    name="rag",
    help="Commonplace: private answers from your own notes, PDFs, mails and pictures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Where = Annotated[
    str, typer.Option("--where", help="Filter, e.g. 'kind:pdf tag:work folder:~/notes after:2024-01-31 -language:de'.")
]
Image = Annotated[Path | None, typer.Option("--image", help="A picture to search with.", show_default=False)]
OnlyModality = Annotated[Modality | None, typer.Option("--kind", help="Only passages of text, or only pictures.")]


_CHUNK_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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
    with _library() as library, stoppable(err) as stop, progress_bar(err) as show:
        report = library.add(paths, prune=prune, on_progress=show, stop=stop)
        status = library.status()
    if as_json:
        terminal.print_json(json_forms.add_json(report, status))
    else:
        terminal.print_report(report, status)
    if report.failed or stop.is_set():
        raise typer.Exit(1)


@app.command()
def search(
    query: Annotated[str, typer.Argument(metavar="[TEXT]", help="What to look for.", show_default=False)] = "",
    image: Image = None,
    like: Annotated[
        str, typer.Option(help="More like this picture: the chunk of a hit, or the id or path of a document.")
    ] = "",
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many hits.")] = 10,
    kind: OnlyModality = None,
    where: Where = "",
    as_json: AsJson = False,
) -> None:
    """The ranked list of passages and pictures for words, for a picture, or for both."""
    with _library() as library, _shown(image, library) as picture:
        origin = _chunk_or_document(like, library)
        filtered, audience = _filter(where, kind), _audience(as_json)
        result = library.search(query, picture=picture, like=origin, k=k, where=filtered, audience=audience)
    if as_json:
        terminal.print_json(json_forms.search_json(result))
    else:
        terminal.print_hits(result)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="A question in your own words.")],
    image: Image = None,
    where: Where = "",
    as_json: AsJson = False,
) -> None:
    """An answer from the local model, streamed, with its sources."""
    with _library() as library, stoppable(err) as stop, _shown(image, library) as picture:
        answer = None
        filtered, audience = _filter(where, None), _audience(as_json)
        for event in library.ask(question, picture=picture, where=filtered, stop=stop, audience=audience):
            if isinstance(event, Delta) and not as_json:
                out.print(event.text, end="", markup=False)
            elif isinstance(event, Retrieved) and not as_json:
                err.print(f"[dim]reading {len(event.passages)} sources…[/dim]")
            elif isinstance(event, Done):
                answer = event.answer
    if answer is None:
        raise typer.Exit(1)
    if as_json:
        terminal.print_json(json_forms.answer_json(answer))
    else:
        terminal.print_sources(answer)


@app.command("list")
def list_documents(
    text: Annotated[str, typer.Argument(help="Only titles and paths that contain this.")] = "",
    kind: Annotated[Kind | None, typer.Option(help="Only documents of this kind.")] = None,
    as_json: AsJson = False,
) -> None:
    """The documents in the library."""
    with _library() as library:
        documents = library.documents(text, (kind,) if kind else ())
    if as_json:
        terminal.print_json([dataclasses.asdict(info) for info in documents])
        return
    if documents:
        terminal.print_documents(documents)
    elif text or kind:
        out.print("No document matches this.")
    else:
        out.print("The library is empty. Add something: rag add ~/notes")


@app.command()
def show(
    document: Annotated[str, typer.Argument(help="Id, beginning of an id, or path.")], as_json: AsJson = False
) -> None:
    """A document as it was read: its facts, its pictures and its text."""
    with _library() as library:
        found = library.document(library.resolve(document))
    if as_json:
        terminal.print_json(json_forms.document_json(found))
    else:
        terminal.print_document(found)


@app.command()
def look(as_json: AsJson = False) -> None:
    """Look at the pictures that no image embedder has seen yet: after one was installed, or after an interruption."""
    with _library() as library, stoppable(err) as stop, progress_bar(err, "pictures") as show_progress:
        seen = library.look(on_progress=show_progress, stop=stop)
        status = library.status()
    if as_json:
        terminal.print_json({"seen": seen, "pictures": status.pictures, "unseen": status.unseen})
    else:
        out.print(f"Looked at {terminal.counted(seen, 'picture')}. The library has {terminal.pictures_of(status)}.")


@app.command()
def remove(
    documents: Annotated[list[str], typer.Argument(help="Ids, beginnings of ids, or paths.")], as_json: AsJson = False
) -> None:
    """Take documents out of the library. The files themselves are not touched."""
    with _library() as library:
        removed = library.remove([library.resolve(document) for document in documents])
    if as_json:
        terminal.print_json({"removed": removed})
    else:
        out.print(f"Removed {terminal.counted(removed, 'document')}.")


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Check that the catalogue, the index and the documents agree."""
    with _library() as library:
        report = library.verify()
    if as_json:
        terminal.print_json(dataclasses.asdict(report))
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
        terminal.print_json(dataclasses.asdict(found))
    else:
        terminal.print_status(found)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 picks a free one [default: 7860].")] = None,
    sample: Annotated[Path | None, typer.Option(help="Index this folder first if the library is empty.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Open the chat in a browser, with the API for programs beside it. Only this machine can reach it, without a token.

    Programs find an OpenAI-style API at /v1, searches and documents at /api, and MCP tools at /mcp. To listen beyond
    this machine set api_token (RAG_API_TOKEN); the browser asks for it then.
    """
    with _library(host=host, port=port) as library:
        if sample is not None and not library.status().documents:
            err.print(f"The library is empty: adding the sample collection in {escape(str(sample))}")
            with progress_bar(err) as show_progress:
                report = library.add([sample], on_progress=show_progress)
            terminal.print_report(report, library.status())
        from ui.app import serve as serve_ui  # gradio takes seconds to import: only this command pays

        serve_ui(library, open_browser=browser)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """The truth about this machine: models, device, memory, speed, and what to change."""
    from rag.models.doctor import examine  # loads torch and both models

    with _library() as library:
        checks = examine(library.settings, *library.models(), library.image_embedder)
    if as_json:
        terminal.print_json([dataclasses.asdict(check) for check in checks])
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
def _shown(file: Path | None, library: Library) -> Iterator[bytes | None]:
    """The bytes of the picture that is asked with. What cannot be read or decoded is a wrong call that names it."""
    if file is None:
        yield None
        return
    try:
        if not file.is_file():
            raise InvalidQuery(f"there is no picture {str(file)!r}; give the path of a file")
        if file.stat().st_size > library.settings.max_file_mb << 20:
            raise InvalidQuery(f"the picture {str(file)!r} is larger than {library.settings.max_file_mb} MiB")
        data = file.read_bytes()
    except OSError as exc:
        raise InvalidQuery(f"cannot read the picture {str(file)!r}: {exc.strerror}") from exc
    try:
        yield data
    except UnreadableFile as exc:
        raise InvalidQuery(f"cannot use the picture {str(file)!r}: {exc.reason}") from exc


def _chunk_or_document(reference: str, library: Library) -> str:
    """The id of a chunk as it is; else that of the document which `reference` names, if it names any."""
    return library.resolve(reference) if reference and not _CHUNK_ID.fullmatch(reference) else reference


def _audience(as_json: bool) -> Audience:
    """JSON is read by programs, and a person sees what they make of it."""
    return "program" if as_json else "person"


def _filter(where: str, modality: Modality | None) -> Filter | None:
    return both(parse(where), In("modality", (modality,)) if modality else None)


cli_index.register(app)
cli_lab.register(app)
cli_mcp.register(app)
cli_moving.register(app)
cli_models.register(app)
cli_tune.register(app)


if __name__ == "__main__":
    main()
