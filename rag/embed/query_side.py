"""An embedder whose queries have learnt: passages are its base's, and so is what it takes to compare with them."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag.embed.wrapped import WrappedEmbedder
from rag.protocols import Embedder

Rows = NDArray[np.float32]
IsHome = Callable[[Rows], NDArray[np.bool_]]
"""float32[N, D] vectors of the base -> bool[N]: are these like the queries that were learnt from?"""
Turn = Callable[[Rows], Rows]
"""float32[N, D] unit rows -> float32[N, D] unit rows."""
Remember = Callable[[Rows, Rows], Rows]
"""Vectors of the base, by which a query is known again, and those so far -> those with what is remembered of them."""


class QuerySideEmbedder(WrappedEmbedder):
    """An Embedder of `base`'s space and fingerprint. Queries at home take the tuned side, all others the base's.

    Args:
        base: embeds every passage, and every query first.
        model: embeds queries in the space of the base's passages.
        turn: what becomes of the vectors of queries, after `model` where there is one.
        is_home: None: every query is at home.
        remember: what is remembered of queries that were asked before; wherever they are.
    """

    def __init__(
        self,
        base: Embedder,
        *,
        model: Embedder | None = None,
        turn: Turn | None = None,
        is_home: IsHome | None = None,
        remember: Remember | None = None,
    ) -> None:
        super().__init__(base)
        self._model = model
        self._turn = turn
        self._is_home = is_home
        self._remember = remember

    def load(self) -> None:
        super().load()
        if self._model is not None:
            self._model.load()

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> Rows:
        """See `Embedder.embed`."""
        before = self._base.embed(texts, kind)
        if kind == "passage" or not len(before):
            return before
        after = self._tuned(texts, before)
        return after if self._remember is None else self._remember(before, after)

    def _tuned(self, texts: Sequence[str], before: Rows) -> Rows:
        """`before` with the rows of those at home by the tuned side."""
        if self._model is None and self._turn is None:
            return before
        home = np.ones(len(before), bool) if self._is_home is None else self._is_home(before)
        if not home.any():
            return before
        rows = before[home]
        if self._model is not None:
            rows = self._model.embed([text for text, is_home in zip(texts, home, strict=True) if is_home], "query")
        after = before.copy()
        after[home] = rows if self._turn is None else self._turn(rows)
        return after
