"""Which sentences of the passages bear on the question, and which one a sentence of the answer rests on."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rag.answer.sources import is_picture
from rag.protocols import Embedder
from rag.records import Evidence, Passage
from rag.text import sentences

# Chosen on xquad-en (1,190 questions): the answer lies in the first sentence for .751 of them by cosine alone, .827 by
# overlap of 4-grams alone, .832 by their sum; in the first two for .899, .931 and .931. On the 78 questions about the
# sample collection the context and the place of the passage were added: 26 -> 36 first, 45 -> 55 in the first three.
_GRAM = 4  # characters: close to word stems, in every language that puts spaces between words
_PAIR = 2  # and in those that do not
_LEAST_CHARACTERS = 4  # letters and digits; what is shorter (a list marker, a rule) says nothing
_STANDING = 0.25  # of the passage's own score: a sentence of the best hit is likelier than its twin in the sixth
_CLEAR = 0.5  # of the best score: what is weaker is not highlighted
_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
# A heading, or a question: it asks, as the reader does.
_SAYS_NOTHING = re.compile(r"#{1,6}\s|.*[?？؟]\W*\Z", re.DOTALL)
# A code begins with a letter and has a digit: "E168", "RTX-4090", "IMG_0398". Whoever asks for one means that one.
_NAME = re.compile(r"[^\W\d_]\w*(?:[.-]\w+)*")
_NAMED = (
    0.5  # for a sentence that has them all; by hand: of .15 to .6 none did worse on the 12 such questions there are
)
_TABLE_RULE = re.compile(r"(?=.*-)[|:\s-]*")  # what parts the head of a table from its rows
_WORDS_DECIDE = 0.25  # share of a question's rarer words that some sentence must have for words to choose candidates
_EMBEDDED = 12  # candidates then; embedding all of 6 passages takes more than twice as long and finds no more
_CUT = 1000  # characters of a sentence that are embedded


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of `passage`: `Document.text[start:end] == text`, or the caption of a picture with an empty span."""

    passage: Passage
    start: int
    end: int
    text: str

    @property
    def number(self) -> int:
        return self.passage.number

    @property
    def embedded(self) -> str:
        """What the embedder reads: out of its place, "It is 1.3 bar" could be about anything."""
        chunk = self.passage.hit.chunk
        place = f"{chunk.context}\n{chunk.caption}".strip() if self.start < self.end else chunk.context
        return f"{place}\n{self.text[:_CUT]}"


class SentencePool:
    """The sentences of the passages shown, and how much each has to do with a text. Vectors are made when needed."""

    def __init__(self, passages: Sequence[Passage], embedder: Embedder) -> None:
        self.sentences = tuple(s for passage in passages for s in _readable(passage))
        self._embedder = embedder
        self._vectors: dict[int, NDArray[np.float32]] = {}
        self._grams = [grams(s.text) for s in self.sentences]
        self._frequency = Counter(gram for found in self._grams for gram in found)

    def scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Of each text with each sentence, the mean of cosine and overlap: float32[M, N] in [-.5, 1].

        To be quick, only the sentences that share most with a text are embedded; the others count as orthogonal.
        Where no sentence shares much with it, all of them are: the words differ, so the meaning has to decide.
        """
        overlaps = np.array([self._overlap(text) for text in texts], np.float32)
        overlaps = overlaps.reshape(len(texts), len(self.sentences))
        chosen = np.stack([_worth_embedding(row) for row in overlaps]) if len(texts) else overlaps.astype(bool)
        self._embed(np.flatnonzero(chosen.any(axis=0)))
        questions = self._embedder.embed([text[:_CUT] for text in texts], "query")
        cosines = np.zeros_like(overlaps)
        for i, vector in self._vectors.items():
            cosines[:, i] = questions @ vector
        return np.asarray((cosines + overlaps) / 2, np.float32)

    def _embed(self, wanted: NDArray[np.intp]) -> None:
        missing = [int(i) for i in wanted if int(i) not in self._vectors]
        rows = self._embedder.embed([self.sentences[i].embedded for i in missing], "passage")
        self._vectors.update(zip(missing, rows, strict=True))

    def _overlap(self, text: str) -> list[float]:
        """The share of the grams of `text` that each sentence has too, rare ones counting more (as BM25's idf does)."""
        n = len(self.sentences)
        weight = {g: math.log(1 + (n - self._frequency[g] + 0.5) / (self._frequency[g] + 0.5)) for g in grams(text)}
        total = sum(weight.values()) or 1.0
        # Sorted: sums of floats in the order of a set would differ from run to run.
        return [sum(weight[g] for g in sorted(weight.keys() & found)) / total for found in self._grams]


def _worth_embedding(overlaps: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which sentences to embed, given the share of the text that each has: bool[N]."""
    chosen = np.zeros(len(overlaps), bool)
    if not len(overlaps) or overlaps.max() < _WORDS_DECIDE:
        return ~chosen
    chosen[np.argsort(-overlaps, kind="stable")[:_EMBEDDED]] = True
    return chosen


def grams(text: str) -> frozenset[str]:
    """The pieces that texts are compared by: 4-grams of folded words, pairs where no spaces part words."""
    found = set()
    for word in _WORD.findall(text.casefold()):
        size, word = (_PAIR, word) if _UNSPACED.search(word) else (_GRAM, f" {word} ")
        found |= {word[i : i + size] for i in range(max(1, len(word) - size + 1))}
    return frozenset(found)


def mark(
    question: str, passages: Sequence[Passage], pool: SentencePool, *, beside: str = "", most: int = 2
) -> tuple[Passage, ...]:
    """`passages` with the sentences of `pool` that bear on `question` as their evidence.

    A sentence whose score is below half of the best one's is left out, so a passage may have none. `beside` is the
    question as it was asked, where `question` is that one made to stand alone; a score is the mean of both then, for
    what was carried over from an earlier question points to that one's answer too. What has the codes of `question`, as
    "E168" is one, comes first.
    """
    if not pool.sentences:
        return tuple(passages)
    standing = np.array([sentence.passage.hit.score for sentence in pool.sentences], np.float32)
    scores = pool.scores([question, beside] if beside else [question]).mean(axis=0)
    scores = (scores + _STANDING * standing) / (1 + _STANDING)
    enough = _CLEAR * float(scores.max())  # a code puts sentences first; it takes nothing from the others
    scores += _NAMED * _named(question, pool.sentences)
    found: dict[int, list[Evidence]] = {}
    for i in np.argsort(-scores, kind="stable"):
        sentence, score = pool.sentences[i], float(scores[i])
        if score >= enough and len(found.setdefault(sentence.number, [])) < most:
            found[sentence.number].append(Evidence(sentence.start, sentence.end, score))
    return tuple(replace(passage, evidence=tuple(found.get(passage.number, ()))) for passage in passages)


def _named(question: str, among: Sequence[Sentence]) -> NDArray[np.float32]:
    """The share of the codes in `question` that each sentence has too: float32[N] in [0, 1]."""
    wanted = _codes(question)
    if not wanted:
        return np.zeros(len(among), np.float32)
    return np.array([len(wanted & _codes(sentence.text)) / len(wanted) for sentence in among], np.float32)


def _codes(text: str) -> frozenset[str]:
    return frozenset(name.casefold() for name in _NAME.findall(text) if any(map(str.isdecimal, name)))


def _readable(passage: Passage) -> list[Sentence]:
    """The sentences of a passage that can say something.

    Headings, questions and the heads of tables are among them only where there is nothing else.
    """
    spans = sentences(passage.text, passage.hit.chunk.language)
    found = [Sentence(passage, passage.start + a, passage.start + b, passage.text[a:b]) for a, b in spans]
    heads = {row.start for row, below in pairwise(found) if "|" in row.text and _TABLE_RULE.fullmatch(below.text)}
    if is_picture(passage) and passage.hit.chunk.caption:
        found.append(Sentence(passage, passage.start, passage.start, passage.hit.chunk.caption))
    telling = [s for s in found if sum(map(str.isalnum, s.text)) >= _LEAST_CHARACTERS]
    return [s for s in telling if s.start not in heads and not _SAYS_NOTHING.match(s.text)] or telling
