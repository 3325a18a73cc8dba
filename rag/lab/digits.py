"""The demonstration, whole: train by each loss asked for, measure the space before and after, and lay it out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

from rag.lab.images import Images, load_images
from rag.lab.measure import Quality, quality
from rag.lab.network import DigitNetwork, embed, new_network
from rag.lab.train import Epoch, Recipe, train
from rag.tune.layout import pca, umap
from rag.tune.space import nearest

_SHOWN = 1500  # images on a map
_EXAMPLES, _NEIGHBOURS = 8, 6

OnEpoch = Callable[[str, Epoch], None]
"""(objective, epoch)"""


@dataclass(frozen=True, slots=True)
class Space:
    """A space and how good it is: the pixels themselves, the network before training, or after it by one loss."""

    name: str
    quality: Quality
    epochs: tuple[Epoch, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The shown images by one method: float32[N, 2 or 3] before and after training by the first loss."""

    method: str
    before: NDArray[np.float32]
    after: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """A test image and the training images nearest to it, best first: float32[H, W] each, and whether labels agree."""

    asked: NDArray[np.float32]
    found: tuple[NDArray[np.float32], ...]
    right: tuple[bool, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Demonstration:
    """All that the report shows; `labels` is int64[N] of the images on the maps."""

    trained_on: int
    tested_on: int
    device: str
    spaces: tuple[Space, ...]
    labels: NDArray[np.int64]
    layouts: tuple[Layout, ...]
    neighbours: tuple[Neighbours, ...]


def demonstrate(
    data: Path | None,
    objectives: Sequence[str],
    epochs: int,
    folder: Path,
    *,
    seed: int = 0,
    device: str = "auto",
    on_epoch: OnEpoch = lambda objective, epoch: None,
) -> Demonstration:
    """Train by each of `objectives` (names in OBJECTIVES) and compare; checkpoints are kept in `folder`.

    Args:
        data: as `rag.lab.images.load_images`.
        device: auto, cpu or cuda.

    Raises:
        LabError: the data or a checkpoint cannot be used.
    """
    known, asked = load_images(data, seed)
    device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    untrained = new_network(known.pixels.shape[2], known.pixels.shape[3], seed).to(device)
    spaces = [_pixels(known, asked), Space("before training", _judged(untrained, known, asked))]
    trained: list[DigitNetwork] = []
    for name in objectives:
        recipe = Recipe(name, seed=seed)
        network, done = train(known, recipe, epochs, folder / name, device, partial(on_epoch, name))
        trained.append(network)
        spaces.append(Space(name, _judged(network, known, asked), tuple(done)))
    shown = asked[np.arange(min(len(asked), _SHOWN))]
    return Demonstration(
        len(known),
        len(asked),
        device,
        tuple(spaces),
        shown.labels,
        _layouts(_vectors(untrained, shown), _vectors(trained[0], shown), seed),
        _neighbours(trained[0], known, shown),
    )


def _vectors(network: DigitNetwork, images: Images) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = embed(network, torch.from_numpy(images.pixels)).numpy()
    return vectors


def _judged(network: DigitNetwork, known: Images, asked: Images) -> Quality:
    return quality(_vectors(network, known), known.labels, _vectors(network, asked), asked.labels)


def _pixels(known: Images, asked: Images) -> Space:
    """What no learning at all comes to: the pixels as vectors of length 1."""

    def rows(images: Images) -> NDArray[np.float32]:
        flat = images.pixels.reshape(len(images), -1)
        unit: NDArray[np.float32] = normalize(flat)
        return unit

    return Space("pixels", quality(rows(known), known.labels, rows(asked), asked.labels))


def _layouts(before: NDArray[np.float32], after: NDArray[np.float32], seed: int) -> tuple[Layout, ...]:
    return (
        Layout("PCA in two dimensions", pca(before, 2), pca(after, 2)),
        Layout("UMAP in two dimensions", umap(before, 2, seed), umap(after, 2, seed)),
        Layout("PCA in three dimensions", pca(before, 3), pca(after, 3)),
        Layout("UMAP in three dimensions", umap(before, 3, seed), umap(after, 3, seed)),
    )


def _neighbours(network: DigitNetwork, known: Images, shown: Images) -> tuple[Neighbours, ...]:
    asked = shown[np.arange(min(len(shown), _EXAMPLES))]
    rows = nearest(_vectors(network, known), _vectors(network, asked), _NEIGHBOURS)
    return tuple(
        Neighbours(
            asked.pixels[i, 0],
            tuple(known.pixels[row, 0] for row in found),
            tuple(bool(known.labels[row] == asked.labels[i]) for row in found),
        )
        for i, found in enumerate(rows)
    )
