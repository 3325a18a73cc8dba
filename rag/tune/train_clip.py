"""Teach an open_clip model that pictures belong to their captions.

The loss is CLIP's (Radford et al. 2021, https://arxiv.org/abs/2103.00020): of a batch of N pairs every picture is to
pick its caption among N and every caption its picture, by cosine times a learnt scale; the mean of both
cross-entropies. The code of it is open_clip's `ClipLoss`.
"""

import math
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from PIL.Image import Image
from safetensors.torch import save_file
from torch import Tensor

from rag.embed.clip_files import WEIGHTS, clip_in
from rag.embed.clip_model import ClipModel, load_clip

_LARGEST_SCALE = math.log(100)  # as in the paper: a scale above 100 made training unstable


@dataclass(frozen=True, slots=True)
class Training:
    """How to train. Equal settings, pairs and number of threads give equal weights on a CPU.

    `warm_up` is the share of all steps in which the learning rate rises from 0; then it falls to 0 along a cosine.
    Weight decay spares biases, norms and the scale, as in the paper.
    """

    epochs: int = 10
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    warm_up: float = 0.1
    largest_gradient: float = 1.0  # norm that a step's gradient is cut to
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of many: `number` counts from 1, `loss` is the mean of both cross-entropies, in nats."""

    number: int
    total: int
    loss: float


def train_clip(
    start: Path,
    pairs: Iterable[tuple[Image, str]],
    to: Path,
    training: Training = Training(),
    on_step: Callable[[Step], None] = lambda step: None,
) -> None:
    """Train the model in the folder `start` on `pairs` and write it to the folder `to`, which open_clip loads as well.

    `start` holds open_clip_config.json, the tokenizer's files where the model has its own, and the weights to go on
    from; without weights, training begins from chance. All pictures are kept in memory at the model's size.

    Raises:
        ModelNotFound, ModelCorrupt: as `rag.embed.clip_files.clip_in`.
        ValueError: there are fewer than two pairs.
    """
    torch.manual_seed(training.seed)
    files = clip_in(start, trained=any(start.glob("*.safetensors")))
    model = load_clip(files, training.device)
    pixels, tokens = _prepared(model, pairs)
    _fit(model.network, pixels, tokens, training, on_step)
    _save(model.network, start, to)


def _prepared(model: ClipModel, pairs: Iterable[tuple[Image, str]]) -> tuple[Tensor, Tensor]:
    """float32[N, 3, H, W] and int64[N, L]."""
    pictures, captions = [], []
    for picture, caption in pairs:
        pictures.append(model.preprocess(picture))
        captions.append(caption)
    if len(captions) < 2:
        raise ValueError("two pairs of a picture and a caption are the least that can be told apart")
    return torch.stack(pictures), model.tokenize(captions)


def _fit(network: Any, pixels: Tensor, tokens: Tensor, training: Training, on_step: Callable[[Step], None]) -> None:
    optimizer = torch.optim.AdamW(
        _parameters(network, training.weight_decay), training.learning_rate, betas=(0.9, 0.98)
    )
    batches = max(len(tokens) // training.batch, 1)
    total = batches * training.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, total, training.warm_up))
    loss_of = open_clip.ClipLoss()
    order = torch.Generator().manual_seed(training.seed)
    network.train()
    for number in range(total):
        if number % batches == 0:
            shuffled = torch.randperm(len(tokens), generator=order)
        rows = shuffled[number % batches * training.batch :][: training.batch]
        pictures = network.encode_image(pixels[rows].to(training.device), normalize=True)
        captions = network.encode_text(tokens[rows].to(training.device), normalize=True)
        loss = loss_of(pictures, captions, network.logit_scale.exp())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), training.largest_gradient)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            network.logit_scale.clamp_(0, _LARGEST_SCALE)
        on_step(Step(number + 1, total, loss.item()))
    network.eval()


def _parameters(network: Any, weight_decay: float) -> list[dict[str, Any]]:
    decayed = [p for p in network.parameters() if p.requires_grad and p.ndim >= 2]
    spared = [p for p in network.parameters() if p.requires_grad and p.ndim < 2]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]


def _rate(step: int, total: int, warm_up: float) -> float:
    """The share of the learning rate at `step` (from 0) of `total`."""
    rising = max(round(total * warm_up), 1)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(total - rising, 1)))


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
