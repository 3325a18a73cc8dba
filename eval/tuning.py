"""How much do so many pairs teach the retriever, tier by tier, and what does it forget? The learning curve.

Every cell (tier, number of pairs, seed) is trained by the program's own code on the training questions of a data set
and measured on its test questions and on other data sets, the canaries, which it has never seen. What is finished is
kept, so that a run that was cut off goes on.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eval.ask import HYBRID
from eval.datasets import load
from eval.learning import Ground, Lessons, Scores, embedded_anew, lessons, scores
from eval.run import Progresses
from rag.embed.query_side import QuerySideEmbedder
from rag.embed.text import TextEmbedder
from rag.ingest.analyse import analyse_query
from rag.ingest.chunk import embedding_text
from rag.protocols import Embedder
from rag.retrieve.search import TEXT
from rag.tune.canaries import load_canaries, questions_of
from rag.tune.home import Home, fit_threshold, nearness
from rag.tune.linear import LinearTraining, fit_linear
from rag.tune.measures import ndcg
from rag.tune.negatives import Mined, mine
from rag.tune.records import Pair, Step
from rag.tune.statistics import bootstrap, sign_flip
from rag.tune.train_text import EPOCHS, TextTraining, train_text

Rows = NDArray[np.float32]
CurveTier = Literal["1a", "1b", "2"]
ALL = 0  # of a number of pairs: as many as there are
_DEPTH = 60  # passages that are ranked to find the first ten documents


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of the curve: what a tier learns from the first `pairs` in the order of `seed`."""

    tier: CurveTier
    pairs: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.tier}-{self.pairs or 'all'}-{self.seed}"


@contextmanager
def with_threads(count: int | None) -> Iterator[None]:
    """torch computes with so many threads in the block; None: as many as it does. Two on one core only wait."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Curve:
    """The cells of the data set `folder`, indexed as `home`; `base` is the folder of the model that indexed it.

    What is finished lies in `kept`, and the checkpoints of what is not.
    """

    def __init__(
        self, folder: Path, home: Ground, canaries: Sequence[Ground], base: Path, kept: Path, progress: Progresses
    ) -> None:
        self._folder = folder
        self._home = home
        self._others = {ground.dataset.name: ground for ground in canaries}
        self._base = base
        self._kept = kept
        self._progress = progress
        self._embedder = home.index.embedder
        self._rows = {chunk.id: row for chunk, row in zip(home.chunks, home.rows, strict=True)}
        self._documents = [chunk.document_id for chunk in home.chunks]
        self._lessons: dict[int, tuple[Mined, Lessons]] = {}

    def run(self, cells: Sequence[Cell]) -> dict[str, Any]:
        """Every cell, as it was kept or measured now."""
        return {
            "dataset": self._home.dataset.name,
            "chunks": len(self._home.chunks),
            "before": _means(self._before),
            "canaries_before": {name: _means(found) for name, found in self._canaries_before.items()},
            "unseen": len(self._unseen),
            "cells": [self._cell(cell) for cell in cells],
        }

    @cached_property
    def _before(self) -> Scores:
        return scores(self._home, self._embedder, self._progress)

    @cached_property
    def _canaries_before(self) -> dict[str, Scores]:
        return {name: scores(other, self._embedder, self._progress) for name, other in self._others.items()}

    @cached_property
    def _unseen(self) -> list[str]:
        """The test questions none of whose right documents answers a training question.

        Data sets are often parted by questions alone, and then a part of the gain is that documents are known.
        """
        taught = load(self._folder, "train").judgements.values()
        seen = {name for grades in taught for name, grade in grades.items() if grade > 0}
        judged = self._home.dataset.judgements
        return [query for query in judged if not seen & {name for name, grade in judged[query].items() if grade > 0}]

    def _cell(self, cell: Cell) -> dict[str, Any]:
        path = self._kept / f"{cell.name}.json"
        if not path.is_file():
            result = self._measured(cell)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(result, indent=1), "utf-8")
            shutil.rmtree(self._kept / cell.name, ignore_errors=True)
        return dict(json.loads(path.read_text("utf-8")))

    def _measured(self, cell: Cell) -> dict[str, Any]:
        pairs = self._taught(cell)
        started = time.monotonic()
        if cell.tier == "2":
            told = self._both_sides(pairs, cell)
        else:
            told = self._query_side(
                self._linear(pairs, cell) if cell.tier == "1a" else self._encoder(pairs, cell), pairs
            )
        return {**asdict(cell), "taught": len(pairs), **told, "seconds": time.monotonic() - started}

    def _taught(self, cell: Cell) -> Sequence[Pair]:
        """The first pairs of that seed, with their negatives."""
        mined, _ = self._lesson(cell.seed)
        return mined.pairs[: cell.pairs or None]

    def _lesson(self, seed: int) -> tuple[Mined, Lessons]:
        if seed not in self._lessons:
            found = lessons(self._folder, self._home, seed)
            terms = partial(analyse_query, languages=self._home.index.languages)
            show = self._progress("mine")
            mined = mine(found.train, self._home.store, self._embedder, terms, embedding_text, on_progress=show)
            self._lessons[seed] = mined, found
        return self._lessons[seed]

    # --- queries alone -----------------------------------------------------------------------------------------------

    def _linear(self, pairs: Sequence[Pair], cell: Cell) -> dict[str, Any]:
        queries = self._embedder.embed([pair.query for pair in pairs], "query")
        positives = np.stack([self._rows[pair.positive.id] for pair in pairs])
        width = max(len(pair.negatives) for pair in pairs)
        negatives = np.zeros((len(pairs), width, queries.shape[1]), np.float32)
        for place, pair in enumerate(pairs):
            for other, excerpt in enumerate(pair.negatives):
                negatives[place, other] = self._rows[excerpt.id]
        asked, right = self._held_out(cell.seed)
        head = fit_linear(
            queries,
            positives,
            negatives,
            LinearTraining(seed=cell.seed),
            library=self._home.rows,
            score=lambda found: self._ndcg(found.apply(asked), right),
        )
        return {"turn": head.apply}

    def _encoder(self, pairs: Sequence[Pair], cell: Cell) -> dict[str, Any]:
        to = self._kept / cell.name / "model"
        training = TextTraining(side="query", method="lora", epochs=EPOCHS["query"], seed=cell.seed)
        known = dict(zip(self._home.texts(), self._home.rows, strict=True))
        train_text(
            self._base,
            pairs,
            to,
            training,
            passages=lambda texts: np.stack([known[text] for text in texts]),
            library=self._home.rows,
            on_step=self._stepped(cell),
            folder=self._kept / cell.name,
        )
        return {"model": TextEmbedder(to, name=cell.name)}

    def _query_side(self, side: Mapping[str, Any], pairs: Sequence[Pair]) -> dict[str, Any]:
        """What became of the test questions and of the canaries with the home switch, and of the former without it.

        `side` are the arguments of QuerySideEmbedder.
        """
        learnt = self._embedder.embed([pair.query for pair in pairs], "query")
        held_out, _ = self._held_out(0)
        away = self._embedder.embed([question.text for question in questions_of(load_canaries())], "query")
        home = Home(learnt, fit_threshold(nearness(held_out, learnt), nearness(away, learnt)))
        switched = QuerySideEmbedder(self._embedder, **side, is_home=home.is_home)
        after = scores(self._home, switched, self._progress)
        others = {name: self._switched(other, home, switched) for name, other in self._others.items()}
        always = scores(self._home, QuerySideEmbedder(self._embedder, **side), self._progress)
        return {
            "at_home": float(home.is_home(self._queries(self._home)).mean()),
            "gain_without_switch": float(_gains(self._before, always).mean()),
            **self._told(after, others),
        }

    def _switched(self, other: Ground, home: Home, switched: Embedder) -> Scores:
        """Only questions that are at home are asked again: the others get the vectors that they had."""
        changed = home.is_home(self._queries(other))
        asked = [name for name, at_home in zip(other.dataset.queries, changed, strict=True) if at_home]
        before = self._canaries_before[other.dataset.name]
        after = scores(other.only(asked), switched, self._progress) if asked else {}
        return {name: {**found, **after.get(name, {})} for name, found in before.items()}

    def _queries(self, ground: Ground) -> Rows:
        """float32[N, D]: the test questions by the base model."""
        return self._embedder.embed(list(ground.dataset.queries.values()), "query")

    # --- both sides --------------------------------------------------------------------------------------------------

    def _both_sides(self, pairs: Sequence[Pair], cell: Cell) -> dict[str, Any]:
        folder = self._kept / cell.name
        training = TextTraining(side="both", method="full", seed=cell.seed)
        replay = [canary.text for canary in load_canaries()]
        trained = train_text(
            self._base,
            pairs,
            folder / "tuned",
            training,
            replay=replay,
            on_step=self._stepped(cell),
            folder=folder,
        )
        tuned = TextEmbedder(folder / "tuned", name=cell.name)
        with embedded_anew(self._home, tuned, self._progress):
            after = scores(self._home, tuned, self._progress)
        others = {}
        for name, other in self._others.items():
            with embedded_anew(other, tuned, self._progress):
                others[name] = scores(other, tuned, self._progress)
        return {**self._told(after, others), "pairs_per_second": trained.pairs_per_second}

    # --- figures -----------------------------------------------------------------------------------------------------

    def _told(self, after: Scores, others: Mapping[str, Scores]) -> dict[str, Any]:
        gains = _gains(self._before, after)
        return {
            "after": _means(after),
            "gain": float(gains.mean()),
            "gain_unseen": float(_gains(self._before, after, self._unseen).mean()) if self._unseen else None,
            "interval": bootstrap(gains),
            "p": sign_flip(gains),
            "canaries": {
                name: float(_gains(self._canaries_before[name], found).mean()) for name, found in others.items()
            },
        }

    def _held_out(self, seed: int) -> tuple[Rows, Sequence[frozenset[str]]]:
        """float32[M, D] of the questions to choose by, and their right documents."""
        _, found = self._lesson(seed)
        return self._embedder.embed(list(found.dev), "query"), list(found.dev.values())

    def _ndcg(self, queries: Rows, right: Sequence[frozenset[str]]) -> float:
        """nDCG@10 of documents by their best passage, vectors alone."""
        found = []
        for row, documents in zip(queries @ self._home.rows.T, right, strict=True):
            best = np.argpartition(-row, min(_DEPTH, len(row) - 1))[:_DEPTH]
            ranked = dict.fromkeys(self._documents[place] for place in best[np.argsort(-row[best])])
            found.append(ndcg(list(ranked), dict.fromkeys(documents, 1)))
        return float(np.mean(found))

    def _stepped(self, cell: Cell) -> Callable[[Step], None]:
        show = self._progress(f"train {cell.name}")
        return lambda step: show(step.done, step.total)


def _means(found: Scores) -> dict[str, float]:
    return {name: float(np.mean(list(found[name].values()))) for name in (TEXT, HYBRID)}


def _gains(before: Scores, after: Scores, queries: Sequence[str] | None = None) -> NDArray[np.float64]:
    """float64[N]: what every question gained in the one list, or each of `queries`."""
    return np.array([after[HYBRID][query] - before[HYBRID][query] for query in queries or before[HYBRID]])
