"""Train the lab's network, with a checkpoint after every epoch to go on from."""

import hashlib
import json
import math
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rag.errors import LabError
from rag.lab.images import Images
from rag.lab.network import DigitNetwork, new_network
from rag.lab.objectives import OBJECTIVES, draw_pairs

_CHECKPOINT = re.compile(r"epoch-(\d{4})\.safetensors")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. Equal recipes, images and numbers of threads give equal weights, bit by bit, on a CPU.

    The rate falls by `rate_falls_to` after every `rate_falls_every` epochs: the classic demonstration's Adam at .005
    and StepLR(7, .3).
    """

    objective: str = "cosine-mse"
    batch: int = 64
    learning_rate: float = 0.005
    rate_falls_every: int = 7
    rate_falls_to: float = 0.3
    seed: int = 0

    def rate(self, epoch: int) -> float:
        """The learning rate of `epoch`, which counts from 1."""
        return self.learning_rate * self.rate_falls_to ** ((epoch - 1) // self.rate_falls_every)


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to: `number` counts from 1; `loss` is the mean over its batches."""

    number: int
    loss: float
    pairs: int
    seconds: float


def train(
    images: Images,
    recipe: Recipe,
    epochs: int,
    folder: Path,
    device: str = "cpu",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> tuple[DigitNetwork, list[Epoch]]:
    """Train until `epochs` are done, going on from the last checkpoint in `folder` if there is one.

    The end is bit by bit the one that an uninterrupted run comes to, on a CPU with as many threads.

    Raises:
        LabError: a checkpoint is damaged or of another recipe or other images, or the loss is no number any more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _, _, height, width = images.pixels.shape
    network = new_network(height, width, recipe.seed).to(device)
    optimizer = torch.optim.Adam(network.parameters(), recipe.learning_rate)
    generator = torch.Generator().manual_seed(recipe.seed)
    of = _fingerprint(images, recipe)
    done = _resume(folder, of, network, optimizer, generator)
    pixels, labels = torch.from_numpy(images.pixels), torch.from_numpy(images.labels)
    for number in range(len(done) + 1, epochs + 1):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(number)
        epoch = _run(number, network, optimizer, pixels, labels, recipe, generator)
        done.append(epoch)
        _save(folder / f"epoch-{number:04}.safetensors", of, network, optimizer, generator, done)
        on_epoch(epoch)
    return network.eval(), done[:epochs]


def _run(
    number: int,
    network: DigitNetwork,
    optimizer: torch.optim.Adam,
    pixels: Tensor,
    labels: Tensor,
    recipe: Recipe,
    generator: torch.Generator,
) -> Epoch:
    started, total, pairs, batches = time.perf_counter(), 0.0, 0, 0
    device = next(network.parameters()).device
    network.train()
    for rows in torch.split(torch.randperm(len(labels), generator=generator), recipe.batch):
        drawn = draw_pairs(labels[rows], generator)
        half = torch.rand(len(drawn.anchor), generator=generator) < 0.5
        if not len(drawn.anchor):
            continue
        vectors = network(pixels[rows].to(device)).cpu()
        loss = OBJECTIVES[recipe.objective](vectors, labels[rows], drawn, half)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total, pairs, batches = total + loss.item(), pairs + len(drawn.anchor), batches + 1
    mean = total / batches if batches else math.nan
    if not math.isfinite(mean):
        raise LabError(f"the loss of epoch {number} is {mean}: train with a smaller rate, or with more images")
    return Epoch(number, mean, pairs, time.perf_counter() - started)


def _fingerprint(images: Images, recipe: Recipe) -> str:
    digest = hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode())
    digest.update(images.pixels.tobytes())
    digest.update(images.labels.tobytes())
    return digest.hexdigest()


def _save(
    path: Path,
    of: str,
    network: DigitNetwork,
    optimizer: torch.optim.Adam,
    generator: torch.Generator,
    done: list[Epoch],
) -> None:
    """All that going on needs, in one file that is there whole or not at all."""
    tensors = {"generator": generator.get_state()}
    for name, weights in network.named_parameters():
        tensors[f"weights/{name}"] = weights.detach().cpu().contiguous()
        for key, value in optimizer.state[weights].items():
            tensors[f"{key}/{name}"] = value.detach().cpu().contiguous()
    part = path.with_suffix(".part")
    save_file(tensors, part, {"of": of, "epochs": json.dumps([asdict(epoch) for epoch in done])})
    part.replace(path)


def _resume(
    folder: Path, of: str, network: DigitNetwork, optimizer: torch.optim.Adam, generator: torch.Generator
) -> list[Epoch]:
    """Put back what the last checkpoint in `folder` holds; the epochs that it has behind it."""
    found = sorted(path for path in folder.iterdir() if _CHECKPOINT.fullmatch(path.name))
    if not found:
        return []
    path = found[-1]
    try:
        with safe_open(path, framework="pt") as file:
            if file.metadata().get("of") != of:
                raise LabError(
                    f"{str(folder)!r} holds the training of other images or by another recipe; name another folder"
                )
            done = [Epoch(**values) for values in json.loads(file.metadata()["epochs"])]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is not a dict
    except (SafetensorError, OSError, KeyError, ValueError) as exc:
        raise LabError(
            f"the checkpoint {str(path)!r} is damaged ({exc}); remove it to go on from the one before"
        ) from exc
    generator.set_state(tensors.pop("generator"))
    with torch.no_grad():
        for name, weights in network.named_parameters():
            weights.copy_(tensors[f"weights/{name}"])
            keys = [
                key.partition("/")[0] for key in tensors if key.endswith(f"/{name}") and not key.startswith("weights/")
            ]
            optimizer.state[weights] = {key: tensors[f"{key}/{name}"].to(_place(key, weights)) for key in keys}
    return done


def _place(key: str, weights: Tensor) -> torch.device:
    """Adam counts its steps on the CPU and keeps its moments where the weights are."""
    return torch.device("cpu") if key == "step" else weights.device
