"""Teach a text embedder which passages answer which queries: tier 1b (queries alone) and tier 2 (both sides).

The loop is sentence-transformers' Trainer, LoRA is peft's; the losses are those of `rag.tune.loss`. What is written
is a sentence-transformers folder like the one that training started from: the same files, other weights.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.errors import TuneError
from rag.tune.records import Pair, Step

if TYPE_CHECKING:
    from rag.embed.device import DeviceSetting

Side = Literal["query", "both"]
Method = Literal["lora", "full"]
TextLoss = Literal["infonce", "triplet", "margin", "cosine-mse", "cosent", "kl", "margin-mse"]

EPOCHS: Mapping[Side, int] = {"query": 12, "both": 3}
"""How many each side usually takes. A step of queries alone is cheap, and held-out questions gain until the tenth."""

LEAST_PAIRS = 10  # fewer say nothing about how their owner asks

Passages = Callable[[Sequence[str]], NDArray[np.float32]]
Teacher = Callable[[str, Sequence[str]], Sequence[float] | NDArray[np.float32]]


class TextEmbedderLike(Protocol):
    """What a score on held-out questions needs of a model."""

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        """float32[N, D], unit rows."""
        ...


@dataclass(frozen=True, slots=True)
class TextTraining:
    """How to train. Equal settings, pairs and number of threads give equal weights, bit by bit, on a CPU.

    Args:
        side: "query": passages keep the vectors that they have. "both": the same weights for both.
        method: "lora" trains small matrices beside the weights (Hu et al. 2021, https://arxiv.org/abs/2106.09685),
            "full" all weights.
        batch: pairs of one step, at most; steps share the pairs of an epoch evenly.
        learning_rate: its peak. None: 2e-4 for LoRA, 3e-5 for all weights.
        warm_up: share of all steps in which the rate rises from 0; then it falls to 0 along a line.
        temperature: of InfoNCE, CoSENT and KL.
        margin: of the losses that have one. None: the loss's own.
        negatives: mined ones that each pair brings to a step of "infonce" on both sides, in turn from epoch to epoch;
            each costs as much as the pair itself. On the query side all that is known takes part at no cost.
        others: of "infonce" on the query side: passages of the library, drawn anew for every step, that are wrong for
            all of its queries.
        anchor: what it costs to move away on the texts of `replay`.
        rank: of LoRA's matrices; their product counts twice.
        dropout: as the network was made to be trained, which costs a step a quarter more.
        max_tokens: longer texts are cut, in training only.
        hold: texts whose activations are kept at once. A step with more goes through the model twice (GradCache,
            https://arxiv.org/abs/2101.06983), which gives the same gradient in less memory.
        save_every: steps from one checkpoint to the next; the end of every epoch is one too.
        precision: "auto": bf16 where the device is fast at it. Weights and optimizer stay in fp32.
        threads: of the CPU. None: as torch has it.
    """

    side: Side = "both"
    method: Method = "full"
    loss: TextLoss = "infonce"
    epochs: int = 3
    batch: int = 32
    learning_rate: float | None = None
    warm_up: float = 0.1
    temperature: float = 0.05
    margin: float | None = None
    negatives: int = 1
    others: int = 1000
    anchor: float = 0.1
    rank: int = 32
    dropout: bool = False
    max_tokens: int = 200
    hold: int = 160
    save_every: int = 50
    seed: int = 0
    device: "DeviceSetting" = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int | None = None

    @property
    def peak_rate(self) -> float:
        if self.learning_rate is not None:
            return self.learning_rate
        return 2e-4 if self.method == "lora" else 3e-5

    def rate(self, step: int, total: int) -> float:
        """The share of the peak rate at `step` (from 0) of `total`."""
        rising = max(round(total * self.warm_up), 1)
        if step < rising:
            return (step + 1) / rising
        return (total - step) / max(total - rising, 1)


@dataclass(frozen=True, slots=True)
class TextTrained:
    """What came of a training.

    Args:
        finished: False if it was stopped; then nothing was written but a checkpoint to go on from.
        epoch: the one whose weights were kept, from 1; the last one where nothing was scored.
        scores: of every epoch, on held-out questions; empty where there are none.
        losses: the mean of every epoch.
        manifest: what the weights depend on, for run.json.
    """

    finished: bool
    steps: int
    epoch: int
    scores: tuple[float, ...]
    losses: tuple[float, ...]
    pairs_per_second: float
    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What each step sees of pairs, replay texts and the library: a pure function of the seed and the step's number.

    A step draws `others` of the `library`'s passages.
    """

    pairs: int
    batch: int
    epochs: int
    replay: int
    seed: int
    library: int = 0
    others: int = 0

    @property
    def per_epoch(self) -> int:
        return math.ceil(self.pairs / self.batch)

    @property
    def total(self) -> int:
        return self.per_epoch * self.epochs

    def rows(self, step: int) -> NDArray[np.int64]:
        """The pairs of `step`, which counts from 0; the steps of an epoch see each pair once."""
        epoch, part = divmod(step, self.per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(self.pairs)
        return np.array_split(order, self.per_epoch)[part]

    def replayed(self, step: int) -> NDArray[np.int64]:
        """The replay texts of `step`: a quarter as many as pairs, in turn."""
        wanted = min(math.ceil(self.batch / 4), self.replay)
        order = np.random.default_rng([self.seed, self.epochs]).permutation(self.replay)
        return order[(step * wanted + np.arange(wanted)) % max(self.replay, 1)]

    def drawn(self, step: int) -> NDArray[np.int64]:
        """The passages of the library that `step` tells queries from besides those of the pairs; no two the same."""
        wanted = min(self.others, self.library)
        return np.random.default_rng([self.seed, self.epochs, step]).choice(self.library, wanted, replace=False)


def train_text(
    base: Path,
    pairs: Sequence[Pair],
    to: Path,
    training: TextTraining = TextTraining(),
    *,
    passages: Passages | None = None,
    library: NDArray[np.float32] | None = None,
    dev: Callable[[TextEmbedderLike], float] | None = None,
    teacher: Teacher | None = None,
    replay: Sequence[str] = (),
    on_step: Callable[[Step], None] = lambda step: None,
    stop: Event | None = None,
    folder: Path | None = None,
) -> TextTrained:
    """Train the sentence-transformers model in the folder `base` on `pairs` and write it to the folder `to`.

    With a `folder`, checkpoints are kept there, and the same call goes on from the last of them: the end is bit by
    bit the one that an uninterrupted run comes to, on a CPU with as many threads.

    Args:
        passages: the vectors, float32[N, D] unit rows, that passages have and keep (side "query"), or had before
            (side "both"). None: those of `base`.
        library: float32[M, D] unit rows of passages, of which most are wrong for any query (side "query").
        dev: scores a model on held-out questions after each epoch, more is better; the best epoch is kept.
        teacher: scores of passages for a query, from a cross-encoder; the losses "kl" and "margin-mse" need it.
        replay: texts of other subjects, on which the model is to stay where it was.
        on_step: is told of every step, and of every score.
        stop: set it, and training ends after the step in work, with a checkpoint.

    Raises:
        TuneError: too few pairs, pairs that the loss cannot use, a loss that is no number any more, or a checkpoint
            of another training.
        DiskFull: there is no room for a checkpoint or for the model; earlier checkpoints are whole.
    """
    _check(pairs, training)
    from rag.tune.text_trainer import Run

    run = Run(base, pairs, training, passages, library, dev, teacher, replay, on_step, stop or Event(), folder)
    return run.train(to)


def fingerprint_of(base: str, pairs: Sequence[Pair], training: TextTraining, replay: Sequence[str]) -> str:
    """sha256 over everything that a training's steps depend on but the machine."""
    options = {name: value for name, value in asdict(training).items() if name not in ("save_every", "threads")}
    parts = [base, options, [asdict(pair) for pair in pairs], list(replay)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _check(pairs: Sequence[Pair], training: TextTraining) -> None:
    if training.batch < 2:
        raise TuneError(f"a batch of {training.batch} has nothing to tell a pair from; take 2 at least, better 32")
    if training.epochs < 1:
        raise TuneError(f"{training.epochs} epochs train nothing; take 1 at least")
    if len(pairs) < LEAST_PAIRS:
        raise TuneError(
            f"there are {len(pairs)} pairs to learn from, and {LEAST_PAIRS} are the least; mark more of what was right"
        )
    if len({pair.group for pair in pairs}) == 1:
        raise TuneError(
            f"all {len(pairs)} pairs lead to {pairs[0].group!r}; training on one document would draw every question "
            "to it: choose answers in others as well"
        )
