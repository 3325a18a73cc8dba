"""The retriever learns its owner's words: train a candidate, judge it, let it search, go back.

Nothing here changes what searches now but `swap` and `roll_back`, and each of them does so in one transaction. All
that is trained lies in a folder of its own under RAG_HOME/tuning/runs until then.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Literal

from rag.carrying import OnProgress
from rag.config import Settings
from rag.contests import Contests
from rag.databases import Databases
from rag.errors import TuneError
from rag.gathering import Gatherer
from rag.ingest.analyse import analyse_query
from rag.judging import Court, check_verdict, why_not
from rag.live import LiveIndex, Tuned
from rag.live_words import LiveWords
from rag.mapping import POINTS, MadeMap, Mapper
from rag.picture_words import PictureWords
from rag.protocols import Embedder, ImageEmbedder, Reranker
from rag.records import SwitchReport
from rag.store.retrievers import Retrievers
from rag.switching import Switcher
from rag.training import Trainer
from rag.tune.feedback import FILE as FEEDBACK
from rag.tune.feedback import FeedbackLog
from rag.tune.gate import MADE
from rag.tune.negatives import Mined
from rag.tune.records import Candidate, Pair, Step, Tier, TuneOptions, TuneStatus, Verdict
from rag.tune.runs import runs_of
from rag.tune.split import GATE, judging
from rag.tune.statistics import detectable
from rag.tune.tiers import chosen, suggested, tiers
from rag.tune.watch import watch

OnStep = Callable[[Step], None]


class Improver:
    """All that a person can do to have a library's retriever learn; `Library.improver` is one.

    Args:
        settings: of the library.
        databases: the library's.
        index: the live version of its index.
        switcher: makes another version live.
        build_embedder: the embedder that a reference means.
        open_tuned: the candidate of a name, searching with an embedder.
        image_embedder: as the library searches with it, for the gate.
        reranker: likewise.
        words: which words for pictures search now; None where nothing looks at pictures.
    """

    def __init__(
        self,
        settings: Settings,
        databases: Databases,
        index: LiveIndex,
        switcher: Switcher,
        build_embedder: Callable[[str], Embedder],
        open_tuned: Callable[[str, Embedder], Tuned],
        image_embedder: ImageEmbedder | None = None,
        reranker: Reranker | None = None,
        words: LiveWords | None = None,
    ) -> None:
        self.gatherer = Gatherer(settings.home, databases)
        self.runs = runs_of(settings.home)
        self.picture_words = PictureWords(
            databases, self.gatherer, self.runs, image_embedder, words, settings.home / "models"
        )
        self._trainer = Trainer(settings.home, databases, index, self.gatherer, self.runs, reranker)
        self._settings = settings
        self._databases = databases
        self._index = index
        self._switcher = switcher
        self._build_embedder = build_embedder
        self._open_tuned = open_tuned
        self._image_embedder = image_embedder
        self._reranker = reranker
        self._words = words
        self._contests = Contests(index, switcher, build_embedder, open_tuned, self.picture_words)

    # --- what there is -------------------------------------------------------------------------------------------

    def status(self) -> TuneStatus:
        """How much there is to learn from and what it is enough for. Loads no model."""
        gathered, questions = self.gatherer.gather().pairs, self.gatherer.questions.all()
        counts = Counter(pair.source for pair in gathered)
        documents = len({pair.group for pair in gathered})
        gate = len(questions) + int(GATE * judging(gathered))
        asked = gate - sum(question.source in MADE for question in questions)
        unlocked = tiers(counts, documents, asked)
        return TuneStatus(
            embedder=self._index.now().base.state.name,
            pairs=dict(counts),
            documents=documents,
            questions=len(questions),
            gate=gate,
            detectable=detectable(gate) if gate else None,
            tiers=unlocked,
            suggested=suggested(unlocked),
            live=self.live(),
            before=self._before(),
        )

    def pairs(self) -> list[Pair]:
        """Everything there is to learn from now: feedback, the library's structure, synthetic and imported pairs."""
        return list(self.gatherer.gather().pairs)

    def candidates(self) -> list[Candidate]:
        """Every candidate that was trained to its end, newest first."""
        return self.runs.candidates()

    def verdict(self, name: str) -> Verdict | None:
        """What the gate said of a candidate, None where it was not judged.

        Raises:
            TuneError: the name cannot be one, or the verdict cannot be read.
        """
        return self.runs.verdict(name)

    def live(self) -> Candidate | None:
        """The candidate that searches now, None where the model does as it came."""
        return self._readable(self._pointers.live(self._base()))

    # --- training and judging ------------------------------------------------------------------------------------

    def begin(self, tier: Tier | Literal["auto"]) -> Path:
        """A new run's folder, to be given to `train`. "auto" is the highest tier that is unlocked.

        Raises:
            TuneError: there is too little to learn from, or the folder cannot be made.
        """
        if tier == "image":
            self.picture_words.check()  # refuses where nothing looks at pictures
            return self.runs.begin(tier)
        return self.runs.begin(self._tier(tier))

    def train(
        self,
        tier: Tier | Literal["auto"],
        options: TuneOptions,
        run_folder: Path,
        on_step: OnStep,
        stop: Event,
    ) -> Candidate | None:
        """Make a candidate of a tier in `run_folder`; None where it was stopped. What searches now is not touched.

        Args:
            on_step: called from this thread, often; see rag.tune.process.at_work, which writes progress.jsonl.
            stop: set it to end after the step in work; `TuneOptions.resume` goes on later.

        Raises:
            TuneError: too little to learn from, a training that broke, or a library that changed in a way that matters.
            DiskFull: there is no room for a checkpoint; what was written before stays.
            ModelError: the embedder cannot be used.
        """
        if tier == "image":
            return self.picture_words.train(options, run_folder, on_step, stop)
        return self._trainer.train(self._tier(tier), options, run_folder, on_step, stop)

    def _tier(self, tier: Tier | Literal["auto"]) -> Tier:
        """The tier that is meant; what there is to learn from is only counted where it matters."""
        return chosen(self.status().tiers) if tier == "auto" else tier

    def mine(self, on_step: OnStep, stop: Event) -> Mined | None:
        """Everything there is to learn from, with the passages that a training would take for wrong; for a look at it.

        None where it was stopped.
        """
        index = self._index.now()
        return self._trainer.mine(self.pairs(), index.store, index.base, on_step, stop)

    def judge(self, name: str, on_step: OnStep, stop: Event) -> Verdict | None:
        """Ask the gate's questions of the complete ranker as it is and with the candidate; None where it was stopped.

        A candidate of tier 2 is judged on its shadow version, which `embed_beside` makes and this brings up to date.
        The verdict is kept in the run's folder.

        Raises:
            TuneError: there is no such candidate, it searches already, it was made from another embedder than the live
                one, or there are no questions.
        """
        candidate, catalogue = self._exchangeable(name), self._databases.catalogue
        court = Court(
            self._settings.home,
            self.runs,
            kept=self.gatherer.questions.all,
            documents=lambda: [each.id for each in catalogue.infos()],
            terms=lambda query: analyse_query(query, catalogue.languages()),
            image_embedder=self._words.now() if self._words else self._image_embedder,
            reranker=self._reranker,
        )
        with self._contests.contest(candidate, on_step, stop) as contest:
            return None if contest is None else court.judge(contest, on_step, stop)

    def why_not(self, name: str) -> str:
        """Why a candidate may not be swapped in now, in plain words; "" where the gate's verdict holds and is PASS."""
        candidate = self.runs.candidate(name)
        if _is_whole(candidate):
            return f"the settings choose an image embedder: RAG_IMAGE_EMBEDDER={candidate.embedder}, then rag look"
        return why_not(self.runs.verdict(name), self._contests.grounds(candidate))

    # --- what searches -------------------------------------------------------------------------------------------

    def embed_beside(self, name: str, on_progress: OnProgress | None = None, stop: Event | None = None) -> SwitchReport:
        """Embed the library with a candidate of tier 2 in a version of the index beside the live one, which stays.

        It may be stopped or killed at any moment: the next call goes on, and brings over what was added meanwhile.

        Raises:
            TuneError: there is no such candidate, or it leaves the passages as they are.
        """
        candidate = self._exchangeable(name)
        if candidate.embedder is None:
            raise TuneError(f"{name!r} leaves the passages as they are: there is nothing to embed")
        return self._switcher.embed_beside(candidate.embedder, on_progress, stop)

    def swap(
        self,
        name: str,
        *,
        force: bool = False,
        on_progress: OnProgress | None = None,
        stop: Event | None = None,
    ) -> Candidate | None:
        """Let a candidate search from now on, in this process and in others; None where it was stopped before.

        One transaction: whatever happens the old one searches, or the new one does. For tier 2 what is not embedded
        yet is embedded first.

        Raises:
            TuneError: the gate's verdict is not PASS and it is not to be forced, or the candidate does not fit the live
                index.
        """
        candidate = self._exchangeable(name)
        if not force:
            check_verdict(name, self.runs.verdict(name), self._contests.grounds(candidate))
        if candidate.tier == "image":
            self.picture_words.make_live(name)
            return candidate
        if candidate.embedder is None:
            index = self._index.now()
            self._open_tuned(name, index.base)  # whole, and for these passages?
            self._pointers.make_live(index.base.fingerprint, name)
            return candidate
        # Nothing searches passages of its embedder before its version is live, which is one transaction as well.
        self._pointers.make_live(self._build_embedder(candidate.embedder).fingerprint, name)
        report = self._switcher.use(candidate.embedder, on_progress, stop)
        return candidate if report.live else None

    def roll_back(self, on_progress: OnProgress | None = None, stop: Event | None = None) -> Candidate | None:
        """Let search again what did before the last swap, of texts or of words for pictures, whichever came later.

        The candidate that does so now, None: the model as it came.

        Raises:
            TuneError: there is nothing to go back to.
        """
        before = self._before()
        if before is None:
            raise TuneError("nothing else has searched this library before; there is nothing to go back to")
        if self._words_came_last():
            self.picture_words.make_live(before)
            return self._readable(before)
        if self._version_came_last():
            self._switcher.roll_back(on_progress, stop)
        else:
            self._pointers.make_live(self._base(), before)
        return self.live()

    def make_map(
        self,
        a: str = "",
        b: str = "",
        *,
        points: int = POINTS,
        on_step: OnStep = lambda step: None,
        stop: Event | None = None,
    ) -> MadeMap | None:
        """See `rag.mapping.Mapper.make_map`: a page that shows the library before and after it learnt."""
        mapper = Mapper(
            self._settings.home,
            self._index,
            self._switcher.versions,
            self._build_embedder,
            tuned=self._tuned_embedder,
            live=lambda: live.name if (live := self.live()) is not None else "",
            pairs=self.pairs,
        )
        return mapper.make_map(a, b, points=points, on_step=on_step, stop=stop)

    def watch(self) -> str | None:
        """A proposal to roll back, in plain words, where people are less content than before the last swap; or None."""
        live, before = self._pointers.live(self._base()), self._before()
        if before is None:
            return None
        feedback = FeedbackLog(self._settings.home / FEEDBACK).read()
        watched = watch(feedback.shown, feedback.choices, live, before)
        return watched.proposal if watched else None

    def _tuned_embedder(self, name: str) -> Embedder | None:
        """What embeds queries as the candidate of that name does; None where there is no such candidate."""
        found = next((candidate for candidate in self.candidates() if candidate.name == name), None)
        if found is None:
            return None
        if found.embedder is not None:
            return self._build_embedder(found.embedder)
        return self._open_tuned(name, self._index.now().base).embedder

    def _exchangeable(self, name: str) -> Candidate:
        """The candidate of that name; TuneError where the settings alone can have it used."""
        candidate = self.runs.candidate(name)
        if _is_whole(candidate):
            raise TuneError(
                f"{name!r} is an image embedder of its own, which the gate does not know: set "
                f"RAG_IMAGE_EMBEDDER={candidate.embedder}, and `rag look` has it look at every picture"
            )
        return candidate

    # --- pointers ------------------------------------------------------------------------------------------------

    @property
    def _pointers(self) -> Retrievers:
        return self._databases.catalogue.retrievers

    def _base(self) -> str:
        """The fingerprint of the embedder that wrote the live version of the index, "" where nothing has."""
        return self._fingerprint(self._switcher.versions.live())

    def _words_came_last(self) -> bool:
        """Whether the last change of what searches was of words for pictures."""
        texts = max(self._switcher.versions.turn(), self._pointers.turn(self._base()))
        return self.picture_words.before is not None and self.picture_words.turn > texts

    def _fingerprint(self, version: str) -> str:
        manifest = self._switcher.versions.manifest(version)
        return manifest.fingerprint if manifest else ""

    def _version_came_last(self) -> bool:
        """Whether the last change of what searches was another version of the index, which one can go back from."""
        versions = self._switcher.versions
        return bool(versions.kept()) and versions.turn() > self._pointers.turn(self._base())

    def _before(self) -> str | None:
        """What would search after `roll_back`: a candidate, "" an embedder as it came; None: there is no way back."""
        if self._words_came_last():
            return self.picture_words.before
        if self._version_came_last():
            name = self._pointers.live(self._fingerprint(self._switcher.versions.kept()[0]))
        else:
            before = self._pointers.before(self._base())
            if before is None:
                return None
            name = before
        return name if self._readable(name) else ""

    def _readable(self, name: str) -> Candidate | None:
        """The candidate of that name; None for "", and where it is gone: the embedder searches as it came then."""
        if not name:
            return None
        try:
            return self.runs.candidate(name)
        except TuneError:
            return None


def _is_whole(candidate: Candidate) -> bool:
    """Whether it is an image embedder of its own, whose vectors of pictures are others than those there are."""
    return candidate.tier == "image" and candidate.embedder is not None
