"""A model between two: how far to go from the one before tuning to the tuned one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rag.errors import TuneError
from rag.tune.text_model import TextModel
from rag.tune.train_text import TextEmbedderLike

if TYPE_CHECKING:
    from rag.embed.device import DeviceSetting

ALPHAS = tuple(i / 10 for i in range(11))
ALLOWED_DROP = 0.005  # of the canary's score: what questions about other subjects may lose


@dataclass(frozen=True, slots=True)
class Tried:
    """A blend and its scores, more is better; `canary` is None where there are no questions about other subjects."""

    alpha: float
    score: float
    canary: float | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The blend that was chosen, of all that were tried. `alpha` 0 is the base: then tuning was no use."""

    alpha: float
    tried: tuple[Tried, ...]


def blend(base: Path, tuned: Path, alpha: float, to: Path) -> None:
    """Write the folder `to` with the weights (1 - alpha) theta_base + alpha theta_tuned, and all else of `base`.

    Between a model and its fine-tuned self lie models that keep more of what the first one could than the second one
    does (Wortsman et al. 2022, https://arxiv.org/abs/2109.01903; for retrievers Xiao et al. 2023,
    https://arxiv.org/abs/2311.13534).

    Args:
        alpha: in [0, 1].

    Raises:
        TuneError: the two are not of one shape, or alpha is out of range.
        DiskFull: there is no room.
    """
    between = _Between(base, tuned, "cpu")
    between.go(alpha)
    between.model.save(to)


def choose_alpha(
    base: Path,
    tuned: Path,
    score: Callable[[TextEmbedderLike], float],
    canary: Callable[[TextEmbedderLike], float] | None = None,
    *,
    alphas: Sequence[float] = ALPHAS,
    allowed_drop: float = ALLOWED_DROP,
    device: "DeviceSetting" = "auto",
    on_tried: Callable[[Tried], None] = lambda tried: None,
) -> Chosen:
    """The blend with the best `score` of those whose `canary` is at most `allowed_drop` below the base's.

    Of equal ones it is the nearest to the base. 0, the base itself, is always tried.

    Raises:
        TuneError: the two models are not of one shape, or an alpha is out of range.
    """
    between = _Between(base, tuned, device)
    tried: list[Tried] = []
    for alpha in sorted({0.0, *alphas}):
        between.go(alpha)
        tried.append(Tried(alpha, score(between.model), canary(between.model) if canary else None))
        on_tried(tried[-1])
    before = tried[0].canary
    kept = [each for each in tried if before is None or each.canary is None or each.canary >= before - allowed_drop]
    return Chosen(max(kept, key=lambda each: (each.score, -each.alpha)).alpha, tuple(tried))


class _Between:
    """One model whose weights go to and fro between two others'."""

    def __init__(self, base: Path, tuned: Path, device: "DeviceSetting") -> None:
        self.model = TextModel(base, device)
        self._weights: Mapping[str, Tensor] = self.model.network.state_dict()
        self._base = {name: tensor.clone() for name, tensor in self._weights.items()}
        self._tuned = TextModel(tuned, device).network.state_dict()
        if {name: tensor.shape for name, tensor in self._tuned.items()} != {
            name: tensor.shape for name, tensor in self._base.items()
        }:
            raise TuneError(f"{str(tuned)!r} was not tuned from {str(base)!r}: its weights have other names or shapes")

    def go(self, alpha: float) -> None:
        if not 0 <= alpha <= 1:
            raise TuneError(f"a blend of {alpha} is not between the two models; alpha is from 0 to 1")
        with torch.no_grad():
            for name, weights in self._weights.items():
                if weights.is_floating_point():
                    weights.copy_((1 - alpha) * self._base[name] + alpha * self._tuned[name])
