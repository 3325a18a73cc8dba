"""Markers in a cleaned answer to Citations: put right, added where the evidence is clear, and judged.

A sentence about what a picture shows rests on no words, so that no comparison of words can tell whether it is true:
its citation points to the picture as a whole and is left unjudged (`supported` None), whatever the words in it say.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rag.answer.evidence import Sentence, SentencePool
from rag.answer.ground import Judge, Verdict, claims
from rag.answer.sources import is_picture, words_at
from rag.records import Box, Chunk, Citation, GroundedSentence, OcrLine, Passage
from rag.text import one_line, sentences

LinesOf = Callable[[Chunk], Sequence[OcrLine]]
"""The lines read on the page or in the picture that a chunk is of."""

# Both scores in a pool, chosen by hand on answers of the starter model; see `clear_source`.
_SUPPORTED = 0.6
_AHEAD = 0.05
_RESTS = 0.4  # by hand too: below, a sentence about a picture is about what it shows, not about a sentence in it
_ENOUGH_WORDS = 3  # or a number: fewer get no marker that the model did not write
_STEM = 5  # characters by which two words count as one; numbers count whole
_WORD = re.compile(r"\w+")
_MARKER = re.compile(r"\[(\d{1,3})\]")
_LEADING = re.compile(r"(?:\[\d{1,3}\]\s*)+")
_ENDING = re.compile(r"[\s.!?…。！？\"'”’)*_]*\Z")
_QUOTE = 400  # characters of a citation's quote


def no_lines(chunk: Chunk) -> Sequence[OcrLine]:
    """Where it is not known how the words of pictures lie."""
    return ()


@dataclass(frozen=True, slots=True)
class Cited:
    """An answer with its markers as they should be, what they point to, and how its sentences stand."""

    text: str
    citations: tuple[Citation, ...]
    sentences: tuple[GroundedSentence, ...]


def cite(
    text: str,
    passages: Sequence[Passage],
    pool: SentencePool,
    lines_of: LinesOf = no_lines,
    *,
    model_wrote: int | None = None,
    saw: bool = False,
) -> Cited:
    """The answer's citations in the order of its markers, one for each passage and place, and its sentences judged.

    Each citation points to the sentence of its passage that the marked sentence rests on. A sentence without a marker
    whose source is clear gets one, and a marker to a passage that says nothing like it is put right where another
    passage bears it out; such citations say `added`.

    Args:
        text: an answer from `clean`, so that its markers are `[n]` and name passages.
        passages: those the answer was written from.
        pool: their sentences.
        lines_of: for the regions of what was read from pixels.
        model_wrote: how many characters of the text the model wrote; what comes behind is ours and is judged only
            where it cites. None: all of them.
        saw: the model was shown pictures, so that what it says without a marker may be what they show.
    """
    written = [_Sentence.of(text, start, end) for start, end in _spans(text)]
    scores = pool.scores([sentence.bare for sentence in written]) if written and pool.sentences else None
    citing = _Citing(passages, pool, lines_of, len(text) if model_wrote is None else model_wrote, saw)
    done, at = "", 0
    for i, sentence in enumerate(written):
        done += text[at : sentence.start]
        done += citing.take(sentence, None if scores is None else scores[i], len(done))
        at = sentence.end
    return Cited(done + text[at:], citing.citations, tuple(citing.judged))


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence of an answer: where it stands, its words without markers, and the passages that it cites."""

    start: int
    end: int
    text: str
    bare: str
    cites: tuple[int, ...]

    @classmethod
    def of(cls, text: str, start: int, end: int) -> "_Sentence":
        piece = text[start:end]
        numbers = tuple(dict.fromkeys(int(marker[1]) for marker in _MARKER.finditer(piece)))
        return cls(start, end, piece, _bare(piece), numbers)


def _spans(text: str) -> list[tuple[int, int]]:
    """The sentences of `text`; markers that stand behind a full stop belong to the sentence before them."""
    spans: list[tuple[int, int]] = []
    for start, end in sentences(text):
        leading = _LEADING.match(text, start, end)
        if leading and spans and "\n" not in text[spans[-1][1] : start]:
            spans[-1] = (spans[-1][0], leading.end())
            start += len(leading[0]) + len(text[leading.end() : end]) - len(text[leading.end() : end].lstrip())
        if start < end:
            spans.append((start, end))
    return spans


class _Citing:
    """Takes the sentences of an answer in their order, and keeps what they cite and how they stand."""

    def __init__(
        self, passages: Sequence[Passage], pool: SentencePool, lines_of: LinesOf, model_wrote: int, saw: bool
    ) -> None:
        self.judged: list[GroundedSentence] = []
        self._found: dict[tuple[int, int, int], Citation] = {}
        self._passages, self._pool, self._lines_of = passages, pool, lines_of
        self._model_wrote, self._saw = model_wrote, saw
        self._judge = Judge(pool)

    @property
    def citations(self) -> tuple[Citation, ...]:
        return tuple(self._found.values())

    def take(self, sentence: _Sentence, scores: NDArray[np.float32] | None, start: int) -> str:
        """The sentence with its markers as they should be; it begins at `start` of the new text."""
        if scores is None or not claims(sentence.bare) or self._shows(sentence.cites, scores):
            for number in sentence.cites:
                self._add(number, scores if sentence.bare else None, None, added=False)
            return sentence.text
        changed = self._put_right(sentence, scores)
        added = () if sentence.cites else self._clear(sentence, scores)
        numbers = tuple(dict.fromkeys(changed.get(number, number) for number in sentence.cites)) or added
        verdict = self._judge.verdict(sentence.bare, scores, numbers)
        for number in numbers:
            alone = self._judge.verdict(sentence.bare, scores, (number,)) if len(numbers) > 1 else verdict
            ours = number not in sentence.cites
            self._add(number, scores, alone.support == "supported", added=ours)
        text = _with_markers(sentence.text, changed)
        text = with_marker(text, added[0]) if added else text
        if numbers or self._is_to_be_judged(sentence, verdict):
            self.judged.append(GroundedSentence(start, start + len(text), verdict.support, verdict.reasons))
        return text

    def _shows(self, cites: Sequence[int], scores: NDArray[np.float32]) -> bool:
        """Whether a sentence speaks of what the pictures that it cites look like: no words in them are near."""
        cited = [self._passages[number - 1] for number in cites]
        near = [s for s, other in zip(scores, self._pool.sentences, strict=True) if other.number in cites]
        return any(map(is_picture, cited)) and max(near, default=0.0) < _RESTS

    def _is_to_be_judged(self, sentence: _Sentence, verdict: Verdict) -> bool:
        ours = sentence.start >= self._model_wrote
        return not ours and not (self._saw and verdict.support != "supported")

    def _put_right(self, sentence: _Sentence, scores: NDArray[np.float32]) -> dict[int, int]:
        """Markers to passages that say nothing like the sentence, and the one that bears it out instead."""
        wrong = [n for n in sentence.cites if self._judge.verdict(sentence.bare, scores, (n,)).support == "unsupported"]
        right = self._clear(sentence, scores) if wrong else ()
        return dict.fromkeys(wrong, right[0]) if right else {}

    def _clear(self, sentence: _Sentence, scores: NDArray[np.float32]) -> tuple[int, ...]:
        """The number of the passage that clearly bears the sentence out, if one does."""
        source = clear_source(scores, self._pool) if _says_enough(sentence.bare) else None
        if source is None or self._judge.verdict(sentence.bare, scores, (source.number,)).support != "supported":
            return ()
        return (source.number,)

    def _add(self, number: int, scores: NDArray[np.float32] | None, supported: bool | None, *, added: bool) -> None:
        passage = self._passages[number - 1]
        start, end = _rests_on(passage, scores, self._pool)
        new = replace(quote(passage, start, end, self._lines_of, added=added), supported=supported)
        known = self._found.setdefault((number, start, end), new)
        if supported is False and known.supported:
            self._found[number, start, end] = replace(known, supported=False)


def clear_source(scores: NDArray[np.float32], pool: SentencePool) -> Sentence | None:
    """The sentence that a text with these scores clearly rests on: near it, and ahead of every other passage."""
    best = int(np.argmax(scores))
    sentence = pool.sentences[best]
    others = [float(s) for s, other in zip(scores, pool.sentences, strict=True) if other.number != sentence.number]
    clear = scores[best] >= _SUPPORTED and scores[best] - max(others, default=-1.0) >= _AHEAD
    return sentence if clear else None


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


def _says_enough(sentence: str) -> bool:
    """Whether a sentence is more than a beginning that could go on in many ways."""
    return len(_WORD.findall(sentence)) >= _ENOUGH_WORDS or any(map(str.isdecimal, sentence))


def _with_markers(sentence: str, changed: Mapping[int, int]) -> str:
    """`sentence` with other numbers in its markers, none of them twice."""
    if not changed:
        return sentence
    seen = {int(marker[1]) for marker in _MARKER.finditer(sentence)} - set(changed)

    def other(marker: re.Match[str]) -> str:
        number = changed.get(int(marker[1]))
        if number is None:
            return marker[0]
        again = number in seen
        seen.add(number)
        return "" if again else f"[{number}]"

    return _MARKER.sub(other, sentence)


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
