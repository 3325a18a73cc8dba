"""Teach an open_clip model its owner's words for pictures: the text side learns, the picture side stays as it is.

Pictures are given by their vectors, which nothing changes, so that none of them has to be there, let alone looked at
again (locked-image tuning, Zhai et al. 2022, https://arxiv.org/abs/2111.07991; the lock is open_clip's). The weights
are then blended with those from before, which keeps what was known (WiSE-FT, Wortsman et al. 2022,
https://arxiv.org/abs/2109.01903): theta = (1 - alpha) theta_0 + alpha theta_1.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from rag.embed.clip_files import ClipFiles
from rag.embed.clip_model import ClipModel, load_clip
from rag.embed.clip_words import BASE
from rag.errors import TuneError
from rag.files import write_whole
from rag.tune.checkpoints import Checkpoints
from rag.tune.clip_fit import Saved, Step, Training, apart, fit, steps_of

LEAST = 10  # pairs; fewer teach nothing
ALPHAS = tuple(tenth / 10 for tenth in range(11))
_BATCH = 64  # texts embedded in one step
_TOLERATED = 0.005  # of the reciprocal rank of what was known, that a blend may lose

WORDS_TRAINING = Training(epochs=10, batch=64, learning_rate=1e-5)
"""For models of the usual size, at the rate of FLYP (Goyal et al. 2023, https://arxiv.org/abs/2212.00638)."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """Pairs of words and a picture, which is given by its name (the same one has the same) and by its vector.

    `pictures` is float32[N, D], unit rows.
    """

    texts: tuple[str, ...]
    names: tuple[str, ...]
    pictures: Vectors = field(repr=False)

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class WordsTrained:
    """What came of it: `alpha` of the blend that was written, chosen by `scores`.

    A score is (alpha, mean reciprocal rank of the right picture on held-out pairs, the same on what was known; None
    where nothing of that was given).
    """

    alpha: float
    scores: tuple[tuple[float, float, float | None], ...]
    steps: int
    loss: float


def train_words(
    files: ClipFiles,
    pairs: Described,
    to: Path,
    training: Training = WORDS_TRAINING,
    *,
    dev: Described | None = None,
    known: Described | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
    stop: Event | None = None,
    folder: Path | None = None,
) -> WordsTrained | None:
    """Train the text side of `files` on `pairs` and write it to the file `to`; None where `stop` ended it before.

    With a `folder`, checkpoints are kept there, and the same call goes on from the last of them: the end is bit by
    bit the one that an uninterrupted run comes to, on a CPU with as many threads.

    Args:
        dev: pairs that were held out, to choose the blend by; without any the tuned weights are taken as they are.
        known: pairs in words that the model knew before, of which the blend is to lose no more than half a point.

    Raises:
        TuneError: there are fewer than ten pairs, they are all of one picture, a vector is no vector of this model,
            the loss is no number any more, or a checkpoint is of another training.
        ModelCorrupt, ModelNotFound: the model cannot be loaded.
        DiskFull: there is no room.
    """
    pairs = _usable(pairs, files.dim)
    torch.manual_seed(training.seed)
    model = load_clip(files, training.device)
    before = {name: weights.detach().cpu().clone() for name, weights in model.words().items()}
    saved = Saved(Checkpoints(folder), _fingerprint(files, pairs, training)) if folder else None
    last = _trained(model, pairs, training, on_step, stop, saved)
    if last is None:
        return None
    after = {name: weights.detach().cpu().clone() for name, weights in model.words().items()}
    scores = _swept(model, before, after, [each for each in (dev, known) if each]) if dev else ()
    alpha = _chosen(scores)
    _write(to, blended(before, after, alpha), files.fingerprint)
    return WordsTrained(alpha, scores, last.number, last.loss)


def blended(before: Mapping[str, Tensor], after: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """(1 - alpha) of the weights before and alpha of those after; whole numbers are those from before."""
    return {
        name: torch.lerp(weights, after[name], alpha) if weights.is_floating_point() else weights
        for name, weights in before.items()
    }


def reciprocal_rank(words: Vectors, described: Described) -> float:
    """The mean of 1 / the place of the right picture, for float32[N, D] `words`, among all pictures of `described`."""
    names = list(dict.fromkeys(described.names))
    first = [described.names.index(name) for name in names]
    cosines = words @ described.pictures[first].T
    own = cosines[np.arange(len(words)), [names.index(name) for name in described.names]]
    places = 1 + (cosines > own[:, None]).sum(axis=1)
    return float((1 / places).mean())


def _usable(pairs: Described, dim: int) -> Described:
    """Each pair once."""
    if pairs.pictures.shape != (len(pairs), dim) or not np.isfinite(pairs.pictures).all():
        raise TuneError(
            f"a vector of a picture is not one of this model ({dim} finite numbers); let it look at the pictures again"
        )
    different = {pair: row for row, pair in enumerate(zip(pairs.texts, pairs.names, strict=True))}
    rows = list(different.values())
    if len(rows) < LEAST:
        raise TuneError(
            f"there are {len(rows)} different pairs of words and a picture to learn from, and {LEAST} are the least; "
            "search for pictures and say which was right, or bring pairs: rag tune import FILE"
        )
    if len({pairs.names[row] for row in rows}) == 1:
        raise TuneError(
            f"all {len(rows)} pairs are of one picture: it would be found whatever is asked; pairs of others are needed"
        )
    return Described(tuple(pairs.texts[r] for r in rows), tuple(pairs.names[r] for r in rows), pairs.pictures[rows])


def _trained(
    model: ClipModel,
    pairs: Described,
    training: Training,
    on_step: Callable[[Step], None],
    stop: Event | None,
    saved: Saved | None,
) -> Step | None:
    """The last step, None where it was stopped; `model` has the tuned weights."""
    network, tokens = model.network, model.tokenize(pairs.texts)
    network.lock_image_tower()
    pictures = torch.from_numpy(pairs.pictures)

    def towers(rows: Tensor) -> tuple[Tensor, Tensor]:
        words: Tensor = network.encode_text(tokens[rows].to(training.device), normalize=True)
        return pictures[rows].to(training.device), words

    keys = [{f"text {text}", f"picture {name}"} for text, name in zip(pairs.texts, pairs.names, strict=True)]
    steps = steps_of(len(pairs), training)
    return fit(network, towers, apart(keys, training.batch), steps, training, on_step, stop, saved)


def _fingerprint(files: ClipFiles, pairs: Described, training: Training) -> str:
    """sha256 over everything that a training's steps depend on but the machine."""
    options = {name: value for name, value in asdict(training).items() if name != "save_every"}
    parts = [files.fingerprint, options, pairs.texts, pairs.names]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode() + pairs.pictures.tobytes()).hexdigest()


def _swept(
    model: ClipModel, before: Mapping[str, Tensor], after: Mapping[str, Tensor], asked: Sequence[Described]
) -> tuple[tuple[float, float, float | None], ...]:
    found = []
    for alpha in ALPHAS:
        model.network.load_state_dict(blended(before, after, alpha), strict=False)
        scores = [reciprocal_rank(_read(model, each.texts), each) for each in asked]
        found.append((alpha, scores[0], scores[1] if len(scores) > 1 else None))
    return tuple(found)


def _chosen(scores: Sequence[tuple[float, float, float | None]]) -> float:
    """The best alpha on held-out pairs among those that lose little of what was known; of equals the smallest."""
    if not scores:
        return 1.0
    floor = (scores[0][2] or 0.0) - _TOLERATED
    kept = [score for score in scores if score[2] is None or score[2] >= floor]
    return max(kept, key=lambda score: (score[1], -score[0]))[0]


def _read(model: ClipModel, texts: Sequence[str]) -> Vectors:
    return np.concatenate([model.read(texts[at : at + _BATCH]) for at in range(0, len(texts), _BATCH)])


def _write(path: Path, weights: Mapping[str, Tensor], base: str) -> None:
    """Write the file whole or not at all."""
    write_whole(path, save({name: each.contiguous() for name, each in weights.items()}, {BASE: base}), TuneError)
