"""Tier 1a: a linear turn of query vectors, learnt in seconds on a CPU from vectors that are known already.

InfoNCE of rag.tune.loss with the other pairs of the batch, mined passages and a draw of the library as negatives, what
may be right after all left out, and a penalty that holds the turn near none at all: few pairs turn little.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rag.errors import TuneError
from rag.tune.head import LinearHead
from rag.tune.loss import TEMPERATURE, info_nce, likely_positives

Rows = NDArray[np.float32]
OnEpoch = Callable[[int, float, float | None], None]  # epoch from 1, mean loss, score where there is one


@dataclass(frozen=True, slots=True)
class LinearTraining:
    """How the head is learnt.

    Args:
        rank: of the turn.
        others: passages of the library, drawn anew for every step, that are wrong for all of its queries.
        penalty: weight of the squared Frobenius norm of U V^t.
        patience: epochs without a better score before it ends.
        seed: of the start and of the order of pairs. The same seed and number of threads give the same head.
    """

    rank: int = 32
    epochs: int = 50
    batch: int = 32
    others: int = 1000
    learning_rate: float = 1e-3
    penalty: float = 0.03
    temperature: float = TEMPERATURE
    patience: int = 8
    seed: int = 0


def fit_linear(
    queries: Rows,
    positives: Rows,
    negatives: Rows | None = None,
    training: LinearTraining = LinearTraining(),
    *,
    weights: Rows | None = None,
    library: Rows | None = None,
    score: Callable[[LinearHead], float] | None = None,
    on_epoch: OnEpoch = lambda epoch, loss, score: None,
    stop: Event | None = None,
) -> LinearHead:
    """The head with the best `score`, one that changes nothing among them; without `score` the last one.

    Args:
        queries: float32[N, D], N >= 2, unit rows as the base model gives them.
        positives: float32[N, D], the passages that answer them.
        negatives: float32[N, K, D], mined ones; a row of zeros stands for none.
        weights: float32[N] >= 0, how sure each pair is; None: all the same.
        library: float32[M, D], passages of the library, of which most are wrong for any query.
        score: how good a head is on questions that are held out; higher is better.
        stop: set it to end after the epoch in work.

    Raises:
        TuneError: the loss is no number any more.
    """
    fit = _Fit(queries, positives, negatives, weights, library, training)
    best = fit.head()
    best_score, since = (score(best) if score else -np.inf), 0
    for epoch in range(1, training.epochs + 1):
        if (stop is not None and stop.is_set()) or since >= training.patience:
            break
        loss = fit.epoch()
        if not np.isfinite(loss):
            raise TuneError(
                f"the loss became {loss} in epoch {epoch}; are there numbers among the vectors that are none?"
            )
        head = fit.head()
        found = score(head) if score else None
        on_epoch(epoch, loss, found)
        if found is None or found > best_score:
            best, best_score, since = head, best_score if found is None else found, 0
        else:
            since += 1
    return best


class _Fit:
    """A head that is being learnt: an epoch at a time."""

    def __init__(
        self,
        queries: Rows,
        positives: Rows,
        negatives: Rows | None,
        weights: Rows | None,
        library: Rows | None,
        training: LinearTraining,
    ) -> None:
        count, dim = queries.shape
        self._training = training
        self._order = torch.Generator().manual_seed(training.seed)
        self._queries, self._positives = torch.from_numpy(queries), torch.from_numpy(positives)
        self._negatives = torch.from_numpy(np.zeros((count, 0, dim), np.float32) if negatives is None else negatives)
        self._weights = torch.ones(count) if weights is None else torch.from_numpy(weights)
        self._library = torch.tensor(np.zeros((0, dim), np.float32) if library is None else library)
        self._v = (torch.randn(dim, training.rank, generator=self._order) / dim**0.5).requires_grad_()
        self._u = torch.zeros(dim, training.rank, requires_grad=True)
        self._steps = _Adam([self._u, self._v], training.learning_rate)

    def epoch(self) -> float:
        """Learn from every pair once, in an order of chance; the mean loss."""
        order = torch.randperm(len(self._queries), generator=self._order)
        losses = []
        for start in range(0, len(order), self._training.batch):
            rows = order[start : start + self._training.batch]
            if not self._weights[rows].any():
                continue
            loss = self._loss(rows)
            self._steps.take(torch.autograd.grad(loss, [self._u, self._v]))
            losses.append(loss.item())
        return float(np.mean(losses)) if losses else 0.0

    def head(self) -> LinearHead:
        return LinearHead(self._u.detach().numpy().copy(), self._v.detach().numpy().copy())

    def _others(self) -> Tensor:
        library: Tensor = self._library
        return library[torch.randperm(len(library), generator=self._order)[: self._training.others]]

    def _loss(self, rows: Tensor) -> Tensor:
        training, u, v, queries = self._training, self._u, self._v, self._queries[rows]
        documents = torch.cat([self._positives[rows], self._negatives[rows].flatten(0, 1), self._others()])
        unsure = likely_positives(queries, documents) | (documents == 0).all(dim=1)  # the base model is the guide
        turned = torch.nn.functional.normalize(queries + (queries @ v) @ u.T, dim=1)
        contrast = info_nce(
            turned, documents, temperature=training.temperature, weights=self._weights[rows], ignored=unsure
        )
        # ||U V^t||^2 = sum((U^t U) * (V^t V)), without the D x D matrix itself.
        size: Tensor = ((u.T @ u) * (v.T @ v)).sum()
        return contrast + training.penalty * size


class _Adam:
    """Adam (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980) without decay of weights.

    That of torch loads its compiler first, which takes longer than all that is learnt here.
    """

    _FIRST, _SECOND, _SMALL = 0.9, 0.999, 1e-8

    def __init__(self, weights: Sequence[Tensor], rate: float) -> None:
        self._weights = weights
        self._rate = rate
        self._means = [(torch.zeros_like(each), torch.zeros_like(each)) for each in weights]
        self._count = 0

    def take(self, gradients: Sequence[Tensor]) -> None:
        """One step down."""
        self._count += 1
        with torch.no_grad():
            for weights, (mean, square), gradient in zip(self._weights, self._means, gradients, strict=True):
                mean.lerp_(gradient, 1 - self._FIRST)
                square.lerp_(gradient.square(), 1 - self._SECOND)
                spread = (square / (1 - self._SECOND**self._count)).sqrt() + self._SMALL
                weights -= self._rate / (1 - self._FIRST**self._count) * mean / spread
