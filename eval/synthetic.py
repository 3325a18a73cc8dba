"""Made-up chunks by the million, whose vectors have neighbours as those of real text do.

A vector is a weighted sum of unit vectors: one that all share, its topic's, its document's and its own. Topics have
sizes by a power law (Zipf's, exponent 1), and all directions come from a space of `_LATENT` dimensions. How far a
document or a chunk lies from what it belongs to varies (log-normal), so that some have near neighbours and some none.
Shares were chosen for the cosines that vectors of the starter embedder have, see eval/LOG.md, "Latency": 15,968 of it
and 16,000 made here have these in the middle:

    nearest .85 and .83, 10th .57 and .61, 100th .41 and .43, by chance .07 +- .12 and .07 +- .13

and a local intrinsic dimension (Levina and Bickel 2004, 20 neighbours) of 9 and 11. Vectors without such structure,
uniform on the sphere, would make every index look far worse than it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]  # [N, dim]

CHUNKS = 8  # of a document
WORDS = 40  # of a chunk
_PART = 125  # documents that are made at once
_LATENT = 100
_SHARES = np.sqrt([0.07, 0.33, 0.25, 0.35])  # of the squared length: common, topic, document, chunk
_SPREAD = 0.6  # sigma of the log-normal
_VOCABULARY, _OF_TOPIC = 50_000, 50  # words, and those that a topic prefers
_ASKED = 4  # words of a question
_BLUR = 0.5  # how far a question's vector lies from its chunk's, by length


@dataclass(frozen=True, slots=True)
class Part:
    """Chunks number `start`, `start` + 1, ...: their vectors float32[M, dim], and for each its words."""

    start: int
    vectors: Rows
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Questions:
    """Vectors float32[Q, dim], and for each the words that go with it."""

    vectors: Rows
    words: tuple[str, ...]


@dataclass(frozen=True)
class Made:
    """`count` chunks with vectors of `dim` numbers; the same `seed` gives the same ones, in any order of asking."""

    count: int
    dim: int
    seed: int = 0

    def parts(self) -> Iterator[Part]:
        """All chunks, in order."""
        return (self.part(number) for number in range(-(-self.count // (_PART * CHUNKS))))

    def part(self, number: int) -> Part:
        """The chunks from `number` * 1000 on."""
        rng = np.random.default_rng([self.seed, 1, number])
        start = number * _PART * CHUNKS
        topics = np.searchsorted(self._sizes, rng.random(_PART))
        documents = self._topics[topics] + _SHARES[2] * _stretched(rng, self._directions(rng, _PART))
        vectors = np.repeat(documents, CHUNKS, axis=0)
        vectors += _SHARES[3] * _stretched(rng, self._directions(rng, len(vectors)))
        left = min(len(vectors), self.count - start)
        words = [_text(_words(rng, topic)) for topic in np.repeat(topics, CHUNKS)[:left]]
        return Part(start, _unit(vectors[:left]).astype(np.float32), tuple(words))

    def questions(self, number: int) -> Questions:
        """`number` questions, each near a chunk and in some of its words."""
        rng = np.random.default_rng([self.seed, 2])
        picked = rng.integers(0, self.count, number)
        vectors, words = [], []
        for chunk in picked:
            part = self.part(int(chunk) // (_PART * CHUNKS))
            at = int(chunk) - part.start
            vectors.append(part.vectors[at])
            words.append(" ".join(rng.choice(part.words[at].split(), _ASKED, replace=False)))
        blurred = np.stack(vectors) + _BLUR * self._directions(rng, number)
        return Questions(_unit(blurred).astype(np.float32), tuple(words))

    @cached_property
    def _map(self) -> NDArray[np.float64]:
        return np.random.default_rng([self.seed, 0]).standard_normal((_LATENT, self.dim))

    @cached_property
    def _sizes(self) -> NDArray[np.float64]:
        """The share of documents in each topic and all before it."""
        sizes = 1 / np.arange(1, max(int(2 * np.sqrt(self.count)), 2) + 1)
        return np.cumsum(sizes / sizes.sum())

    @cached_property
    def _topics(self) -> NDArray[np.float64]:
        """float64[T, dim]: what all have in common, and what a topic adds."""
        rng = np.random.default_rng([self.seed, 3])
        common, own = self._directions(rng, 1), self._directions(rng, len(self._sizes))
        return np.asarray(_SHARES[0] * common + _SHARES[1] * own)

    def _directions(self, rng: np.random.Generator, number: int) -> NDArray[np.float64]:
        return _unit(rng.standard_normal((number, _LATENT)) @ self._map)


def exact(made: Made, queries: Rows, k: int) -> NDArray[np.int64]:
    """int64[Q, k]: numbers of the chunks with the highest cosine to each query, best first, by looking at every one."""
    numbers = np.full((len(queries), 0), -1, np.int64)
    scores = np.full((len(queries), 0), -np.inf, np.float32)
    for part in made.parts():
        here = np.broadcast_to(np.arange(part.start, part.start + len(part.vectors)), (len(queries), len(part.vectors)))
        numbers = np.concatenate([numbers, here], axis=1)
        scores = np.concatenate([scores, queries @ part.vectors.T], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        numbers, scores = np.take_along_axis(numbers, best, 1), np.take_along_axis(scores, best, 1)
    return numbers


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _stretched(rng: np.random.Generator, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """`rows` times a length that is 1 on average."""
    return rows * rng.lognormal(-(_SPREAD**2) / 2, _SPREAD, (len(rows), 1))


def _words(rng: np.random.Generator, topic: int) -> NDArray[np.int64]:
    """The numbers of a chunk's words: half of them from anywhere, half from those that its topic prefers."""
    anywhere = rng.zipf(1.2, WORDS // 2) % _VOCABULARY
    preferred = (topic * 7919 + rng.integers(0, _OF_TOPIC, WORDS - WORDS // 2)) % _VOCABULARY
    return np.concatenate([anywhere, preferred])


def _text(words: NDArray[np.int64]) -> str:
    return " ".join(f"w{word}" for word in words)
