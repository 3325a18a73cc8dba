"""One training of a text embedder: from its first step, or from a checkpoint, to the folder that is written."""

import hashlib
import math
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, TrainerCallback

from rag.errors import TuneError
from rag.tune.checkpoints import Checkpoints, State, put_back, put_back_optimizer
from rag.tune.records import Pair, Step
from rag.tune.text_examples import Examples, Row, examples_of
from rag.tune.text_model import WEIGHTS, Kind, TextModel
from rag.tune.text_objectives import Guide, TextObjective, usable
from rag.tune.train_text import Passages, Plan, Teacher, TextEmbedderLike, TextTrained, TextTraining, fingerprint_of

Rows = NDArray[np.float32]

_LIBRARIES = ("torch", "sentence-transformers", "transformers", "accelerate", "peft", "safetensors")


class Run:
    """The parts of one training; see `rag.tune.train_text.train_text` for the arguments."""

    def __init__(
        self,
        base: Path,
        pairs: Sequence[Pair],
        training: TextTraining,
        passages: Passages | None,
        library: Rows | None,
        dev: Callable[[TextEmbedderLike], float] | None,
        teacher: Teacher | None,
        replay: Sequence[str],
        on_step: Callable[[Step], None],
        stop: Event,
        folder: Path | None,
    ) -> None:
        self.training = training
        self._dev = dev
        self._on_step = on_step
        self._stop = stop
        if training.threads:
            torch.set_num_threads(training.threads)
        examples = examples_of(pairs)
        examples = replace(examples, rows=usable(examples, training.loss, teacher))
        self.model = TextModel(base, training.device, training.precision)
        self._manifest = _manifest(base, pairs, training, replay, self.model)
        guide = _guide(self.model, examples, replay if training.anchor else (), training, passages, library)
        self._lora = self.model.add_lora(training.rank, training.seed) if training.method == "lora" else None
        self.weights = self.model.trainable()
        self.plan = Plan(
            len(examples.rows),
            training.batch,
            training.epochs,
            len(guide.replay),
            training.seed,
            len(guide.library),
            training.others,
        )
        self.objective = TextObjective(
            self.model, examples, replay, guide, self.plan, training, _scores(examples, training, teacher)
        )
        self.checkpoints = Checkpoints(folder / "checkpoints") if folder else None
        self.state = State(self._manifest["fingerprint"])
        self._best: dict[str, Tensor] = {}
        self._seen, self._began = 0, time.perf_counter()

    def train(self, to: Path) -> TextTrained:
        resumed = self.checkpoints.last(self.state.of) if self.checkpoints else None
        remembered: dict[str, Tensor] = {}
        if self.checkpoints and resumed:
            self.state, remembered = resumed
            put_back(remembered, self.weights)
            if self.state.scores:
                self._best = self.checkpoints.best(self.state)
        self._began = time.perf_counter()
        if self.state.step < self.plan.total:
            _Trainer(self, remembered).train()
        finished = self.state.step == self.plan.total
        if finished:
            self._write(to)
        return self._trained(finished)

    def _write(self, to: Path) -> None:
        if self._best and self.state.best != self.training.epochs:
            put_back(self._best, self.weights)
        if self._lora is not None:
            self._lora.merge_and_unload()
        self.model.save(to)

    def _trained(self, finished: bool) -> TextTrained:
        return TextTrained(
            finished,
            self.state.step,
            self.state.best or len(self.state.losses),
            self.state.scores,
            self.state.losses,
            self._pairs_per_second(),
            self._manifest,
        )

    def stepped(self, loss: float, optimizer: Any) -> bool:
        """A step was taken. False: no further one is wanted."""
        state = self.state
        self._seen += len(self.plan.rows(state.step))
        state = replace(state, step=state.step + 1, open_losses=(*state.open_losses, loss))
        ended = state.step % self.plan.per_epoch == 0
        if ended:
            state = replace(state, losses=(*state.losses, float(np.mean(state.open_losses))), open_losses=())
            if self._dev is not None:
                state = self._scored(state, self._dev(self.model))
        self.state = state
        stop = self._stop.is_set()
        if self.checkpoints and (ended or stop or state.step % self.training.save_every == 0):
            self.checkpoints.save(state, self.weights, optimizer)
        text = f"{self._pairs_per_second():.1f} pairs/s"
        score = state.scores[-1] if ended and state.scores else None
        self._on_step(Step("train", state.step, self.plan.total, time.time(), loss, score, text))
        return not stop

    def _scored(self, state: State, score: float) -> State:
        state = replace(state, scores=(*state.scores, score))
        if state.best == len(state.scores):
            self._best = {f"weights/{name}": each.detach().clone() for name, each in self.weights.items()}
            if self.checkpoints:
                self.checkpoints.save_best(state, self.weights)
        return state

    def _pairs_per_second(self) -> float:
        return self._seen / max(time.perf_counter() - self._began, 1e-9)


class _Trainer(SentenceTransformerTrainer):
    """The library's loop over the steps that are left. Checkpoints, and what is told of a step, are the run's.

    The library's own checkpoints are pickles; and it would skip to where it was by reading all data up to there.
    """

    def __init__(self, run: Run, remembered: dict[str, Tensor]) -> None:
        self._run = run
        self._done = run.state.step
        self._remembered = remembered
        super().__init__(model=run.model.network, args=_arguments(run), loss=run.objective, callbacks=[_Told(self)])
        self.remove_callback(PrinterCallback)

    def get_train_dataloader(self) -> DataLoader[int]:
        """The numbers of the steps that are left: what each of them sees is the plan's."""
        steps = range(self._done, self._run.plan.total)
        return DataLoader(steps, batch_size=None, collate_fn=lambda step: {"step": step})  # type: ignore[arg-type]

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        training, total = self._run.training, self._run.plan.total
        self.lr_scheduler = LambdaLR(self._optimizer(), lambda step: training.rate(self._done + step, total))
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def remember(self) -> None:
        """The optimizer goes on from the checkpoint."""
        if self._remembered:
            put_back_optimizer(self._remembered, self._run.weights, self._optimizer())
            self._remembered = {}

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Tensor:
        loss: Tensor = self._run.objective(inputs["step"])
        return loss

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Every step draws from a seed of its own, so that a checkpoint needs no state of random generators."""
        torch.manual_seed(np.random.SeedSequence([self.args.seed, inputs["step"]]).generate_state(1)[0].item())
        loss = super().training_step(model, inputs, num_items_in_batch)
        self.last_loss = self._finite(loss.item(), "loss")
        return loss

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = super()._clip_grad_norm(model)  # type: ignore[no-untyped-call]
        self._finite(float(norm), "gradient")
        return norm

    def _optimizer(self) -> Optimizer:
        if self.optimizer is None:
            raise RuntimeError("the library makes its optimizer before its schedule")
        return self.optimizer

    def _finite(self, value: float, what: str) -> float:
        if math.isfinite(value):
            return value
        raise TuneError(
            f"the {what} of step {self._run.state.step + 1} is {value}: training broke, nothing of it is used; "
            f"train again with a learning rate below {self._run.training.peak_rate:g}, or with precision 'fp32'"
        )

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """None: a card would tell of what was learnt from."""


class _Told(TrainerCallback):
    def __init__(self, trainer: _Trainer) -> None:
        self._trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._trainer.remember()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trainer = self._trainer
        control.should_training_stop |= not trainer._run.stepped(trainer.last_loss, trainer.optimizer)


def _arguments(run: Run) -> SentenceTransformerTrainingArguments:
    training = run.training
    folder = run.checkpoints.folder if run.checkpoints else tempfile.gettempdir()  # nothing is written there
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # of the steps that are left
        learning_rate=training.peak_rate,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        seed=training.seed,
        use_cpu=run.model.device == "cpu",
        dataloader_pin_memory=False,
        disable_tqdm=True,
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        push_to_hub=False,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several would each see a part of a step, and fewer negatives
    return arguments


def _guide(
    model: TextModel,
    examples: Examples,
    replay: Sequence[str],
    training: TextTraining,
    passages: Passages | None,
    library: Rows | None,
) -> Guide:
    """What the model said before training, as far as the training asks."""

    def vectors(texts: Sequence[str], kind: Kind, wanted: bool) -> Tensor:
        if not wanted:
            return torch.zeros((0, 0))
        known = passages(texts) if passages is not None and kind == "passage" else model.embed(texts, kind)
        return torch.from_numpy(np.array(known, np.float32)).to(model.device)

    masked = training.loss == "infonce"
    kind: Kind = "query" if training.side == "query" else "passage"
    documents = vectors(examples.documents, "passage", masked or training.side == "query")
    drawn_from = library if masked and training.side == "query" else None
    return Guide(
        vectors(examples.queries, "query", masked),
        documents,
        torch.from_numpy(model.embed(replay, kind)).to(model.device),
        _others(drawn_from, documents),
    )


def _others(library: Rows | None, documents: Tensor) -> Tensor:
    """The rows of the library that are none of the documents': those are told apart already, or are right."""
    if library is None:
        return documents[:0]
    known = {row.tobytes() for row in documents.cpu().numpy()}
    new = [place for place, row in enumerate(library) if row.tobytes() not in known]
    return torch.from_numpy(library[new]).to(documents.device)


def _scores(examples: Examples, training: TextTraining, teacher: Teacher | None) -> dict[Row, Tensor]:
    if teacher is None or training.loss not in ("kl", "margin-mse"):
        return {}
    return {
        row: torch.tensor(
            teacher(examples.queries[row.query], [examples.documents[i] for i in (row.positive, *row.negatives)])
        )
        for row in examples.rows
    }


def _manifest(
    base: Path, pairs: Sequence[Pair], training: TextTraining, replay: Sequence[str], model: TextModel
) -> dict[str, Any]:
    weights = hashlib.sha256()
    for path in sorted(base.rglob(WEIGHTS)):
        with path.open("rb") as file:
            weights.update(hashlib.file_digest(file, "sha256").digest())
    computed = replace(training, device=model.device, precision=model.precision)  # type: ignore[arg-type]
    return {
        "fingerprint": fingerprint_of(weights.hexdigest(), pairs, computed, replay),
        "base": weights.hexdigest(),
        "pairs": len(pairs),
        "training": asdict(computed),
        "threads": torch.get_num_threads(),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {name: version(name) for name in _LIBRARIES},
    }
