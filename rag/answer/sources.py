"""How a source reads: the words at a place in it, its text in the prompt.

A picture is a source too. The words read in it are its text, and sentences of them are quoted as any others are. What
is written about it, its caption and the words around it, stands elsewhere or nowhere in the text of its document, so
it has no span there: in evidence and citations an empty span is the picture itself, for which its caption speaks.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from rag.answer.clean import unbracketed
from rag.records import Passage, SearchResult
from rag.text import one_line

_TITLE = 120  # characters
_AROUND = 400  # characters of the words around a picture
_FRAME = re.compile(r"^([ \t]*(?:sources|question)) *:", re.IGNORECASE | re.MULTILINE)  # what the prompt is built of
_SPACED_MARKER = re.compile(r"[ \t]*\[\d{1,3}\]")
# Chosen by hand: rows of receipts and labels are shorter, lines of a paragraph that goes on in the next are longer.
# They part what is quoted, for the reader's sake only. As sentences of their own they were no better evidence: of
# 32 questions about words in the sample's pictures, the best one held the answer to 15, against 20 for paragraphs.
_WRAPPED = 40  # characters of a line that may go on in the next


def numbered(result: SearchResult) -> tuple[Passage, ...]:
    """The hits as passages, numbered from 1 in their order."""
    chunks = [(hit, hit.chunk) for hit in result.hits]
    return tuple(Passage(n, hit, chunk.text, chunk.start, chunk.end) for n, (hit, chunk) in enumerate(chunks, 1))


def is_picture(passage: Passage) -> bool:
    """Whether it is a picture as a whole, rather than words, be they words in a picture."""
    return passage.hit.chunk.modality == "image"


def words_at(passage: Passage, start: int, end: int) -> str:
    """What stands at `Document.text[start:end]`, which lies in `passage`, to be quoted.

    For the empty span, a picture itself: its caption, or all the words in it where it has none. Rows of what was read
    from pixels are parted by dots.
    """
    chunk = passage.hit.chunk
    itself = start == end and is_picture(passage)
    if itself and chunk.caption:
        return chunk.caption
    words = passage.text if itself else passage.text[start - passage.start : end - passage.start]
    return _in_rows(words) if chunk.picture is not None or chunk.region is not None else words


def without_markers(text: str) -> str:
    """`text` of a document with its own `[12]` as `(12)`, so that it cannot pass for a citation of ours.

    Nor can a line of it pass for the end of the sources: "Question:" loses its colon.
    """
    return _FRAME.sub(r"\1 –", unbracketed(text))


def no_markers(text: str) -> str:
    """`text` of an earlier answer without its markers: they pointed to other sources."""
    return _SPACED_MARKER.sub("", text)


def source_text(passage: Passage, text: str) -> str:
    """A source as the prompt shows it: its number, title and place in one line, then `text`, its words.

    A picture says that it is one, when it was taken, and what is written about it.
    """
    chunk = passage.hit.chunk
    parts = [one_line(chunk.context, _TITLE)]
    parts += [f"page {chunk.page}"] if chunk.page is not None else []
    if is_picture(passage):
        parts += [f"a picture, {chunk.date:%Y-%m-%d}" if chunk.kind == "image" and chunk.date else "a picture"]
    head = f"[{passage.number}] {without_markers(', '.join(filter(None, parts)))}"
    return "\n".join([head, *map(without_markers, _body(passage, text))])


def _body(passage: Passage, text: str) -> Sequence[str]:
    if not is_picture(passage):
        return [text]
    chunk = passage.hit.chunk
    told = (("Caption", one_line(chunk.caption)), ("Words in it", text), ("Near it", one_line(chunk.around, _AROUND)))
    return [f"{name}: {words}" for name, words in told if words.strip()]


def _in_rows(text: str) -> str:
    """`text` in one line, with a dot behind each short line unless the next one begins in the middle of a sentence."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    joined = "".join(lines[:1])
    for line, following in pairwise(lines):
        goes_on = len(line) >= _WRAPPED or following[0].islower()
        joined += (" " if goes_on else " · ") + following
    return joined
