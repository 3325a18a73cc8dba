"""The page of one document: its text with a passage marked, its facts, and the way to the original.

It holds no script. A document's text, title, fields and links are shown as characters, never followed or rendered.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from rag.records import Document, DocumentInfo
from ui.html import Html, escape, join, tag
from ui.icons import KIND_NAMES, icon, kind_icon
from ui.links import document_address, original_address
from ui.words import count, day

_PART = 200_000  # characters of text on one page, so that a book or a log opens at once
_FIELDS = 12


def render_source(
    document: Document, attachments: Sequence[DocumentInfo] = (), start: int | None = None, end: int | None = None
) -> Html:
    """The whole page. `start` and `end` are clamped to the text; without them the beginning is shown unmarked."""
    passage = clamp(document.text, start, end)
    body = join([_head(document), _facts(document, attachments), _text(document, passage)])
    return page(document.title, tag("main", tag("article", body, class_="document")))


def render_problem(title: str, words: str) -> Html:
    """A page that says why there is nothing to show."""
    return page(title, tag("main", tag("article", tag("h1", title), tag("p", words), class_="document")))


def page(title: str, body: Html) -> Html:
    """A page of its own, outside the application."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title} · Commonplace"),
        tag("link", rel="icon", href="/ui/icon.svg"),
        tag("link", rel="stylesheet", href="/ui/style.css"),
    )
    return Html(f"<!doctype html>{tag('html', head, tag('body', body, class_='source-page'), lang='en')}")


def clamp(text: str, start: int | None, end: int | None) -> tuple[int, int] | None:
    """The span inside `text`, or None where nothing is asked for."""
    if start is None or end is None:
        return None
    begin = min(max(start, 0), len(text))
    return begin, min(max(end, begin), len(text))


def _head(document: Document) -> Html:
    original = tag(
        "a",
        icon("open"),
        "Open the original",
        href=original_address(document.id),
        class_="plain",
        target="_blank",
        rel="noopener",
    )
    parent = document.parent and tag(
        "a", "The mail it came with", href=document_address(document.parent), class_="plain"
    )
    return tag(
        "header",
        tag("p", kind_icon(document.kind), tag("span", KIND_NAMES[document.kind]), tag("span", day(document.date))),
        tag("h1", document.title),
        tag("p", document.path, class_="where"),
        tag("p", original, parent, class_="actions"),
    )


def _facts(document: Document, attachments: Sequence[DocumentInfo]) -> Html:
    fields = [join([tag("dt", name), tag("dd", value)]) for name, value in document.fields[:_FIELDS] if value.strip()]
    if document.tags:
        fields.append(join([tag("dt", "tags"), tag("dd", ", ".join(document.tags))]))
    return join(
        [
            tag("dl", *fields, class_="fields") if fields else None,
            *(tag("p", icon("warning"), tag("span", words), class_="aside partly") for words in document.warnings),
            _attachments(attachments),
        ]
    )


def _attachments(attachments: Sequence[DocumentInfo]) -> Html | None:
    if not attachments:
        return None
    rows = (tag("li", kind_icon(a.kind), tag("a", a.title, href=document_address(a.id))) for a in attachments)
    return tag("section", tag("h2", count(len(attachments), "attachment")), tag("ul", *rows), class_="attachments")


# --- the text ----------------------------------------------------------------------------------------------------


def _text(document: Document, passage: tuple[int, int] | None) -> Html:
    """The text from its beginning, or the part of a long one around the passage, page by page."""
    if not document.text.strip():
        return tag("p", "This document holds no text that could be read.", class_="none")
    focus = passage[0] if passage else 0
    begin = 0 if len(document.text) <= _PART else max(0, min(focus - _PART // 2, len(document.text) - _PART))
    end = min(begin + _PART, len(document.text))
    pages = _pages(document, begin, end)
    sections = (_page(document, number, a, b, passage) for number, a, b in pages)
    return join(
        [_elsewhere(document, 0, begin, "Earlier"), *sections, _elsewhere(document, end, len(document.text), "Later")]
    )


def _pages(document: Document, begin: int, end: int) -> Iterator[tuple[int | None, int, int]]:
    """Page numbers with their spans inside `begin:end`; a document without pages is one stretch without a number."""
    if not document.pages:
        yield None, begin, end
    for numbered in document.pages:
        a, b = max(numbered.start, begin), min(numbered.end, end)
        if a < b:
            yield numbered.number, a, b


def _page(document: Document, number: int | None, start: int, end: int, passage: tuple[int, int] | None) -> Html:
    label = None
    if number is not None:
        link = tag("a", f"Page {number}", href=original_address(document.id, number), target="_blank", rel="noopener")
        label = tag("h2", link, class_="page-number")
    return tag("section", label, tag("div", *_pieces(document, start, end, passage), class_="text"), class_="page")


def _pieces(document: Document, start: int, end: int, passage: tuple[int, int] | None) -> Iterator[Html]:
    """`text[start:end]` cut where a heading or the passage begins or ends, each piece dressed as what it is."""
    headings = [(h.start, _line_end(document.text, h.start)) for h in document.headings if start <= h.start < end]
    marked = [passage] if passage else []
    cuts = {start, end, *(at for span in (*headings, *marked) for at in span if start < at < end)}
    for a, b in pairwise(sorted(cuts)):
        piece: Html = escape(document.text[a:b])
        if passage and passage[0] <= a < passage[1]:
            piece = tag("mark", piece, id="passage" if a == passage[0] else None)
        if any(h[0] <= a < h[1] for h in headings):
            piece = tag("strong", piece, class_="heading")
        yield piece


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _elsewhere(document: Document, start: int, end: int, words: str) -> Html | None:
    """A link to the part of a long text that is not on this page."""
    if start >= end:
        return None
    at = max(0, end - _PART // 2) if words == "Earlier" else start
    link = tag("a", f"{words}: {end - start:,} more characters", href=document_address(document.id, at, at))
    return tag("p", link, class_="elsewhere")
