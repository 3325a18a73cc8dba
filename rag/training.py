"""One training, from what there is to learn from to a candidate: collect, mine, train, blend, weigh.

Everything is written into the run's folder, candidate.json last, and nothing that searches is touched. What the higher
tiers train is in rag/teaching.py.
"""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Any

from rag.databases import Databases
from rag.embed.remembering import RememberingEmbedder
from rag.embed.text import TextEmbedder
from rag.errors import TuneError
from rag.gathering import Gatherer
from rag.ingest.analyse import analyse_query
from rag.ingest.chunk import embedding_text
from rag.live import LiveIndex
from rag.protocols import Embedder, Reranker, Store
from rag.retrieve.search import Searcher, legs_of
from rag.teaching import Classroom, Taught, teach
from rag.tune.canaries import FILE as CANARIES
from rag.tune.canaries import load_canaries
from rag.tune.feedback import FILE as FEEDBACK
from rag.tune.feedback import FeedbackLog
from rag.tune.fusion_weight import Weighed, fit_fusion_weight
from rag.tune.held_out import held_out
from rag.tune.lesson import Lesson, with_negatives_of
from rag.tune.negatives import Mined, mine
from rag.tune.records import Candidate, Pair, Step, Tier, TuneOptions
from rag.tune.runs import MANIFEST, VECTORS, Runs, read_json, write_json
from rag.tune.serving import tuned_embedder
from rag.tune.split import split

OnStep = Callable[[Step], None]

_WEIGHED = 200  # questions at most that the fusion weight is fitted on: each of them is a search
_TOLD = 20  # queries after which mining tells how far it is
_LIBRARIES = ("torch", "sentence-transformers", "transformers", "peft", "numpy")


class Trainer:
    """Trains candidates of the library in `home`, whose live index is `index`."""

    def __init__(
        self,
        home: Path,
        databases: Databases,
        index: LiveIndex,
        gatherer: Gatherer,
        runs: Runs,
        reranker: Reranker | None = None,
    ) -> None:
        self.reranker = reranker
        self.home = home
        self.databases = databases
        self.index = index
        self.gatherer = gatherer
        self.runs = runs

    def train(self, tier: Tier, options: TuneOptions, folder: Path, on_step: OnStep, stop: Event) -> Candidate | None:
        """See `Improver.train`."""
        return _Training(self, tier, options, folder, on_step, stop).run()

    def mine(
        self, pairs: Sequence[Pair], store: Store, embedder: Embedder, on_step: OnStep, stop: Event
    ) -> Mined | None:
        """`pairs` with passages that are near to their queries and wrong; None where it was stopped."""

        def show(done: int, total: int) -> None:
            if done % _TOLD == 0 or done == total:
                on_step(Step("mine", done, total, time.time()))
            if stop.is_set():
                raise _Stopped

        try:
            return mine(pairs, store, embedder, self.terms, embedding_text, on_progress=show)
        except _Stopped:
            return None

    def terms(self, query: str) -> str:
        return analyse_query(query, self.databases.catalogue.languages())


class _Training:
    def __init__(
        self, trainer: Trainer, tier: Tier, options: TuneOptions, folder: Path, on_step: OnStep, stop: Event
    ) -> None:
        self._trainer = trainer
        self._tier = tier
        self._options = options
        self._folder = folder
        self._on_step = on_step
        self._stop = stop
        index = trainer.index.now()
        self._store, self._base = index.store, index.base
        self._embedder = RememberingEmbedder(index.base, trainer.home / "tuning" / VECTORS)

    def run(self) -> Candidate | None:
        known = read_json(self._folder / MANIFEST) if self._options.resume else None
        lesson = Lesson.read(self._folder) if known else None
        if known is None or lesson is None:
            lesson = self._collected()
            if lesson is None:
                return None
            known = self._manifest(lesson)
            lesson.write(self._folder)
            write_json(self._folder / MANIFEST, known)
        self._refuse_if_changed(known)
        taught = self._taught(lesson)
        if taught is None:
            return None
        candidate = self._weighed(self._candidate(lesson, taught), lesson)
        self._embedder.save()
        self._refuse_if_changed(known)
        write_json(self._folder / MANIFEST, {**known, "trained": taught.manifest})
        self._trainer.runs.write(candidate)
        return candidate

    # --- what is learnt ------------------------------------------------------------------------------------------

    def _collected(self) -> Lesson | None:
        """What there is to learn from, parted, with negatives; None where it was stopped."""
        self._on_step(Step("collect", 0, 0, time.time()))
        gatherer = self._trainer.gatherer
        pairs, questions = gatherer.gather().pairs, gatherer.questions.all()
        parted = split(pairs, questions, partial(self._embedder.embed, kind="query"), seed=0)
        train: tuple[Pair, ...] = parted.train
        if self._tier != "0":
            mined = self._mined(train)
            if mined is None:
                return None
            train = mined
        self._embedder.save()
        return Lesson(train, parted.dev, parted.gate)

    def _mined(self, pairs: tuple[Pair, ...]) -> tuple[Pair, ...] | None:
        """The pairs with negatives, looked for where an earlier run found none; None where it was stopped."""
        known = with_negatives_of(pairs, self._earlier(), lambda ids: {c.id for c in self._store.get(list(ids))})
        new = [pair for pair, before in zip(known, pairs, strict=True) if pair is before]
        found = self._trainer.mine(new, self._store, self._embedder, self._on_step, self._stop)
        if found is None:
            return None
        with_negatives = {pair.id: pair for pair in found.pairs}
        return tuple(with_negatives.get(pair.id, pair) for pair in known)

    def _earlier(self) -> tuple[Pair, ...]:
        """What the newest candidate from the same embedder learnt from; nothing where there is none."""
        runs = self._trainer.runs
        for candidate in runs.candidates():
            if candidate.tier != "0" and candidate.base == self._base.fingerprint:
                lesson = Lesson.read(runs.folder(candidate.name))
                return lesson.train if lesson else ()
        return ()

    def _taught(self, lesson: Lesson) -> Taught | None:
        runs = self._trainer.runs
        room = Classroom(
            folder=self._folder,
            models=self._trainer.home / "models",
            store=self._store,
            embedder=self._embedder,
            base_folder=self._base.folder if isinstance(self._base, TextEmbedder) else None,
            feedback=FeedbackLog(self._trainer.home / FEEDBACK).read(),
            canaries=load_canaries(runs.root.parent / CANARIES),
            held_out=held_out(lesson.dev, self._store, self._embedder),
            options=self._options,
            on_step=self._on_step,
            stop=self._stop,
            reranker=self._trainer.reranker,
        )
        return teach(self._tier, lesson, room)

    # --- the candidate -------------------------------------------------------------------------------------------

    def _candidate(self, lesson: Lesson, taught: Taught) -> Candidate:
        return Candidate(
            name=self._folder.name,
            tier=self._tier,
            base=self._base.fingerprint,
            created=time.time(),
            pairs=len(lesson.train),
            embedder=taught.embedder,
            parts=taught.parts,
            home_threshold=taught.home_threshold,
        )

    def _weighed(self, candidate: Candidate, lesson: Lesson) -> Candidate:
        """The candidate with its fusion weight. One whose passages are not embedded yet has the usual one.

        What it remembers is left out: it remembers these very questions. Tier 0 learns nothing else from its pairs, so
        that they may all be asked.
        """
        if candidate.embedder is not None:
            return candidate
        pairs = (*lesson.dev, *lesson.train) if self._tier == "0" else lesson.dev
        forgetful = replace(candidate, parts=tuple(part for part in candidate.parts if part != "memory"))
        embedder = tuned_embedder(forgetful, self._folder, self._embedder, self._query_encoder)
        searcher = Searcher(embedder, self._store, self._trainer.terms)
        questions: dict[str, set[str]] = {}
        for pair in sorted(pairs, key=lambda pair: -pair.time):
            if pair.positive.document:
                questions.setdefault(pair.query, set()).add(pair.positive.document)
        weighed = []
        for query, right in list(questions.items())[:_WEIGHED]:
            if self._stop.is_set():
                break
            _, lists = searcher.explain(query, 1)
            document_of = {match.chunk.id: match.chunk.document_id for ranked in lists for match in ranked.matches}
            weighed.append(Weighed.of(legs_of(lists, self._store, gated=False), document_of, dict.fromkeys(right, 1)))
        return replace(candidate, fusion_weight=fit_fusion_weight(weighed))

    def _query_encoder(self, folder: Path) -> Embedder:
        return TextEmbedder(folder, name=self._folder.name)

    # --- what it rests on ----------------------------------------------------------------------------------------

    def _manifest(self, lesson: Lesson) -> dict[str, Any]:
        """What a run depends on, for run.json. `documents` are those it learns about, as they were read."""
        stamps = self._trainer.databases.catalogue.ledger.stamps()
        return {
            "tier": self._tier,
            "options": asdict(replace(self._options, resume=False)),
            "began": time.time(),
            "base": self._base.fingerprint,
            "embedder": self._base.state.name,
            "pairs": {"train": len(lesson.train), "dev": len(lesson.dev), "gate": len(lesson.gate)},
            "documents": {name: stamps[name].indexed for name in sorted(lesson.documents) if name in stamps},
            "versions": {name: version(name) for name in _LIBRARIES},
            "python": platform.python_version(),
            "platform": platform.platform(),
        }

    def _refuse_if_changed(self, manifest: dict[str, Any]) -> None:
        """What was added meanwhile does not matter; what is learnt about must be as it was."""
        if self._trainer.index.now().base.fingerprint != manifest["base"]:
            raise TuneError(
                "the library has another embedder than when this training began, and what was learnt does not fit it; "
                "train again"
            )
        stamps = self._trainer.databases.catalogue.ledger.stamps()
        changed = [
            name
            for name, indexed in manifest["documents"].items()
            if name not in stamps or stamps[name].indexed != indexed
        ]
        if changed:
            raise TuneError(
                f"{len(changed)} documents that this training learns about were changed or removed since it began; "
                "train again. What searches now is as it was"
            )


class _Stopped(Exception):
    """The person asked to stop."""
