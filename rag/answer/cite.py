"""Markers in a cleaned answer to Citations, and markers for sentences whose evidence is clear but unmarked."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.answer.evidence import Sentence, SentencePool
from rag.records import Citation, Passage
from rag.text import one_line, sentences

# Both chosen by hand on answers of the starter model; see `clear_source`.
_SUPPORTED = 0.6
_AHEAD = 0.05
_STEM = 5  # characters by which two words count as one; numbers count whole
_WORD = re.compile(r"\w+")
_MARKER = re.compile(r"\[(\d{1,3})\]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_ENDING = re.compile(r"[\s.!?…。！？\"'”’)*_]*\Z")
_QUOTE = 400  # characters of a citation's quote


def cite(text: str, passages: Sequence[Passage], pool: SentencePool) -> tuple[str, tuple[Citation, ...]]:
    """The answer's citations, in the order of its markers, one for each passage and place.

    Each points to the sentence of its passage that the marked sentence rests on. Where the model wrote no marker at
    all, a sentence whose source is clear gets one, and its citation says `added`; the text comes back with it.

    Args:
        text: an answer from `clean`, so that its markers are `[n]` and name passages.
        passages: those the answer was written from.
        pool: their sentences.
    """
    if not pool.sentences:
        return text, ()
    spans = [(a, b) for a, b in sentences(text) if _bare(text[a:b])]
    scores = pool.scores([_bare(text[a:b]) for a, b in spans]) if spans else np.zeros((0, 0), np.float32)
    if not _MARKER.search(text):
        return _marked(text, spans, scores, passages, pool)
    found: list[Citation] = []
    for marker in _MARKER.finditer(text):
        row = next((i for i, (_, end) in enumerate(spans) if end >= marker.end()), len(spans) - 1)
        found.append(_citation(int(marker[1]), scores[row] if row >= 0 else None, passages, pool, added=False))
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


def quote(number: int, start: int, end: int, passages: Sequence[Passage], *, added: bool) -> Citation:
    """A citation of `Document.text[start:end]`, which lies in passage `number`."""
    passage = passages[number - 1]
    chunk = passage.hit.chunk
    words = one_line(passage.text[start - passage.start : end - passage.start], _QUOTE)
    return Citation(number, chunk.id, chunk.document_id, chunk.path, chunk.page, start, end, words, added=added)


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
) -> tuple[str, tuple[Citation, ...]]:
    found: list[Citation] = []
    written, at = "", 0
    for (start, end), row in zip(spans, scores, strict=True):
        source = clear_source(text[start:end], row, pool)
        written += text[at:start]
        written += with_marker(text[start:end], source.number) if source else text[start:end]
        at = end
        if source:
            found.append(quote(source.number, source.start, source.end, passages, added=True))
    return written + text[at:], tuple(dict.fromkeys(found))


def _citation(
    number: int, scores: NDArray[np.float32] | None, passages: Sequence[Passage], pool: SentencePool, *, added: bool
) -> Citation:
    """A citation of the sentence of passage `number` with the best score, or of all of it where it has none."""
    inside = [i for i, sentence in enumerate(pool.sentences) if sentence.number == number]
    if scores is None or not inside:
        passage = passages[number - 1]
        return quote(number, passage.start, passage.end, passages, added=added)
    best = pool.sentences[max(inside, key=lambda i: float(scores[i]))]
    return quote(number, best.start, best.end, passages, added=added)


def _stem(word: str) -> str:
    return word if word[0].isdigit() else word.casefold()[:_STEM]


def _bare(sentence: str) -> str:
    """A sentence without its markers and surrounding space; empty where nothing else is there."""
    bare = _MARKER.sub("", sentence).strip()
    return bare if any(map(str.isalnum, bare)) else ""
