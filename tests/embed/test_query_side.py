"""A tuned side beside a base: who embeds what, and what is left alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.embed.hashing import HashingEmbedder
from rag.embed.query_side import QuerySideEmbedder

BASE = HashingEmbedder(8)
TEXTS = ["bees in spring", "tax return", "honey"]


class Other(HashingEmbedder):
    """Another model, which tells what it was asked."""

    def __init__(self) -> None:
        super().__init__(8)
        self.asked: list[tuple[str, ...]] = []

    def embed(self, texts: Sequence[str], kind: Any) -> NDArray[np.float32]:
        self.asked.append(tuple(texts))
        return np.roll(super().embed(texts, kind), 3, axis=1)


def flipped(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return -rows


def test_passages_are_the_bases_and_so_is_the_space() -> None:
    tuned = QuerySideEmbedder(BASE, turn=flipped)
    assert (tuned.embed(TEXTS, "passage") == BASE.embed(TEXTS, "passage")).all()
    assert (tuned.embed(TEXTS, "query") == -BASE.embed(TEXTS, "query")).all()
    assert tuned.fingerprint == BASE.fingerprint
    assert (tuned.space, tuned.dim, tuned.max_tokens, tuned.state) == (
        BASE.space,
        BASE.dim,
        BASE.max_tokens,
        BASE.state,
    )


def test_only_what_is_at_home_reaches_the_tuned_side() -> None:
    model, base = Other(), BASE.embed(TEXTS, "query")
    home = np.array([True, False, True])
    tuned = QuerySideEmbedder(BASE, model=model, turn=flipped, is_home=lambda rows: home[: len(rows)])
    rows = tuned.embed(TEXTS, "query")
    assert model.asked == [("bees in spring", "honey")]
    assert (rows[1] == base[1]).all()
    assert (rows[[0, 2]] == -np.roll(base[[0, 2]], 3, axis=1)).all()
    away = QuerySideEmbedder(BASE, model=model, is_home=lambda rows: np.zeros(len(rows), bool))
    assert (away.embed(TEXTS, "query") == base).all()
    assert len(model.asked) == 1, "the model is not run for nothing"


def test_what_is_remembered_knows_queries_by_the_base() -> None:
    seen: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    def remember(before: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append((before, rows))
        return rows

    rows = QuerySideEmbedder(BASE, turn=flipped, remember=remember).embed(TEXTS, "query")
    before, after = seen[0]
    assert (before == BASE.embed(TEXTS, "query")).all()
    assert (after == rows).all()
