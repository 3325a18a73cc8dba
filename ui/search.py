"""The Search page: one ranked list of passages and pictures, each saying why it is here."""

import re
from collections.abc import Sequence

from rag.filters import Filter, In, Or
from rag.records import Chunk, Hit, Kind, SearchResult
from rag.tune.standing import Marks
from ui.excerpt import snippet
from ui.html import Html, tag
from ui.icons import icon, kind_icon
from ui.links import chunk_address
from ui.marks import render_hint, render_judgements
from ui.picture_card import alike, also_in, shows_picture, thumbnail, title_of
from ui.sources import found_by, place, quotation
from ui.words import count, found_in


def where_kinds(kinds: Sequence[Kind]) -> Filter | None:
    """Any of these kinds of document; "image" means every picture, those in documents too. None for no kind."""
    of_documents = tuple(kind for kind in kinds if kind != "image")
    parts: list[Filter] = [In("kind", of_documents)] if of_documents else []
    if "image" in kinds:
        parts.append(In("modality", ("image",)))
    return Or(tuple(parts)) if len(parts) > 1 else next(iter(parts), None)


def render_results(result: SearchResult | None, off: Html | None = None, marks: Marks | None = None) -> Html:
    """The list, or what to do about an empty one. `off` says that pictures are not understood, where it matters.

    `marks` is what is marked in the list, if it is one in which something can be.
    """
    if result is None:
        words = "Search finds passages and pictures by meaning and by words. Nothing is sent anywhere."
        return tag("div", tag("p", words, class_="none"), off)
    notes = [tag("p", note, class_="aside") for note in result.notes]
    if not result.hits:
        nothing = "Nothing in your library matches. Try other words, or fewer kinds."
        return tag("div", tag("p", nothing, class_="none", role="status"), *notes, off)
    marked = (marks or Marks()) if result.shown else None
    return tag(
        "div",
        tag("div", tag("p", _counted(result), class_="counted", role="status"), _toggle(result), class_="results-head"),
        *notes,
        render_hint() if result.shown else None,
        tag("ol", *(_result(hit, result.query, marked) for hit in result.hits), class_="results"),
        off,
        data_shown=result.shown or None,
    )


def _counted(result: SearchResult) -> str:
    pictures = sum(shows_picture(hit.chunk) for hit in result.hits)
    parts = [count(len(result.hits) - pictures, "passage"), count(pictures, "picture")]
    said = [part for part in parts if not part.startswith("0 ")]
    return f"{' and '.join(said)} in {found_in(result.ms)}"


def _toggle(result: SearchResult) -> Html | None:
    """Shows the pictures alone and large. The page remembers which way it stands."""
    if not any(shows_picture(hit.chunk) for hit in result.hits):
        return None
    return tag(
        "button",
        icon("gallery"),
        tag("span", "Gallery"),
        type="button",
        class_="kind-chip gallery-toggle",
        data_do="gallery",
        title="Show the pictures alone, side by side",
    )


def _result(hit: Hit, query: str, marks: Marks | None) -> Html:
    chunk = hit.chunk
    address = chunk_address(chunk, best_line(chunk, query))
    return tag(
        "li",
        tag(
            "div",
            tag("span", hit.rank, class_="number"),
            kind_icon("image" if shows_picture(chunk) else chunk.kind),
            tag("a", title_of(chunk), href=address, data_open=True, class_="title", dir="auto"),
            class_="card-head",
        ),
        thumbnail(chunk, address),
        tag(
            "div",
            place(chunk),
            quotation(chunk, snippet(chunk, word_spans(chunk.text, query))),
            tag("div", found_by(hit), alike(chunk), class_="chips"),
            also_in(hit.also),
            None if marks is None else render_judgements(chunk.id, title_of(chunk), marks),
            class_="about",
        ),
        class_="card picture" if shows_picture(chunk) else "card",
        data_chunk=chunk.id,
    )


def best_line(chunk: Chunk, query: str) -> tuple[int, int] | None:
    """The line of a picture in which the most words of the query stand, as a span of the document."""
    if not shows_picture(chunk):
        return None
    lines = [(found.start(), found.end()) for found in re.finditer(r"[^\n]+", chunk.text)]
    hits = word_spans(chunk.text, query)
    scored = [
        (len({chunk.text[a:b].casefold() for a, b in hits if start <= a < end}), start, end) for start, end in lines
    ]
    most, start, end = max(scored, key=lambda line: (line[0], -line[1]), default=(0, 0, 0))
    return (chunk.start + start, chunk.start + end) if most else None


def word_spans(text: str, query: str) -> list[tuple[int, int]]:
    """Where whole words of the query stand in the text, whatever their case: longer ones, else those of three letters.

    Short words are mostly "the" and "for"; marked beside telling ones they would only be in the way.
    """
    words = {word.casefold() for word in re.findall(r"\w{3,}", query[:2000])}
    found = [match.span() for match in re.finditer(r"\w+", text) if match[0].casefold() in words]
    return [(start, end) for start, end in found if end - start > 3 or text[start:end].isdigit()] or found
