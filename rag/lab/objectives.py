"""What the lab can train by: the losses of `rag.tune.loss` on one batch of labelled images.

A batch is embedded once, and pairs are made within it: each image with one of the same label and one of another. By
pairs of a batch an image costs one pass through the network, not two.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rag.tune import loss


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows of a batch, int64[M] each: every `anchor` with a `same` of its label and an `other` of another label."""

    anchor: Tensor
    same: Tensor
    other: Tensor


def draw_pairs(labels: Tensor, generator: torch.Generator) -> Pairs:
    """A pair of each kind for every image of a batch that has one, drawn evenly.

    `labels` is int64[N]; images whose label is alone, or the only one, are left out.
    """
    alike = labels.unsqueeze(0) == labels.unsqueeze(1)
    different = ~alike
    alike.fill_diagonal_(False)
    has_both = alike.any(dim=1) & different.any(dim=1)
    anchor = has_both.nonzero().squeeze(1)
    return Pairs(anchor, _drawn(alike[anchor], generator), _drawn(different[anchor], generator))


def _drawn(allowed: Tensor, generator: torch.Generator) -> Tensor:
    """One allowed column of each row of bool[M, N]; every row has one."""
    if not len(allowed):
        return torch.zeros(0, dtype=torch.int64)
    return torch.multinomial(allowed.float(), 1, generator=generator).squeeze(1)


Objective = Callable[[Tensor, Tensor, Pairs, Tensor], Tensor]
"""(vectors float32[N, 64], labels int64[N], pairs, half bool[M]) -> the loss; `half` says which pairs are alike."""


def _cosine_mse(vectors: Tensor, labels: Tensor, pairs: Pairs, half: Tensor) -> Tensor:
    partner = torch.where(half, pairs.same, pairs.other)
    return loss.cosine_mse(vectors[pairs.anchor], vectors[partner], half.float())


def _margin(vectors: Tensor, labels: Tensor, pairs: Pairs, half: Tensor) -> Tensor:
    partner = torch.where(half, pairs.same, pairs.other)
    return loss.margin_contrastive(vectors[pairs.anchor], vectors[partner], half.float())


def _cosent(vectors: Tensor, labels: Tensor, pairs: Pairs, half: Tensor) -> Tensor:
    partner = torch.where(half, pairs.same, pairs.other)
    return loss.cosent(vectors[pairs.anchor], vectors[partner], half.float())


def _triplet(vectors: Tensor, labels: Tensor, pairs: Pairs, half: Tensor) -> Tensor:
    return loss.triplet(vectors[pairs.anchor], vectors[pairs.same], vectors[pairs.other])


def _info_nce(vectors: Tensor, labels: Tensor, pairs: Pairs, half: Tensor) -> Tensor:
    same = labels[pairs.same].unsqueeze(0) == labels[pairs.anchor].unsqueeze(1)
    return loss.info_nce(vectors[pairs.anchor], vectors[pairs.same], ignored=same)


OBJECTIVES: Mapping[str, Objective] = {
    "cosine-mse": _cosine_mse,
    "margin": _margin,
    "triplet": _triplet,
    "cosent": _cosent,
    "infonce": _info_nce,
}
"""By name; the first is the classic one: the cosine of a pair is to be 1 or 0."""
