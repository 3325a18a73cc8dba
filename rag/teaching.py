"""What each tier teaches, and what of it is kept: only what is better on questions that are held out.

Tier 0 remembers; 1a turns queries, 1b trains an encoder of its own for them, and both say what is at home; 2 trains the
embedder itself. Each of them remembers too.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from rag.errors import TuneError
from rag.ingest.chunk import embedding_text
from rag.protocols import Embedder, Reranker, Store
from rag.tune.canaries import Canary
from rag.tune.feedback import Feedback
from rag.tune.held_out import HeldOut, vectors_of
from rag.tune.home import Home, fit_threshold, nearness
from rag.tune.lesson import Lesson
from rag.tune.measures import ndcg
from rag.tune.memory import Memory, remembered
from rag.tune.pairs import is_right
from rag.tune.records import Pair, Step, Tier, TuneOptions
from rag.tune.serving import MODEL

if TYPE_CHECKING:
    from rag.tune.head import LinearHead
    from rag.tune.linear import LinearTraining
    from rag.tune.train_text import Side, TextEmbedderLike, TextLoss, TextTrained

Rows = NDArray[np.float32]

_NEGATIVES = 8  # of a pair at most that the linear head sees
_LIBRARY = 20_000  # passages of the library that tiers 1a and 1b draw others from
_CHECKPOINTS, _TRAINED = "checkpoints", "trained"


@dataclass(frozen=True, eq=False)
class Classroom:
    """What it takes to teach: the run's `folder`, the library and its `embedder`, what to stay clear of.

    `models` is where embedders are installed, `base_folder` where the library's own is, None where it has no files
    here. Every other one of the `canaries` is for training; so the others show what is forgotten. Losses that meet the
    scores of a `reranker` need one.
    """

    folder: Path
    models: Path
    store: Store
    embedder: Embedder
    base_folder: Path | None
    feedback: Feedback
    canaries: Sequence[Canary]
    held_out: HeldOut
    options: TuneOptions
    on_step: Callable[[Step], None]
    stop: Event
    reranker: Reranker | None = None

    @property
    def elsewhere(self) -> Sequence[Canary]:
        """The canaries that training may see."""
        return self.canaries[::2]


@dataclass(frozen=True, slots=True)
class Taught:
    """The parts that are in the run's folder now, as a Candidate names them, and figures for run.json."""

    parts: tuple[str, ...] = ()
    home_threshold: float | None = None
    embedder: str | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)


def teach(tier: Tier, lesson: Lesson, room: Classroom) -> Taught | None:
    """Teach what a tier teaches; None where it was stopped.

    Raises:
        TuneError: nothing was learnt that is any use, or a training broke.
        DiskFull: there is no room.
    """
    learnt = {"0": _nothing, "1a": _linear, "1b": _encoder, "2": _both_sides}[tier](lesson, room)
    if learnt is None or room.stop.is_set():
        return None
    memory = None if tier == "2" else _memory(room)
    if memory is not None:
        memory.write(room.folder)
    parts = (*learnt.parts, *(["memory"] if memory is not None else []))
    return Taught(parts, learnt.home_threshold, learnt.embedder, learnt.manifest)


def _nothing(lesson: Lesson, room: Classroom) -> Taught:
    return Taught()


# --- tier 1a -------------------------------------------------------------------------------------------------------


def _linear(lesson: Lesson, room: Classroom) -> Taught | None:
    """The best head of all seeds; none where no head is better than none."""
    from rag.tune.linear import LinearTraining

    pairs, held = [pair for pair in lesson.train if is_right(pair)], room.held_out
    asked = room.embedder.embed(held.queries, "query")
    epochs = room.options.epochs or LinearTraining().epochs
    before = held.likelihood(asked)
    best, best_likelihood = None, before
    for seed in range(room.options.seeds):
        head = _head(pairs, room, asked, LinearTraining(epochs=epochs, seed=seed))
        likelihood = held.likelihood(head.apply(asked))
        if likelihood > best_likelihood or not len(asked):
            best, best_likelihood = head, likelihood
    if room.stop.is_set():
        return None
    figures = {
        "ndcg": {"before": held.score(asked), "after": held.score(best.apply(asked) if best else asked)},
        "likelihood": {"before": before, "after": best_likelihood},
    }
    if best is None:
        return Taught(manifest=figures)
    best.write(room.folder)
    return Taught(("linear", "home"), _home(pairs, room), manifest=figures)


def _head(pairs: Sequence[Pair], room: Classroom, asked: Rows, training: "LinearTraining") -> "LinearHead":
    from rag.tune.linear import fit_linear

    held, store, embedder = room.held_out, room.store, room.embedder
    found: list[float] = []  # nDCG@10 after each epoch, to be shown; the likelihood tells two heads apart sooner

    def score(head: "LinearHead") -> float:
        rows = head.apply(asked)
        found.append(held.score(rows))
        return held.likelihood(rows)

    def show(epoch: int, loss: float, likelihood: float | None) -> None:
        done, total = training.seed * training.epochs + epoch, training.epochs * room.options.seeds
        room.on_step(Step("train", done, total, time.time(), loss, found[-1] if found else None))

    return fit_linear(
        embedder.embed([pair.query for pair in pairs], "query"),
        vectors_of([pair.positive for pair in pairs], store, embedder),
        _negatives(pairs, room),
        training,
        weights=np.array([pair.weight for pair in pairs], np.float32),
        library=store.sample(embedder.space, _LIBRARY),
        score=score if len(asked) else None,
        on_epoch=show,
        stop=room.stop,
    )


def _negatives(pairs: Sequence[Pair], room: Classroom) -> Rows:
    """float32[N, K, D], a row of zeros where a pair has fewer than K."""
    most = min(max((len(pair.negatives) for pair in pairs), default=0), _NEGATIVES)
    rows = np.zeros((len(pairs), most, room.embedder.dim), np.float32)
    places = [(i, j) for i, pair in enumerate(pairs) for j in range(min(len(pair.negatives), most))]
    if places:
        excerpts = [pairs[i].negatives[j] for i, j in places]
        rows[tuple(np.array(places).T)] = vectors_of(excerpts, room.store, room.embedder)
    return rows


# --- what is at home -----------------------------------------------------------------------------------------------


def _home(pairs: Sequence[Pair], room: Classroom) -> float:
    """Write what is at home into the run's folder; the threshold."""
    learnt = room.embedder.embed(list(dict.fromkeys(pair.query for pair in pairs)), "query")
    asked = room.embedder.embed(room.held_out.queries, "query")
    away = room.embedder.embed([question for canary in room.elsewhere for question in canary.questions], "query")
    threshold = fit_threshold(nearness(asked if len(asked) else learnt, learnt), nearness(away, learnt))
    Home(learnt, threshold).write(room.folder)
    return threshold


# --- tier 1b -------------------------------------------------------------------------------------------------------


def _encoder(lesson: Lesson, room: Classroom) -> Taught | None:
    """An encoder of queries, in the space of the passages as they are, as far from the base as serves."""
    from rag.tune.blend import blend, choose_alpha

    base, held = _base(room), room.held_out

    def score(model: "TextEmbedderLike") -> float:
        return held.score(model.embed(held.queries, "query"))

    trained = _trained("query", lesson, room, base, score)
    if trained is None:
        return None
    folder, manifest = trained
    chosen = choose_alpha(base, folder, score, on_tried=lambda tried: _tell(room, "blend", tried.alpha, tried.score))
    figures = {**manifest, "alpha": chosen.alpha}
    if chosen.alpha > 0:
        blend(base, folder, chosen.alpha, room.folder / MODEL)
    _clear(room)
    if not chosen.alpha:
        return Taught(manifest=figures)
    return Taught((MODEL, "home"), _home(lesson.train, room), manifest=figures)


# --- tier 2 --------------------------------------------------------------------------------------------------------


def _both_sides(lesson: Lesson, room: Classroom) -> Taught | None:
    """An embedder, installed under the run's name, as far from the base as serves and costs nothing elsewhere."""
    from rag.tune.blend import blend, choose_alpha

    base, held, name = _base(room), room.held_out, room.folder.name
    texts = _texts(held, room)

    def score(model: "TextEmbedderLike") -> float:
        return held.score(model.embed(held.queries, "query"), model.embed(texts, "passage"))

    trained = _trained("both", lesson, room, base, score)
    if trained is None:
        return None
    folder, manifest = trained
    chosen = choose_alpha(
        base,
        folder,
        score,
        lambda model: _elsewhere(model, room),
        on_tried=lambda tried: _tell(room, "blend", tried.alpha, tried.score),
    )
    if not chosen.alpha:
        _clear(room)
        raise TuneError(
            "nothing that was learnt is better on the questions that were held out without losing elsewhere; the model "
            "stays as it is. More pairs may help, or tier 1a"
        )
    room.models.mkdir(exist_ok=True)
    blend(base, folder, chosen.alpha, room.models / name)
    _clear(room)
    return Taught(embedder=name, manifest={**manifest, "alpha": chosen.alpha})


def _texts(held: HeldOut, room: Classroom) -> list[str]:
    """What is written in the passages that held-out questions are asked of."""
    chunks = {chunk.id: embedding_text(chunk) for chunk in room.store.get([each.id for each in held.passages])}
    return [chunks.get(each.id, each.text) for each in held.passages]


def _elsewhere(model: "TextEmbedderLike", room: Classroom) -> float:
    """Mean nDCG@10 on the questions about other subjects that training may see."""
    passages = model.embed([canary.text for canary in room.elsewhere], "passage")
    names = [canary.id for canary in room.elsewhere]
    scores = []
    for canary in room.elsewhere:
        for row in model.embed(canary.questions, "query"):
            order = np.argsort(-(passages @ row), kind="stable")
            scores.append(ndcg([names[place] for place in order], {canary.id: 1}))
    return float(np.mean(scores)) if scores else 0.0


# --- training texts ------------------------------------------------------------------------------------------------


def _base(room: Classroom) -> Path:
    if room.base_folder is None:
        raise TuneError(
            f"the weights of {room.embedder.state.name!r} are not on this machine, so that they cannot be trained; "
            "tiers 0 and 1a work with any embedder"
        )
    return room.base_folder


def _trained(
    side: "Side", lesson: Lesson, room: Classroom, base: Path, score: "Callable[[TextEmbedderLike], float]"
) -> tuple[Path, Mapping[str, Any]] | None:
    """The folder of the best model of all seeds, and what its weights depend on; None where it was stopped."""
    from rag.tune.train_text import EPOCHS, TextTraining, train_text

    options = room.options
    known = _Known(lesson, room)
    found: list[tuple[float, Path, TextTrained]] = []
    for seed in range(options.seeds):
        training = TextTraining(
            side=side,
            method="lora" if side == "query" else options.method,
            loss=cast("TextLoss", options.loss),
            epochs=options.epochs or EPOCHS[side],
            learning_rate=options.learning_rate,
            seed=seed,
        )
        to = room.folder / _TRAINED / str(seed)
        trained = train_text(
            base,
            lesson.train,
            to,
            training,
            passages=known.vectors,
            library=room.store.sample(room.embedder.space, _LIBRARY) if side == "query" else None,
            dev=score if room.held_out.queries else None,
            teacher=room.reranker.score if room.reranker is not None else None,
            replay=[canary.text for canary in room.elsewhere] if side == "both" else (),
            on_step=room.on_step,
            stop=room.stop,
            folder=room.folder / _CHECKPOINTS / str(seed),
        )
        if not trained.finished:
            return None
        found.append((max(trained.scores, default=0.0), to, trained))
    best = max(found, key=lambda each: each[0])
    return best[1], best[2].manifest


class _Known:
    """The vectors that passages have in the library, by their text."""

    def __init__(self, lesson: Lesson, room: Classroom) -> None:
        pairs = lesson.train
        self._excerpts = {each.text: each for pair in pairs for each in (pair.positive, *pair.negatives)}
        self._room = room

    def vectors(self, texts: Sequence[str]) -> Rows:
        """float32[N, D]."""
        known = [self._excerpts.get(text) for text in texts]
        if all(known):
            return vectors_of([each for each in known if each is not None], self._room.store, self._room.embedder)
        return self._room.embedder.embed(texts, "passage")


def _clear(room: Classroom) -> None:
    """Remove what only the training itself needed."""
    for name in (_CHECKPOINTS, _TRAINED):
        shutil.rmtree(room.folder / name, ignore_errors=True)


def _memory(room: Classroom) -> Memory | None:
    return remembered(
        room.feedback,
        lambda ids: room.store.vectors(room.embedder.space, ids),
        lambda queries: room.embedder.embed(queries, "query"),
    )


def _tell(room: Classroom, stage: Literal["blend"], alpha: float, score: float) -> None:
    room.on_step(Step(stage, round(10 * alpha), 10, time.time(), score=score))
