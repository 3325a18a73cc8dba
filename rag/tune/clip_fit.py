"""Fit an open_clip model to pairs of a picture and a caption, a batch at a time.

A model with a learnt bias was trained by the sigmoid loss (Zhai et al. 2023, https://arxiv.org/abs/2303.15343) and goes
on with it; all others by CLIP's (Radford et al. 2021, https://arxiv.org/abs/2103.00020): of a batch of N pairs every
picture is to pick its caption among N and every caption its picture, by cosine times a learnt scale; the mean of both
cross-entropies. The code of both is open_clip's.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from threading import Event
from typing import Any

import numpy as np
import torch
from open_clip.loss import ClipLoss, SigLipLoss
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from rag.errors import TuneError
from rag.tune.checkpoints import Checkpoints, State, put_back, put_back_optimizer

_LARGEST_SCALE = math.log(100)  # as in CLIP's paper: a scale above 100 made training unstable

Towers = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Rows int64[B] -> float32[B, D] of their pictures and of their captions, rows of length 1."""

Batches = Callable[[torch.Generator], Iterator[Tensor]]
"""Batches without end, int64[B] each."""


@dataclass(frozen=True, slots=True)
class Training:
    """How to train. Equal settings, pairs and number of threads give equal weights on a CPU.

    `warm_up` is the share of all steps in which the learning rate rises from 0; then it falls to 0 along a cosine.
    Weight decay spares biases, norms and the scale, as in the paper. A batch goes through the network in `parts`:
    memory is that of one part, loss and gradients are those of the whole batch. `save_every` are steps from one
    checkpoint to the next, where there are any.
    """

    epochs: int = 10
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    warm_up: float = 0.1
    largest_gradient: float = 1.0  # norm that a step's gradient is cut to
    seed: int = 0
    device: str = "cpu"
    parts: int = 1
    save_every: int = 50


@dataclass(frozen=True, slots=True)
class Saved:
    """Where checkpoints are kept, and the fingerprint `of` what is trained on what."""

    checkpoints: Checkpoints
    of: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of many: `number` counts from 1, `loss` is the mean of the batch, in nats."""

    number: int
    total: int
    loss: float


def fit(
    network: Any,
    towers: Towers,
    batches: Batches,
    steps: int,
    training: Training,
    on_step: Callable[[Step], None] = lambda step: None,
    stop: Event | None = None,
    saved: Saved | None = None,
) -> Step | None:
    """Train what is not locked of `network`; the last step, None where `stop` ended it before that.

    Where it was `saved`, it goes on from the last checkpoint, and comes to what an uninterrupted training comes to: bit
    by bit on a CPU with as many threads.

    Raises:
        TuneError: the loss is no number any more, or the checkpoint is damaged or of another training.
        DiskFull: there is no room for a checkpoint; those before are whole.
    """
    optimizer = torch.optim.AdamW(
        _parameters(network, training.weight_decay), training.learning_rate, betas=(0.9, 0.98)
    )
    last = _put_back(network, optimizer, steps, saved)
    first = last.number if last else 0
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(first + step, steps, training.warm_up))
    drawn = islice(batches(torch.Generator().manual_seed(training.seed)), first, steps)
    network.train()
    for number, rows in enumerate(drawn, start=first + 1):
        if stop is not None and stop.is_set():
            break
        last = Step(number, steps, _stepped(network, towers, rows, optimizer, number, training))
        schedule.step()
        on_step(last)
        ended = number == steps or (stop is not None and stop.is_set())
        if saved and (ended or number % training.save_every == 0):
            saved.checkpoints.save(State(saved.of, number, open_losses=(last.loss,)), _kept(network), optimizer)
    network.eval()
    return last if last and last.number == steps else None


def _stepped(
    network: Any, towers: Towers, rows: Tensor, optimizer: Optimizer, number: int, training: Training
) -> float:
    """Take one step; its loss. What it draws by chance comes from a seed of its own, as no checkpoint has another."""
    torch.manual_seed(np.random.SeedSequence([training.seed, number]).generate_state(1)[0].item())
    optimizer.zero_grad()
    loss = backward(network, towers, rows, training.parts)
    if not math.isfinite(loss):
        raise TuneError(
            f"the loss became {loss} at step {number}: nothing was kept; train with a smaller learning rate than "
            f"{training.learning_rate:g}"
        )
    torch.nn.utils.clip_grad_norm_(network.parameters(), training.largest_gradient)
    optimizer.step()
    if not _is_sigmoid(network):
        with torch.no_grad():
            network.logit_scale.clamp_(0, _LARGEST_SCALE)
    return loss


def _put_back(network: Any, optimizer: Optimizer, steps: int, saved: Saved | None) -> Step | None:
    """The last step that was saved; network and optimizer are as they were after it."""
    found = saved.checkpoints.last(saved.of) if saved else None
    if found is None:
        return None
    state, tensors = found
    kept = _kept(network)
    put_back(tensors, kept)
    put_back_optimizer(tensors, {name: each for name, each in kept.items() if isinstance(each, Parameter)}, optimizer)
    return Step(state.step, steps, state.open_losses[-1])


def _kept(network: Any) -> dict[str, Tensor]:
    """What training changes: weights that are not locked, and what layers count while they train."""
    state: dict[str, Tensor] = network.state_dict(keep_vars=True)
    return {name: each for name, each in state.items() if each.requires_grad or not isinstance(each, Parameter)}


def backward(network: Any, towers: Towers, rows: Tensor, parts: int) -> float:
    """Add the gradients of one batch to those of `network`; its loss.

    In several parts each goes through the network twice: first all of them for their vectors, whose gradients the loss
    of the whole batch gives, then one by one with these (Gao et al. 2021, https://arxiv.org/abs/2101.06983). It comes
    to what open_clip's `--accum-freq` does, and for the scale to the gradient of one batch rather than to `parts` times
    that. Where a network draws by chance (dropout) the two passes differ, here as there.
    """
    if parts == 1:
        loss = _loss(network, *towers(rows))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()
    pieces = [piece for piece in rows.chunk(parts) if len(piece)]
    with torch.no_grad():
        found = [towers(piece) for piece in pieces]
    pictures, captions = (torch.cat(side).requires_grad_() for side in zip(*found, strict=True))
    loss = _loss(network, pictures, captions)
    loss.backward()  # type: ignore[no-untyped-call]
    at = 0
    for piece in pieces:
        for vectors, whole in zip(towers(piece), (pictures, captions), strict=True):
            if vectors.requires_grad and whole.grad is not None:
                vectors.backward(whole.grad[at : at + len(piece)])  # type: ignore[no-untyped-call]
        at += len(piece)
    return loss.item()


def steps_of(count: int, training: Training) -> int:
    """How many batches of `count` pairs are its epochs: what is left of an epoch is not one, unless it is all."""
    return max(count // training.batch, 1) * training.epochs


def shuffled(count: int, batch: int) -> Batches:
    """All of `count` rows in any order; a small last batch is left out, and fewer rows than a batch are one."""

    def batches(order: torch.Generator) -> Iterator[Tensor]:
        while True:
            rows = torch.randperm(count, generator=order)
            for number in range(max(count // batch, 1)):
                yield rows[number * batch :][:batch]

    return batches


def apart(keys: Sequence[Set[str]], batch: int) -> Batches:
    """Rows in any order, those that share one of their `keys` in different batches.

    Of two captions of one picture neither is wrong for it, which the losses take for granted within a batch. A row that
    does not fit is the first of the next batch. A batch is smaller where there is nothing else to put into it.
    """

    def batches(order: torch.Generator) -> Iterator[Tensor]:
        waiting: deque[int] = deque()
        while True:
            rows, later = list[int](), list[int]()
            taken, refilled = set[str](), False
            while len(rows) < batch:
                if not waiting:
                    if refilled:
                        break
                    waiting.extend(torch.randperm(len(keys), generator=order).tolist())
                    refilled = True
                row = waiting.popleft()
                if taken & keys[row]:
                    later.append(row)
                else:
                    rows.append(row)
                    taken |= keys[row]
            waiting.extendleft(reversed(later))
            yield torch.tensor(rows)

    return batches


def _loss(network: Any, pictures: Tensor, captions: Tensor) -> Tensor:
    scale = network.logit_scale.exp()
    if _is_sigmoid(network):
        loss: Tensor = SigLipLoss()(pictures, captions, scale, network.logit_bias)
    else:
        loss = ClipLoss()(pictures, captions, scale)
    return loss


def _is_sigmoid(network: Any) -> bool:
    return getattr(network, "logit_bias", None) is not None


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
