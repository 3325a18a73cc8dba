"""The page of one document: its text with a passage marked, its pictures in their places, and the way to the original.

It holds no script. A document's text, title, fields and links are shown as characters, never followed or rendered.
"""

import re
from collections.abc import Iterator, Sequence

from rag.records import Document, DocumentInfo, Page, Picture
from rag.text import one_line
from ui.figures import Span, framed, framed_page, name_of, touches
from ui.html import Html, join, tag
from ui.icons import KIND_NAMES, icon, kind_icon
from ui.links import document_address, original_address, picture_address
from ui.passage import clamp, pieces
from ui.picture_page import render_picture
from ui.words import count, day

_PART = 200_000  # characters of text on one page, so that a book or a log opens at once
_FIELDS = 12
_FIGURE_WIDTH, _FIGURE_HEIGHT = 640, 400
_CAPTION = 200
_MARK = re.compile(r"!\[\[[^\]\n]*\]\]|!\[[^\]\n]*\]\([^)\n]*\)")  # how a note shows a picture
_READ = 600  # characters of what was read in a picture that are shown under it


def render_source(
    document: Document,
    attachments: Sequence[DocumentInfo] = (),
    start: int | None = None,
    end: int | None = None,
    *,
    picture: int | None = None,
    chunk: str = "",
) -> Html:
    """The whole page: of the document, or of its picture number `picture`. A picture file is its picture.

    `start` and `end` are clamped to the text; without them the beginning is shown unmarked. `chunk` is the id of the
    picture's chunk, where it is known.
    """
    passage = clamp(document.text, start, end)
    alone = 1 if document.kind == "image" and len(document.pictures) == 1 else None
    chosen = next((p for p in document.pictures if p.number == (picture or alone)), None)
    if chosen is not None:
        body = render_picture(document, chosen, passage, chunk)
        return page(name_of(document, chosen), tag("main", body, class_="wide"))
    wide = any(_is_drawn(document, numbered) for numbered in document.pages)
    body = join([_head(document), _facts(document, attachments), _text(document, passage)])
    return page(document.title, tag("main", tag("article", body, class_="document"), class_="wide" if wide else None))


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
        tag("link", rel="stylesheet", href="/ui/pictures.css"),
    )
    return Html(f"<!doctype html>{tag('html', head, tag('body', body, class_='source-page'), lang='en')}")


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


def _text(document: Document, passage: Span | None) -> Html:
    """The text from its beginning, or the part of a long one around the passage, page by page."""
    if not document.text.strip() and not document.pictures:
        return tag("p", "This document holds no text that could be read.", class_="none")
    focus = passage[0] if passage else 0
    begin = 0 if len(document.text) <= _PART else max(0, min(focus - _PART // 2, len(document.text) - _PART))
    end = min(begin + _PART, len(document.text))
    sections = (_section(document, numbered, a, b, passage) for numbered, a, b in _stretches(document, begin, end))
    return join(
        [_elsewhere(document, 0, begin, "Earlier"), *sections, _elsewhere(document, end, len(document.text), "Later")]
    )


def _stretches(document: Document, begin: int, end: int) -> Iterator[tuple[Page | None, int, int]]:
    """Pages with their spans inside `begin:end`; what lies before, between and behind them has no page."""
    at = begin
    for numbered in document.pages:
        a, b = max(numbered.start, begin), min(numbered.end, end)
        if a < b or (_is_drawn(document, numbered) and begin <= a <= end):
            yield from [(None, at, a)] if document.text[at:a].strip() else []
            yield numbered, a, max(a, b)
            at = max(at, b)
    if not document.pages or document.text[at:end].strip():
        yield None, at, end


def _is_drawn(document: Document, numbered: Page) -> bool:
    """Whether a page is shown as it looks beside its text: one of a PDF that was read from pixels, or has figures."""
    if document.kind != "pdf":  # a page of a picture file is its picture
        return False
    return bool(numbered.lines) or any(picture.page == numbered.number for picture in document.pictures)


def _section(document: Document, numbered: Page | None, start: int, end: int, passage: Span | None) -> Html | None:
    shown = sorted(
        (min(max(picture.at, start), end), picture.number, picture)
        for picture in document.pictures
        if _stands_in(document, picture, numbered, start, end)
    )
    flow = list(_flow(document, start, end, [(at, picture) for at, _, picture in shown], passage))
    if numbered is None:
        return tag("section", *flow, class_="page") if flow else None
    address = original_address(document.id, numbered.number)
    link = tag("a", f"Page {numbered.number}", href=address, target="_blank", rel="noopener")
    label = tag("h2", link, class_="page-number")
    if not _is_drawn(document, numbered):
        return tag("section", label, *flow, class_="page")
    drawn = tag("div", framed_page(document, numbered, passage), class_="shown")
    return tag("section", label, tag("div", drawn, tag("div", *flow, class_="beside"), class_="spread"), class_="page")


def _stands_in(document: Document, picture: Picture, numbered: Page | None, start: int, end: int) -> bool:
    if numbered is not None or picture.page is not None:
        return numbered is not None and picture.page == numbered.number
    return start <= picture.at < end or picture.at == end == len(document.text)


def _flow(
    document: Document, start: int, end: int, shown: Sequence[tuple[int, Picture]], passage: Span | None
) -> Iterator[Html]:
    """The text of a stretch with each picture where it is shown."""
    for at, picture in shown:
        yield from _writing(document, start, at, passage)
        yield _shown(document, picture, passage)
        start = max(start, at)
    yield from _writing(document, start, end, passage)


def _writing(document: Document, start: int, end: int, passage: Span | None) -> Iterator[Html]:
    """The text of a stretch without what pictures stand for: the words read in them, and the mark that shows them."""
    for a, b in [*_pictured(document), (end, end)]:
        first, last = _trimmed(document.text, start, min(a, end)) if document.pictures else (start, min(a, end))
        if first < last:
            yield tag("div", *pieces(document, first, last, passage), class_="text")
        start = max(start, b)


def _trimmed(text: str, start: int, end: int) -> Span:
    """The span without white space at its ends: beside a picture it would be a gap."""
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())


def _pictured(document: Document) -> list[Span]:
    marks = (_MARK.match(document.text, picture.at) for picture in document.pictures)
    read = [(picture.start, picture.end) for picture in document.pictures if picture.start < picture.end]
    return sorted([*read, *(mark.span() for mark in marks if mark)])


def _shown(document: Document, picture: Picture, passage: Span | None) -> Html:
    """A picture in its place, with its caption and the words that were read in it as its legend."""
    address = picture_address(document.id, picture.number, *(passage or (None, None)))
    caption = one_line(picture.caption, _CAPTION) or name_of(document, picture)
    read = document.text[picture.start : picture.end].strip()
    marked = touches((picture.start, picture.end), passage)
    last = picture.end if marked else min(picture.end, picture.start + _READ)
    said = [*pieces(document, picture.start, last, passage), " …" if last < picture.end else ""]
    return tag(
        "figure",
        framed(document, picture, passage, _FIGURE_WIDTH, _FIGURE_HEIGHT),
        tag(
            "figcaption",
            tag("p", tag("a", caption, href=address), dir="auto"),
            tag("p", *said, class_="read", dir="auto") if read else None,
        ),
        class_="shown-here",
        id=f"picture-{picture.number}",
    )


def _elsewhere(document: Document, start: int, end: int, words: str) -> Html | None:
    """A link to the part of a long text that is not on this page."""
    if start >= end:
        return None
    at = max(0, end - _PART // 2) if words == "Earlier" else start
    link = tag("a", f"{words}: {end - start:,} more characters", href=document_address(document.id, at, at))
    return tag("p", link, class_="elsewhere")
