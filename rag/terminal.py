"""How results look to a person at a terminal: standard output for results, standard error for all that is not."""

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from rag.records import (
    AddReport,
    Answer,
    Chunk,
    Document,
    DocumentInfo,
    FoundBy,
    Picture,
    SearchResult,
    Status,
    Support,
)
from rag.text import one_line, visible

_UNBROKEN = 1000  # columns where there is no terminal: a path broken over two lines is no use to another program
_SHOWN = 300  # characters of a hit's text
_SENTENCE = 160  # and of a sentence that the sources do not bear out
_DOUBTS: dict[Support, str] = {
    "partly": "[dim]only partly supported by the sources:[/dim]",
    "unsupported": "[yellow]not supported by the sources:[/yellow]",
}
_STEERS = re.compile(r"[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # what JSON lets through and a terminal may obey


class Terminal(Console):
    """A console on which no text moves the cursor, changes colours or rings: escape sequences are left out of it."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)


out = Terminal(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _UNBROKEN)
err = Terminal(highlight=False, stderr=True, width=None if sys.stderr.isatty() else _UNBROKEN)


def print_report(report: AddReport, status: Status) -> None:
    """What `add` did, problems first, and which pictures there are to be looked at now."""
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
    out.print(f"{counted(report.chunks, 'chunk')} in {report.seconds:.1f} s")
    if status.pictures:
        out.print(f"The library has {pictures_of(status)}.")


def print_status(status: Status) -> None:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(status.kinds.items())) or "nothing yet"
    out.print(f"{counted(status.documents, 'document')} ({kinds}), {counted(status.chunks, 'chunk')}", end="")
    out.print(f", {pictures_of(status)} in {escape(status.home)}")
    for model in status.models:
        where = f"on {model.device} ({model.precision}; {model.reason})" if model.loaded else "(loaded at first use)"
        out.print(f"{model.role}: {escape(model.name)} {where}")


def pictures_of(status: Status) -> str:
    """How many pictures there are, and how many are found by their words alone."""
    if not status.unseen:
        return counted(status.pictures, "picture")
    unseen = "none" if status.unseen == status.pictures else f"all but {status.unseen}"
    return f"{counted(status.pictures, 'picture')}, {unseen} of them found by what they look like"


def print_hits(result: SearchResult) -> None:
    for note in result.notes:
        err.print(f"[yellow]note[/yellow]  {escape(note)}")
    for hit in result.hits:
        chunk = hit.chunk
        found = " · ".join(_found(by) for by in hit.found_by)
        out.print(f"[bold]{hit.rank}. {_heading(chunk)}[/bold]  [dim]{hit.score:.3f}  {found}[/dim]")
        out.print(f"[dim]{escape(chunk.path)}[/dim]")
        for other in hit.also:
            out.print(f"[dim]the same picture: {escape(other.path)}[/dim]")
        out.print(escape(" ".join(f"{chunk.caption} {chunk.text}".split())[:_SHOWN]) + "\n")
    if not result.hits:
        err.print("Nothing in your library matches this.")


def print_sources(answer: Answer) -> None:
    """The sources of an answer that was printed as it came, and first which of its sentences they do not support."""
    cited = {citation.number for citation in answer.citations}
    out.print()
    for sentence in answer.sentences:
        if words := _DOUBTS.get(sentence.support):
            quoted = escape(one_line(answer.text[sentence.start : sentence.end], _SENTENCE))
            out.print(f"{words} {quoted} [dim]({escape('; '.join(sentence.reasons))})[/dim]")
    for passage in answer.passages:
        chunk = passage.hit.chunk
        mark = "bold" if passage.number in cited else "dim"
        out.print(f"[{mark}]\\[{passage.number}] {_heading(chunk)}[/{mark}]  [dim]{escape(chunk.path)}[/dim]")
    seconds = sum(answer.ms.values()) / 1000
    err.print(f"[dim]{answer.model or 'no language model'} · {answer.tokens} tokens · {seconds:.1f} s[/dim]")


def print_documents(documents: Sequence[DocumentInfo]) -> None:
    table = Table("id", "kind", "title", "pages", "chunks", "date", box=None, header_style="bold")
    table.add_column("path", overflow="fold")
    for info in documents:
        date = info.date.date().isoformat() if info.date else ""
        pages = str(info.pages or "")
        table.add_row(info.id[:8], info.kind, escape(info.title), pages, str(info.chunks), date, escape(info.path))
    out.print(table)


def print_document(document: Document) -> None:
    """Facts and pictures to standard error, the text to standard output."""
    facts = {"path": document.path, "kind": document.kind, "language": document.language, "date": document.date}
    err.print(f"[bold]{escape(document.title)}[/bold]")
    for key, value in (facts | dict(document.fields)).items():
        err.print(f"[dim]{escape(key)}: {escape(str(value))}[/dim]")
    for picture in document.pictures:
        err.print(f"[dim]{escape(_described(picture))}[/dim]")
    out.print(document.text, markup=False)


def print_json(value: object) -> None:
    """One JSON document on standard output, as bytes: a console in another encoding must not break a name or a text."""

    def plain(item: Any) -> object:
        return item.isoformat() if hasattr(item, "isoformat") else str(item)

    text = _STEERS.sub(_escaped, json.dumps(value, ensure_ascii=False, default=plain))
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape") + b"\n")
    sys.stdout.flush()


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _heading(chunk: Chunk) -> str:
    page = f", p. {chunk.page}" if chunk.page else ""
    picture = f", picture {chunk.picture}" if chunk.modality == "image" else ""
    return f"{escape(chunk.title)}{page}{picture}"


def _found(by: FoundBy) -> str:
    """`image 1 (chance .001)`: which list, which rank, and how many would score as high without being meant."""
    chance = "" if by.chance is None else f" (chance {by.chance:.2g})"
    return f"{by.retriever} {by.rank}{chance}"


def _described(picture: Picture) -> str:
    page = f" on page {picture.page}" if picture.page else ""
    caption = f": {picture.caption}" if picture.caption else ""
    words = f" ({counted(len(picture.lines), 'line')} of text in it)" if picture.lines else ""
    shown = f" shown from {picture.path}" if picture.path else ""
    return f"picture {picture.number}{page}, {picture.width} x {picture.height} pixels{shown}{caption}{words}"
