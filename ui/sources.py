"""The cards beside an answer: what was found, why, and the sentences that bear on the question."""

from collections.abc import Iterable, Sequence

from rag.records import Chunk, FoundBy, Hit, Passage
from rag.tune.standing import Marks
from ui.excerpt import excerpt
from ui.html import Html, join, tag
from ui.icons import icon, kind_icon
from ui.links import original_address, source_address
from ui.marks import render_hint, render_judgements
from ui.picture_card import alike, also_in, shows_picture, thumbnail, title_of, whence
from ui.words import chance_words, file_name, folder, ordinal

_RETRIEVERS = {
    "text": "meaning",
    "bm25": "words",
    "image": "picture",
    "likeness": "likeness",
    "picture_text": "picture’s meaning",
    "picture_bm25": "picture’s words",
}
_OF_WORDS = ("text", "bm25")  # told also where they did not find it


def render_sources(
    passages: Sequence[Passage],
    cited: Iterable[int] = (),
    *,
    searching: bool = False,
    shown: str = "",
    marks: Marks | None = None,
) -> Html:
    """The column of cards, numbered as in the answer; cards that the answer cites are marked.

    `shown` is the list's id in the log of feedback, "" where none is kept; `marks` is what is marked in it.
    """
    if not passages:
        words = "Looking through your library…" if searching else "The sources of an answer appear here."
        return tag("aside", tag("p", words, class_="none"), class_="sources", aria_label="Sources", data_empty=True)
    numbers = set(cited)
    marked = (marks or Marks()) if shown else None
    cards = (card(passage, cited=passage.number in numbers, marks=marked) for passage in passages)
    return tag(
        "aside",
        tag("h2", "Sources"),
        render_hint() if shown else None,
        tag("ol", *cards, class_="cards"),
        class_="sources",
        aria_label="Sources of the answer",
        data_shown=shown or None,
    )


def card(passage: Passage, *, cited: bool, marks: Marks | None = None) -> Html:
    """One source: number, kind, title, place, the passage with its evidence marked, who found it, and what is marked.

    `marks` is None where nothing can be.
    """
    chunk = passage.hit.chunk
    return tag(
        "li",
        tag(
            "div",
            tag("span", passage.number, class_="number", aria_hidden="true"),
            kind_icon("image" if shows_picture(chunk) else chunk.kind),
            _title(passage),
            class_="card-head",
        ),
        thumbnail(chunk, source_address(passage)),
        place(chunk),
        quotation(chunk, excerpt(chunk, passage.text, passage.start, passage.evidence)),
        tag("div", found_by(passage.hit), alike(chunk), _original(chunk), class_="chips"),
        also_in(passage.hit.also),
        None if passage.in_prompt else tag("p", "Found, but not given to the model.", class_="aside"),
        None if marks is None else render_judgements(chunk.id, title_of(chunk), marks),
        class_="card" + (" picture" if shows_picture(chunk) else "") + (" cited" if cited else ""),
        data_number=passage.number,
        data_chunk=chunk.id,
    )


def quotation(chunk: Chunk, shown: Html) -> Html | None:
    """What a passage says; of a picture without words what is written about it, if anything is."""
    if chunk.text.strip() or not shows_picture(chunk):
        return tag("blockquote", shown, dir="auto")
    return tag("blockquote", f"… {chunk.around} …", class_="around", dir="auto") if chunk.around else None


def place(chunk: Chunk) -> Html:
    """Folder, file, page and headings, each only where it says something."""
    if shows_picture(chunk):
        parts = [whence(chunk)]
    else:
        parts = [tag("span", f"{folder(chunk.path)}/{file_name(chunk.path)}")]
        parts += [tag("span", f"p. {chunk.page}")] if chunk.page is not None else []
    parts += [tag("span", heading, dir="auto") for heading in chunk.headings if heading != chunk.title]
    return tag("p", join(parts, " "), class_="where", title=chunk.path)


def found_by(hit: Hit) -> Html:
    """`meaning 1st`, `words 3rd`: each retriever's rank, with its score for those who point at it."""
    ranks = {found.retriever: found for found in hit.found_by}
    names = dict.fromkeys([*(() if "likeness" in ranks else _OF_WORDS), *ranks])
    return join(_found_chip(_RETRIEVERS.get(name, name), ranks.get(name)) for name in names)


def _found_chip(label: str, found: FoundBy | None) -> Html:
    if found is None:
        return tag("span", f"{label} –", class_="chip faint", title=f"not found by {label}")
    words = f"{label} {ordinal(found.rank)}"
    if found.chance is not None:
        words += f": {chance_words(found.chance)}"
    return tag("span", words, class_="chip", title=f"score {found.score:.3f}")


def _title(passage: Passage) -> Html:
    return tag(
        "a",
        title_of(passage.hit.chunk),
        class_="title",
        href=source_address(passage),
        data_open=True,
        aria_label=f"Source {passage.number}: {title_of(passage.hit.chunk)}",
        dir="auto",
    )


def _original(chunk: Chunk) -> Html:
    address = original_address(chunk.document_id, chunk.page)
    return tag("a", icon("open"), "original", class_="original", href=address, target="_blank", rel="noopener")
