"""Markers in a cleaned answer to Citations, and markers for sentences whose evidence is clear but unmarked.

A sentence about what a picture shows rests on no words, so that no comparison of words can tell whether it is true:
its citation points to the picture as a whole and is left unjudged (`supported` None), whatever the words in it say.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.answer.evidence import Sentence, SentencePool
from rag.answer.sources import is_picture, words_at
from rag.records import Box, Chunk, Citation, OcrLine, Passage
from rag.text import one_line, sentences

LinesOf = Callable[[Chunk], Sequence[OcrLine]]
"""The lines read on the page or in the picture that a chunk is of."""

# Both chosen by hand on answers of the starter model; see `clear_source`.
_SUPPORTED = 0.6
_AHEAD = 0.05
_RESTS = 0.4  # by hand too: below, a sentence about a picture is about what it shows, not about a sentence in it
_STEM = 5  # characters by which two words count as one; numbers count whole
_WORD = re.compile(r"\w+")
_MARKER = re.compile(r"\[(\d{1,3})\]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_ENDING = re.compile(r"[\s.!?…。！？\"'”’)*_]*\Z")
_QUOTE = 400  # characters of a citation's quote


def no_lines(chunk: Chunk) -> Sequence[OcrLine]:
    """Where it is not known how the words of pictures lie."""
    return ()


def cite(
    text: str, passages: Sequence[Passage], pool: SentencePool, lines_of: LinesOf = no_lines
) -> tuple[str, tuple[Citation, ...]]:
    """The answer's citations, in the order of its markers, one for each passage and place.

    Each points to the sentence of its passage that the marked sentence rests on. Where the model wrote no marker at
    all, a sentence whose source is clear gets one, and its citation says `added`; the text comes back with it.

    Args:
        text: an answer from `clean`, so that its markers are `[n]` and name passages.
        passages: those the answer was written from.
        pool: their sentences.
        lines_of: for the regions of what was read from pixels.
    """
    if not passages or not (pool.sentences or _MARKER.search(text)):
        return text, ()
    spans = [(a, b) for a, b in sentences(text) if _bare(text[a:b])]
    scores = pool.scores([_bare(text[a:b]) for a, b in spans]) if spans else np.zeros((0, 0), np.float32)
    if not _MARKER.search(text):
        return _marked(text, spans, scores, passages, pool, lines_of)
    found: list[Citation] = []
    for marker in _MARKER.finditer(text):
        row = next((i for i, (_, end) in enumerate(spans) if end >= marker.end()), len(spans) - 1)
        passage = passages[int(marker[1]) - 1]
        start, end = _rests_on(passage, scores[row] if row >= 0 else None, pool)
        found.append(quote(passage, start, end, lines_of))
    return text, tuple(dict.fromkeys(found))


def clear_source(text: str, scores: NDArray[np.float32], pool: SentencePool) -> Sentence | None:
    """The sentence that `text` clearly rests on: near it, ahead of every other passage, and with all its numbers."""
    best = int(np.argmax(scores))
    sentence = pool.sentences[best]
    others = [float(s) for s, other in zip(scores, pool.sentences, strict=True) if other.number != sentence.number]
    if scores[best] < _SUPPORTED or scores[best] - max(others, default=-1.0) < _AHEAD:
        return None
    return sentence if set(_NUMBER.findall(text)) <= set(_NUMBER.findall(sentence.text)) else None


def stands_in(sentence: str, source: str, question: str) -> bool:
    """Whether every word of `sentence` stands in `source` or `question`, endings aside: it adds nothing of its own."""
    there = {_stem(word) for word in _WORD.findall(f"{source} {question}")}
    words = _WORD.findall(_MARKER.sub("", sentence))
    return bool(words) and all(_stem(word) in there for word in words)


def quote(passage: Passage, start: int, end: int, lines_of: LinesOf = no_lines, *, added: bool = False) -> Citation:
    """A citation of `Document.text[start:end]`, which lies in `passage`; an empty span is a picture as a whole."""
    chunk = passage.hit.chunk
    return Citation(
        number=passage.number,
        chunk_id=chunk.id,
        document_id=chunk.document_id,
        path=chunk.path,
        page=chunk.page,
        start=start,
        end=end,
        quote=one_line(words_at(passage, start, end), _QUOTE),
        added=added,
        picture=chunk.picture,
        region=_region(chunk, start, end, lines_of),
    )


def _region(chunk: Chunk, start: int, end: int, lines_of: LinesOf) -> Box | None:
    """Where `Document.text[start:end]` stands on the picture of `chunk`, or on the page read; None: all of it."""
    if start == end or (chunk.picture is None and chunk.region is None):
        return None
    boxes = [line.box for line in lines_of(chunk) if line.start < end and start < line.end]
    if boxes:
        return Box.around(boxes)
    on_its_page = chunk.picture is not None and chunk.kind != "image"  # the region of a figure, not one within it
    return None if on_its_page else chunk.region


def with_marker(sentence: str, number: int) -> str:
    """`sentence` with `[number]` before its closing punctuation."""
    end = _ENDING.search(sentence)
    at = end.start() if end else len(sentence)
    return f"{sentence[:at]} [{number}]{sentence[at:]}"


def _marked(
    text: str,
    spans: Sequence[tuple[int, int]],
    scores: NDArray[np.float32],
    passages: Sequence[Passage],
    pool: SentencePool,
    lines_of: LinesOf,
) -> tuple[str, tuple[Citation, ...]]:
    found: list[Citation] = []
    written, at = "", 0
    for (start, end), row in zip(spans, scores, strict=True):
        source = clear_source(text[start:end], row, pool)
        written += text[at:start]
        written += with_marker(text[start:end], source.number) if source else text[start:end]
        at = end
        if source:
            passage = passages[source.number - 1]
            found.append(quote(passage, source.start, source.end, lines_of, added=True))
    return written + text[at:], tuple(dict.fromkeys(found))


def _rests_on(passage: Passage, scores: NDArray[np.float32] | None, pool: SentencePool) -> tuple[int, int]:
    """The span of the sentence of `passage` with the best score, or of all of it where it has none.

    A picture is cited as a whole where no sentence in it is near.
    """
    inside = [i for i, sentence in enumerate(pool.sentences) if sentence.number == passage.number]
    if scores is not None and inside:
        best = max(inside, key=lambda i: float(scores[i]))
        if not is_picture(passage) or scores[best] >= _RESTS:
            return pool.sentences[best].start, pool.sentences[best].end
    return passage.start, passage.start if is_picture(passage) else passage.end


def _stem(word: str) -> str:
    return word if word[0].isdigit() else word.casefold()[:_STEM]


def _bare(sentence: str) -> str:
    """A sentence without its markers and surrounding space; empty where nothing else is there."""
    bare = _MARKER.sub("", sentence).strip()
    return bare if any(map(str.isalnum, bare)) else ""
