"""A stretch of a document's text, with its headings dressed and the passage that was asked for marked."""

from collections.abc import Iterator
from itertools import pairwise

from rag.records import Document
from ui.html import Html, escape, tag


def clamp(text: str, start: int | None, end: int | None) -> tuple[int, int] | None:
    """The span inside `text`, or None where nothing is asked for."""
    if start is None or end is None:
        return None
    begin = min(max(start, 0), len(text))
    return begin, min(max(end, begin), len(text))


def pieces(document: Document, start: int, end: int, passage: tuple[int, int] | None) -> Iterator[Html]:
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
