"""The first screen: what is in the library, three questions that it can really answer, and where to drop files."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from rag.records import Document, DocumentInfo, Kind, Status
from ui.html import Html, tag
from ui.icons import icon
from ui.words import count

ACCEPTS = (
    "Markdown, text, HTML, PDF, e-mail and pictures (.md .txt .html .pdf .eml .jpg .png .webp .gif .tif .heic .svg …)"
)
SAMPLE = Path(__file__).resolve().parent.parent / "corpus"
_WANTED = 3
_LOOKED_AT = 24  # documents whose headings are read to make questions
_PLURALS: dict[Kind, tuple[str, str]] = {
    "note": ("note", "notes"),
    "text": ("text file", "text files"),
    "web": ("web page", "web pages"),
    "pdf": ("PDF", "PDFs"),
    "mail": ("mail", "mails"),
    "image": ("picture file", "picture files"),
}


class Shelf(Protocol):
    """What the first screen reads from the library."""

    def documents(self, text: str = "", kinds: Sequence[Kind] = ()) -> list[DocumentInfo]: ...
    def document(self, document: str) -> Document: ...


def render_welcome(status: Status, questions: Sequence[str]) -> Html:
    """Shown while a conversation has no turn yet."""
    if not status.documents:
        return tag(
            "section",
            tag("h1", "Your library is empty"),
            tag("p", "Give it something to read. What you add is read on this machine and stays on it.", class_="lede"),
            drop_zone(),
            class_="welcome",
        )
    asks = [tag("li", tag("button", q, type="button", class_="starter", data_do="ask", data_text=q)) for q in questions]
    return tag(
        "section",
        tag("h1", "What would you like to find again?"),
        tag("p", contents(status), class_="lede"),
        tag("ul", *asks, class_="starters", aria_label="Questions to begin with") if asks else None,
        drop_zone(),
        class_="welcome",
    )


def contents(status: Status) -> str:
    """`38 documents in 412 passages: 20 notes, 6 PDFs, 12 mails.`"""
    kinds = [count(n, *_PLURALS[kind]) for kind, n in sorted(status.kinds.items()) if n and kind in _PLURALS]
    listed = f": {', '.join(kinds)}" if kinds else ""
    return f"{count(status.documents, 'document')} in {count(status.chunks, 'passage')}{listed}."


def drop_zone() -> Html:
    """A button that takes files by click, by key and by dropping; the page's script does the rest."""
    return tag(
        "button",
        icon("tray"),
        tag("span", tag("strong", "Drop files here"), " or choose them", class_="drop-words"),
        tag("span", ACCEPTS, class_="drop-accepts"),
        type="button",
        class_="drop-zone",
        data_do="choose",
    )


def first_questions(shelf: Shelf) -> list[str]:
    """Three questions: those of the sample collection where it is indexed, else made from headings and titles."""
    documents = [info for info in shelf.documents() if info.chunks]
    featured = list(_featured({info.path for info in documents}))
    written = [info for info in documents if info.kind != "image"] or documents
    made = (question for question in _made(shelf, written[:_LOOKED_AT]) if question not in featured)
    while len(featured) < _WANTED:
        question = next(made, None)
        if question is None:
            break
        featured.append(question)
    return featured[:_WANTED]


def _featured(indexed: set[str]) -> Iterator[str]:
    """The sample's own featured questions whose source is really indexed."""
    listing = SAMPLE / "questions.jsonl"
    if not listing.is_file():
        return
    for line in listing.read_text(encoding="utf-8").splitlines():
        row = json.loads(line) if line.strip() else {}
        if row.get("featured") and str(SAMPLE / str(row.get("source"))) in indexed:
            yield str(row["question"])


def _made(shelf: Shelf, documents: Sequence[DocumentInfo]) -> Iterator[str]:
    """One question per document: about its first telling heading, else about its title."""
    for info in documents:
        headings = (heading.text.strip() for heading in shelf.document(info.id).headings)
        heading = next((text for text in headings if text != info.title and 3 < len(text) < 60), None)
        yield f"What does “{info.title}” say about “{heading}”?" if heading else f"What is “{info.title}” about?"
