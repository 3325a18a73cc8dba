"""Which of the passages that BM25 found have the question's very words, in that form and side by side?

BM25 compares stems and takes every word for itself: "Musicals" finds whoever likes music, and "black tea" a passage
with a black hat and a green tea as well as one with black tea. That is right as long as nothing better is there. But of
two passages that BM25 takes for nearly alike, the one that has the words to the letter is likelier meant, so its score
is raised a little: exact forms beside stems are an old habit of search engines, and two words side by side as one more
thing to find are the ordered pairs of Metzler & Croft 2005, "A Markov Random Field Model for Term Dependencies" (SIGIR,
https://doi.org/10.1145/1076034.1076115).

    score * (1 + BONUS * share ** POWER),    share = found / sought, each word and pair counting by how rare it is

The power leaves long questions as they were, of which a passage has a few words to the letter by chance. eval/LOG.md
has what came of it and what else was tried.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import regex
from numpy.typing import NDArray

from rag.function_words import telling
from rag.records import Chunk, Match

BONUS = 0.2  # at most; .1 to .3 do
POWER = 2.0
FIRST = 100  # passages that are looked at, however long the list
_WORDS = 32  # of a question, the first ones: to have all of a longer one would be chance
_WORD = regex.compile(r"[\p{L}\p{N}\p{M}]+")


def raised(question: str, matches: Sequence[Match]) -> tuple[Match, ...]:
    """`matches` of BM25, best first, with the first FIRST raised by what they have to the letter, and in that order.

    No score falls, so that a match behind them stays behind; equal ones stay as they were.
    """
    first = matches[:FIRST]
    words, pairs = _sought(question)
    if len(first) < 2 or not words:
        return tuple(matches)
    texts = [_folded(_said(match.chunk)) for match in first]
    shares = _shares(_standing(words, texts), _standing(pairs, texts))
    scored = [
        replace(match, score=match.score * (1 + BONUS * share**POWER))
        for match, share in zip(first, shares.tolist(), strict=True)
    ]
    return (*sorted(scored, key=lambda match: -match.score), *matches[FIRST:])


def _sought(question: str) -> tuple[list[str], list[str]]:
    """The telling words of `question`, and each two of them with nothing but what joins them as it was written."""
    text = _folded(question)
    spans = [match.span() for match in _WORD.finditer(text)][:_WORDS]
    told = set(telling([text[start:end] for start, end in spans]))
    words = [text[start:end] for start, end in spans if text[start:end] in told]
    pairs = [
        text[start:end]
        for (start, middle), (other, end) in pairwise(spans)
        if {text[start:middle], text[other:end]} <= told
    ]
    return list(dict.fromkeys(words)), list(dict.fromkeys(pairs))


def _said(chunk: Chunk) -> str:
    """All that BM25 compares of a chunk."""
    return "\n".join((chunk.context, chunk.caption, chunk.text, chunk.around))


def _folded(text: str) -> str:
    """Case, width and white space made alike."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _standing(sought: Sequence[str], texts: Sequence[str]) -> NDArray[np.bool_]:
    """bool[S, N]: which of `sought` stand in which of `texts`."""
    return np.array([[_stands(words, text) for text in texts] for words in sought], bool).reshape(-1, len(texts))


def _stands(words: str, text: str) -> bool:
    """Whether `words` stand in `text`, not as a part of longer words."""
    at = text.find(words)
    while at >= 0:
        end = at + len(words)
        if not (text[max(at - 1, 0) : at].isalnum() or text[end : end + 1].isalnum()):
            return True
        at = text.find(words, at + 1)
    return False


def _shares(words: NDArray[np.bool_], pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float64[N] in [0, 1] of bool[W, N] and bool[P, N], W > 0: how much of all that is sought each passage has.

    A word in another form alone is one that is lacking. Two words that stand together nowhere are no expression, and
    were not sought.
    """
    found = np.concatenate((words, pairs[pairs.any(axis=1)]))
    frequency, n = found.sum(axis=1), found.shape[1]
    rarity = np.log(1 + (n - frequency + 0.5) / (frequency + 0.5))  # BM25's idf, among these passages
    return np.asarray(rarity @ found / rarity.sum())
