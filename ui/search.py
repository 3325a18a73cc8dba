"""The Search page: one ranked list, each result saying why it is here."""

import re

from rag.records import Hit, SearchResult
from ui.html import Html, tag
from ui.icons import kind_icon
from ui.links import document_address
from ui.sources import found_by, mark, place
from ui.words import count, found_in

_SHOWN = 420  # characters of a passage
_LEAD = 80


def render_results(result: SearchResult | None) -> Html:
    """The list, or what to do about an empty one."""
    if result is None:
        return tag("p", "Search finds passages by meaning and by words. Nothing is sent anywhere.", class_="none")
    if not result.hits:
        return tag(
            "p", "Nothing in your library matches. Try other words, or fewer kinds.", class_="none", role="status"
        )
    return tag(
        "div",
        tag("p", f"{count(len(result.hits), 'passage')} in {found_in(result.ms)}", class_="counted", role="status"),
        tag("ol", *(_result(hit, result.query) for hit in result.hits), class_="results"),
    )


def _result(hit: Hit, query: str) -> Html:
    chunk = hit.chunk
    address = document_address(chunk.document_id, chunk.start, chunk.end)
    return tag(
        "li",
        tag(
            "div",
            tag("span", hit.rank, class_="number"),
            kind_icon(chunk.kind),
            tag("a", chunk.title, href=address, data_open=True, class_="title"),
            class_="card-head",
        ),
        place(chunk),
        tag("blockquote", snippet(chunk.text, query)),
        tag("div", found_by(hit), class_="chips"),
        class_="card",
    )


def snippet(text: str, query: str) -> Html:
    """The part of a passage around the first word of the query, those words marked."""
    spans = word_spans(text, query)
    begin = 0
    if spans and spans[0][0] > _LEAD:
        begin = text.rfind(" ", 0, spans[0][0] - _LEAD) + 1
    end = begin + _SHOWN
    cut = text[:end]
    marked = mark(cut, [(a, b) for a, b in spans if b <= len(cut)], begin)
    return Html(f"{'… ' if begin else ''}{marked}{' …' if end < len(text) else ''}")


def word_spans(text: str, query: str) -> list[tuple[int, int]]:
    """Where whole words of the query of three letters or more stand in the text, whatever their case."""
    words = {word.casefold() for word in re.findall(r"\w{3,}", query[:2000])}
    return [found.span() for found in re.finditer(r"\w+", text) if found[0].casefold() in words]
