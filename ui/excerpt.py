"""The part of a passage that is shown: from a little before what matters, as elements, with that part highlighted.

Every character of the passage is escaped here, link targets and pictures are not shown at all, and the elements are
made by this program, so nothing in a document can load, lead or run anything.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rag.records import Chunk, Evidence
from ui.html import Html, escape, join, tag
from ui.written import Block, Run, blocks

_LEAD = 90  # characters shown before what is highlighted, so that it is read in its context
_SHOWN = 900  # characters of a source; the style sheet shows the first lines of them
_FOUND = 420  # characters of a passage in a list of results

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A block, or what is shown of it: whether words before and behind were left out."""

    block: Block
    before: bool = False
    after: bool = False


def excerpt(chunk: Chunk, text: str, start: int, evidence: Sequence[Evidence]) -> Html:
    """`text`, which begins at `start` of its document, from a little before its best sentence, all evidence marked.

    `text` is that of `chunk`, or its beginning.
    """
    spans = sorted((e.start - start, e.end - start) for e in evidence)
    best = max(evidence, key=lambda e: e.score, default=None)
    return render(blocks(text, chunk.headings), text, spans, best.start - start if best else 0, _SHOWN)


def snippet(chunk: Chunk, spans: Sequence[Span]) -> Html:
    """The part of a chunk around the first of the sorted `spans`, all of them marked."""
    return render(blocks(chunk.text, chunk.headings), chunk.text, spans, spans[0][0] if spans else 0, _FOUND)


def render(written: Sequence[Block], text: str, spans: Iterable[Span], at: int, shown: int) -> Html:
    """About `shown` characters of `text` around the place `at`, with the sorted `spans` in `<mark>`."""
    marks = [(max(a, 0), min(b, len(text))) for a, b in spans if b > 0 and a < len(text)]
    pieces = _around(text, written, at, shown)
    return join(_element(list(group), text, marks) for _, group in groupby(pieces, key=_kin))


def mark(text: str, spans: Iterable[Span], begin: int = 0, end: int | None = None) -> Html:
    """`text[begin:end]` escaped, with the sorted spans in `<mark>`."""
    parts: list[Html] = []
    at, last = begin, len(text) if end is None else end
    for a, b in spans:
        first, stop = max(a, at), min(b, last)
        if first < stop:
            parts += [escape(text[at:first]), tag("mark", text[first:stop])]
            at = stop
    return join([*parts, escape(text[at:last])])


# --- which part ----------------------------------------------------------------------------------------------------


def _around(text: str, written: Sequence[Block], at: int, shown: int) -> Iterator[_Piece]:
    """What is shown from a little before `at`: rows and headings whole, with the head of the table; paragraphs cut."""
    holder = next((i for i, block in enumerate(written) if block.end > at), None)
    if holder is None:
        return
    begin = _beginning(text, written, holder, at)
    end = begin + shown
    head = _head(written, holder)
    if head is not None and head.end <= begin:
        yield _Piece(head)
    for block in written:
        if block.end <= begin or block.start >= end:
            continue
        if block.shape in ("text", "item", "code"):
            yield _cut(text, block, begin, end)
        elif block.start >= begin:
            yield _Piece(block)


def _beginning(text: str, written: Sequence[Block], holder: int, at: int) -> int:
    """Where the shown part begins: a little before `at`, or with its block and the heading above that."""
    block = written[holder]
    if block.shape in ("row", "head"):
        return block.start
    begin = max(block.start, _word_start(text, at - _LEAD))
    headed = begin == block.start and holder and written[holder - 1].shape == "heading"
    return written[holder - 1].start if headed else begin


def _head(written: Sequence[Block], row: int) -> Block | None:
    """The head of the table in which a row stands, if it is there."""
    while row >= 0 and written[row].shape == "row":
        row -= 1
    return written[row] if row >= 0 and written[row].shape == "head" else None


def _cut(text: str, block: Block, begin: int, end: int) -> _Piece:
    """A paragraph from `begin` to the last whole word before `end`."""
    if block.end > end:
        space = text.rfind(" ", max(begin, block.start), end)
        end = space if space > 0 else end
    runs = (replace(run, start=max(run.start, begin), end=min(run.end, end)) for run in block.cells[0])
    cells = (tuple(run for run in runs if run.start < run.end),)
    before = block.start < begin
    return _Piece(replace(block, cells=cells, label="" if before else block.label), before, block.end > end)


def _word_start(text: str, at: int) -> int:
    """The beginning of the word at or after `at`."""
    if at <= 0:
        return 0
    space = text.find(" ", at)
    return at if space < 0 else space + 1


# --- elements --------------------------------------------------------------------------------------------------------


def _kin(piece: _Piece) -> str:
    """Pieces of one kin that follow one another are one element."""
    shape = piece.block.shape
    return {"head": "table", "row": "table", "item": "list", "code": "code"}.get(shape, f"alone {piece.block.start}")


def _element(group: Sequence[_Piece], text: str, marks: Sequence[Span]) -> Html:
    first = group[0].block
    if first.shape in ("head", "row"):
        return tag("table", *(_row(piece.block, text, marks) for piece in group))
    if first.shape == "item":
        return tag("ul", *(_item(piece, text, marks) for piece in group))
    if first.shape == "code":
        return tag("pre", join((_words(piece, text, marks) for piece in group), "\n"))
    words = _words(group[0], text, marks)
    return tag("p", tag("strong", words) if first.shape == "heading" else words)


def _row(block: Block, text: str, marks: Sequence[Span]) -> Html:
    name = "th" if block.shape == "head" else "td"
    return tag("tr", *(tag(name, *(_run(run, text, marks) for run in cell)) for cell in block.cells))


def _item(piece: _Piece, text: str, marks: Sequence[Span]) -> Html:
    label, depth = piece.block.label, piece.block.depth
    bullet = tag("span", label, class_="bullet") if label else None
    return tag("li", bullet, " " if label else None, _words(piece, text, marks), data_depth=depth or None)


def _words(piece: _Piece, text: str, marks: Sequence[Span]) -> Html:
    runs = (_run(run, text, marks) for run in piece.block.cells[0])
    return join(["… " if piece.before else "", *runs, " …" if piece.after else ""])


def _run(run: Run, text: str, marks: Sequence[Span]) -> Html:
    words = mark(text, marks, run.start, run.end)
    for style in sorted(run.styles):
        words = tag(style, words)
    return words
