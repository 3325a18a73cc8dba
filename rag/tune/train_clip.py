"""Teach an open_clip model, both towers of it, that pictures belong to their captions."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Any

import torch
from PIL.Image import Image
from safetensors.torch import save_file
from torch import Tensor

from rag.embed.clip_files import WEIGHTS, ClipFiles, clip_in
from rag.embed.clip_model import ClipModel, load_clip
from rag.errors import TuneError
from rag.tune.checkpoints import Checkpoints
from rag.tune.clip_fit import Saved, Step, Training, apart, fit, shuffled, steps_of

_USUAL = Training()


def train_clip(
    start: Path,
    pairs: Iterable[tuple[Image, str]],
    to: Path,
    training: Training = _USUAL,
    on_step: Callable[[Step], None] = lambda step: None,
    stop: Event | None = None,
    *,
    alike: Sequence[Set[str]] | None = None,
    folder: Path | None = None,
) -> bool:
    """Train the model in the folder `start` on `pairs` and write it to the folder `to`, which open_clip loads as well.

    `start` holds open_clip_config.json, the tokenizer's files where the model has its own, and the weights to go on
    from; without weights, training begins from chance. All pictures are kept in memory at the model's size. What comes
    of it is another model: pictures that were looked at with the one in `start` are to be looked at again. Where `stop`
    ended it nothing is written, and the answer is False.

    With a `folder`, checkpoints are kept there, and the same call goes on from the last of them: the end is bit by
    bit the one that an uninterrupted run comes to, on a CPU with as many threads. Pairs that share one of the keys in
    `alike` (one set for each pair) are never told from each other.

    Raises:
        ModelNotFound, ModelCorrupt: as `rag.embed.clip_files.clip_in`.
        TuneError: there are fewer than two pairs, or the loss is no number any more.
    """
    torch.manual_seed(training.seed)
    files = clip_in(start, trained=any(start.glob("*.safetensors")))
    model = load_clip(files, training.device)
    pixels, tokens = _prepared(model, pairs)
    network = model.network

    def towers(rows: Tensor) -> tuple[Tensor, Tensor]:
        pictures: Tensor = network.encode_image(pixels[rows].to(training.device), normalize=True)
        captions: Tensor = network.encode_text(tokens[rows].to(training.device), normalize=True)
        return pictures, captions

    count = len(tokens)
    batches = shuffled(count, training.batch) if alike is None else apart(alike, training.batch)
    saved = Saved(Checkpoints(folder), _fingerprint(files, pixels, tokens, training)) if folder else None
    last = fit(network, towers, batches, steps_of(count, training), training, on_step, stop, saved)
    if last is not None:
        _save(network, start, to)
    return last is not None


def _prepared(model: ClipModel, pairs: Iterable[tuple[Image, str]]) -> tuple[Tensor, Tensor]:
    """float32[N, 3, H, W] and int64[N, L]."""
    pictures, captions = [], []
    for picture, caption in pairs:
        pictures.append(model.preprocess(picture))
        captions.append(caption)
    if len(captions) < 2:
        raise TuneError("two pairs of a picture and a caption are the least that can be told apart")
    return torch.stack(pictures), model.tokenize(captions)


def _fingerprint(files: ClipFiles, pixels: Tensor, tokens: Tensor, training: Training) -> str:
    """sha256 over everything that a training's steps depend on but the machine."""
    options = {name: value for name, value in asdict(training).items() if name != "save_every"}
    weights = files.fingerprint if files.weights else ""
    digest = hashlib.sha256(json.dumps([weights, files.model, options], sort_keys=True).encode())
    for each in (pixels, tokens):
        digest.update(each.numpy().tobytes())
    return digest.hexdigest()


def _save(network: Any, start: Path, to: Path) -> None:
    """The files of `start` with the new weights; the weights come last, so that a folder that has them is whole."""
    to.mkdir(parents=True, exist_ok=True)
    for path in start.iterdir():
        if path.is_file() and path.suffix != ".safetensors" and path.resolve() != (to / path.name).resolve():
            shutil.copyfile(path, to / path.name)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    part = to / f"{WEIGHTS}.part"
    save_file(weights, part)
    part.replace(to / WEIGHTS)
