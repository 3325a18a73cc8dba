"""Where a training stands, on disk: weights and optimizer in safetensors, the rest as JSON in their header.

A checkpoint is one file that appears whole under its name or not at all. Random generators need none: each step of a
training seeds them anew.
"""

import errno
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from rag.errors import DiskFull, TuneError

_CHECKPOINT = re.compile(r"step-(\d{7})\.safetensors")
_BEST = re.compile(r"best-(\d{4})\.safetensors")
_KEPT = 2  # checkpoints: the last one, and the one before in case that it is damaged
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, *((39, 112) if sys.platform == "win32" else ()))


@dataclass(frozen=True, slots=True)
class State:
    """Where a training stands after `step` steps; `of` is the fingerprint of what is trained on what.

    `losses` and `scores` are those of finished epochs, `open_losses` those of the steps of the one in work.
    """

    of: str
    step: int = 0
    losses: tuple[float, ...] = ()
    open_losses: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()

    @property
    def best(self) -> int:
        """The epoch with the best score, from 1; the earliest of several, 0 where none was scored."""
        return self.scores.index(max(self.scores)) + 1 if self.scores else 0


class Checkpoints:
    """The checkpoints of one training in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, state: State, weights: Mapping[str, Tensor], optimizer: Optimizer) -> None:
        """Write a checkpoint, then remove those that it makes needless.

        Raises:
            DiskFull: there is no room; the checkpoints before are whole.
        """
        tensors = {f"weights/{name}": each.detach() for name, each in weights.items()}
        for name, each in weights.items():
            tensors |= {f"{key}/{name}": value for key, value in optimizer.state.get(each, {}).items()}
        _write(self.folder / f"step-{state.step:07}.safetensors", tensors, state)
        for _, path in _numbered(self.folder, _CHECKPOINT)[:-_KEPT]:
            path.unlink()
        for epoch, path in _numbered(self.folder, _BEST):
            if epoch != state.best:
                path.unlink()

    def save_best(self, state: State, weights: Mapping[str, Parameter]) -> None:
        """Keep the weights of the best epoch; call it before `save`.

        Raises:
            DiskFull: there is no room; the checkpoints before are whole.
        """
        tensors = {f"weights/{name}": each.detach() for name, each in weights.items()}
        _write(self.folder / f"best-{state.best:04}.safetensors", tensors, state)

    def last(self, of: str) -> tuple[State, dict[str, Tensor]] | None:
        """The newest checkpoint, None where there is none.

        Raises:
            TuneError: it is damaged, or of another training.
        """
        found = _numbered(self.folder, _CHECKPOINT)
        return _read(found[-1][1], of) if found else None

    def best(self, state: State) -> dict[str, Tensor]:
        """The tensors "weights/…" of the best epoch.

        Raises:
            TuneError: as `last`.
        """
        return _read(self.folder / f"best-{state.best:04}.safetensors", state.of)[1]


def put_back(tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    """Set the weights to those of a checkpoint."""
    for name, each in weights.items():
        each.data.copy_(tensors[f"weights/{name}"])


def put_back_optimizer(tensors: Mapping[str, Tensor], weights: Mapping[str, Parameter], optimizer: Optimizer) -> None:
    """Set what the optimizer remembers of each weight to what it did at the checkpoint."""
    for name, each in weights.items():
        kept = {key.partition("/")[0]: value for key, value in tensors.items() if key.partition("/")[2] == name}
        del kept["weights"]
        # Adam counts its steps on a tensor of its own, and keeps its moments where the weights are.
        optimizer.state[each] = {key: value.to(each.device) for key, value in kept.items()}


@contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """Turn a write that failed for want of room into DiskFull."""
    try:
        yield
    except (OSError, SafetensorError) as exc:
        # safetensors and shutil say it in words alone: "… (os error 28)", "[Errno 28] …".
        said = re.search(r"(?:os error|Errno) (\d+)", str(exc))
        number = int(said[1]) if said else getattr(exc, "errno", None)
        if number not in _FULL:
            raise
        raise DiskFull(f"no room left to write {str(path)!r}; make room, then train again to go on from there") from exc


def _write(path: Path, tensors: Mapping[str, Tensor], state: State) -> None:
    part = path.with_name(path.name + ".part")
    try:
        with full_disk_named(path):
            on_cpu = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
            save_file(on_cpu, part, metadata={"state": json.dumps(asdict(state))})
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _read(path: Path, of: str) -> tuple[State, dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            said: dict[str, Any] = json.loads(file.metadata()["state"])
        state = State(
            said["of"], said["step"], tuple(said["losses"]), tuple(said["open_losses"]), tuple(said["scores"])
        )
        tensors = load_file(path)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as exc:
        raise TuneError(
            f"the checkpoint {str(path)!r} is damaged ({exc}); remove it to go on from the one before"
        ) from exc
    if state.of != of:
        raise TuneError(
            f"the checkpoint {str(path)!r} is of a training with other pairs, options or another model; "
            "train into a new folder, or remove the checkpoints"
        )
    return state, tensors


def _numbered(folder: Path, pattern: re.Pattern[str]) -> list[tuple[int, Path]]:
    found = [(pattern.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted((int(match[1]), path) for match, path in found if match)
