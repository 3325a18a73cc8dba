"""How well does this library find what its owner asks for? Its kept questions, asked through its own search.

`evaluate_own(library)` asks them all and adds the result to RAG_HOME/evaluations.jsonl; `history(home)` reads that
file, and `compare` says what changed between two of them, and whether less was found beyond what chance explains. The
Evaluate page and `python -m eval own` both show this and measure nothing of their own.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from threading import Event
from typing import Literal, Protocol

from pydantic import TypeAdapter

from rag.config import Settings
from rag.errors import TuneError
from rag.records import DocumentInfo, Hit, Kind, SearchResult, Status
from rag.tune.lines import append_lines, read_lines
from rag.tune.measures import ndcg, place, recall
from rag.tune.questions import FILE as QUESTIONS
from rag.tune.questions import Questions
from rag.tune.records import Candidate, Question
from rag.tune.statistics import ALPHA, bootstrap, detectable, sign_flip, spread_of

FILE = "evaluations.jsonl"
DEPTHS = (1, 5, 10, 20)
_DOCUMENTS = 20  # that a ranking goes down to
_HITS = 60  # that are asked for, so that several passages of one document leave room for the others
_FEWEST = 5  # questions below which nothing is said about better or worse

OnAsked = Callable[[int, int], None]


class Learning(Protocol):
    """What is asked of the library's improver here."""

    def live(self) -> Candidate | None: ...


class Searching(Protocol):
    """What is asked of a library here."""

    @property
    def settings(self) -> Settings: ...
    @property
    def improver(self) -> Learning: ...
    def status(self) -> Status: ...
    def documents(self) -> list[DocumentInfo]: ...
    def search(self, text: str, *, k: int) -> SearchResult: ...


@dataclass(frozen=True, slots=True)
class Setup:
    """What a result depends on besides the questions. Models are names, "" where there is none."""

    embedder: str
    retriever: str  # the tuned one that was live
    image_embedder: str
    reranker: str
    chunk_tokens: int
    documents: int
    passages: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question: the `place` of its first right document, None where that is not among the first 20."""

    id: str
    text: str
    source: str  # where the question comes from
    right: tuple[str, ...]
    kinds: tuple[Kind, ...]  # of its right documents
    place: int | None
    ndcg: float
    recall: Mapping[int, float]  # by depth


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over questions, all in [0, 1]: recall by depth, MRR@20, nDCG@10."""

    questions: int
    recall: Mapping[int, float]
    mrr: float
    ndcg: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All kept questions asked once. `time` is Unix seconds, `ms` the median search.

    A question counts in each group of its right documents. `lost` are the words of questions that could not be asked
    because every document that is right for them has left the library.
    """

    time: float
    setup: Setup
    scores: Scores
    modalities: Mapping[str, Scores]  # text, image
    kinds: Mapping[str, Scores]
    sources: Mapping[str, Scores]  # of questions: hand, feedback, …
    outcomes: tuple[Outcome, ...]
    ms: float
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """What lies between two evaluations, judged on the questions that both asked with the same right documents.

    `detectable` is the smallest difference of nDCG@10 that so many questions could have shown.
    """

    questions: int
    before: float
    after: float
    interval: tuple[float, float]
    p: float
    detectable: float
    judged: Literal["better", "worse", "none"]
    changed: tuple[str, ...]

    @property
    def gain(self) -> float:
        return self.after - self.before


# --- asking --------------------------------------------------------------------------------------------------------


def evaluate_own(library: Searching, on_asked: OnAsked | None = None, stop: Event | None = None) -> Evaluation | None:
    """Ask all kept questions of the library, keep the result beside the earlier ones, and give it; None where stopped.

    Raises:
        TuneError: no question is kept, or no right document of any is in the library.
    """
    home = library.settings.home
    found = evaluate(library, Questions(home / QUESTIONS).all(), on_asked, stop)
    if found is not None:
        append_lines(home / FILE, [found], _ADAPTER)
    return found


def evaluate(
    library: Searching,
    questions: Sequence[Question],
    on_asked: OnAsked | None = None,
    stop: Event | None = None,
) -> Evaluation | None:
    """Ask `questions` of the library as the chat would search it; None where it was stopped. Nothing is kept.

    Raises:
        TuneError: there is no question, or no right document of any is in the library.
    """
    kinds = {info.id: info.kind for info in library.documents()}
    asked = [question for question in questions if any(document in kinds for document in question.right)]
    if not asked:
        raise TuneError(_nothing_to_ask(questions))
    setup = setup_of(library)
    outcomes, times = [], []
    for done, question in enumerate(asked):
        if stop is not None and stop.is_set():
            return None
        if on_asked is not None:
            on_asked(done, len(asked))
        documents, ms = _ranked(library, question.text)
        outcomes.append(outcome(question, documents, kinds))
        times.append(ms)
    known = {question.id for question in asked}
    lost = tuple(question.text for question in questions if question.id not in known)
    return summary(outcomes, setup, time.time(), median(times), lost)


def setup_of(library: Searching) -> Setup:
    """How the library is searched now."""
    status = library.status()
    tuned = library.improver.live()
    names = {model.role: model.name for model in status.models}
    return Setup(
        embedder=names.get("embedder", ""),
        retriever=tuned.name if tuned else "",
        image_embedder=names.get("image embedder", ""),
        reranker=names.get("reranker", ""),
        chunk_tokens=library.settings.chunk_tokens,
        documents=status.documents,
        passages=status.chunks,
    )


def history(home: Path) -> list[Evaluation]:
    """The evaluations that are kept in the library at `home`, oldest first; a line that cannot be read is left out."""
    return list(read_lines(home / FILE, _ADAPTER).records)


# --- scoring -------------------------------------------------------------------------------------------------------


def outcome(question: Question, documents: Sequence[str], kinds: Mapping[str, Kind]) -> Outcome:
    """How well `documents` (ids, best first) answer a question. What is right but not in `kinds` does not count."""
    right = {document: grade for document, grade in question.right.items() if document in kinds}
    return Outcome(
        id=question.id,
        text=question.text,
        source=question.source,
        right=tuple(sorted(right)),
        kinds=tuple(sorted({kinds[document] for document in right})),
        place=place(documents, right),
        ndcg=ndcg(documents, right),
        recall={depth: recall(documents, right, depth) for depth in DEPTHS},
    )


def summary(outcomes: Sequence[Outcome], setup: Setup, when: float, ms: float, lost: Sequence[str] = ()) -> Evaluation:
    """The means of all outcomes, at least one, and of every group of them."""
    return Evaluation(
        time=when,
        setup=setup,
        scores=_scores(outcomes),
        modalities=_grouped(outcomes, lambda one: {"image" if kind == "image" else "text" for kind in one.kinds}),
        kinds=_grouped(outcomes, lambda one: one.kinds),
        sources=_grouped(outcomes, lambda one: [one.source]),
        outcomes=tuple(outcomes),
        ms=ms,
        lost=tuple(lost),
    )


def compare(before: Evaluation, after: Evaluation) -> Difference:
    """Whether `after` finds more or less than `before` beyond what chance explains: sign-flip test, 5 % a side."""
    earlier = {one.id: one for one in before.outcomes}
    pairs = [
        (earlier[one.id].ndcg, one.ndcg)
        for one in after.outcomes
        if one.id in earlier and earlier[one.id].right == one.right
    ]
    differences = [new - old for old, new in pairs]
    up, down = sign_flip(differences), sign_flip([-difference for difference in differences])
    enough = len(pairs) >= _FEWEST
    return Difference(
        questions=len(pairs),
        before=fmean(old for old, _ in pairs) if pairs else 0.0,
        after=fmean(new for _, new in pairs) if pairs else 0.0,
        interval=bootstrap(differences) if pairs else (0.0, 0.0),
        p=min(up, down),
        detectable=detectable(len(pairs), spread_of(differences)),
        judged="better" if enough and up < ALPHA else "worse" if enough and down < ALPHA else "none",
        changed=changes(before.setup, after.setup),
    )


def changes(before: Setup, after: Setup) -> tuple[str, ...]:
    """What is set up differently, in plain words: `embedder: small → large`, `documents: 40 → 52`."""
    labels = {
        "embedder": "embedder",
        "retriever": "tuned retriever",
        "image_embedder": "picture model",
        "reranker": "reranker",
        "chunk_tokens": "longest passage in tokens",
        "documents": "documents",
        "passages": "passages",
    }
    pairs = ((label, getattr(before, field), getattr(after, field)) for field, label in labels.items())
    return tuple(f"{label}: {_said(old)} → {_said(new)}" for label, old, new in pairs if old != new)


# --- inside --------------------------------------------------------------------------------------------------------


_ADAPTER = TypeAdapter(Evaluation)


def _ranked(library: Searching, text: str) -> tuple[list[str], float]:
    """The first 20 documents for a question, each once, and how long that took but for the loading of models."""
    result = library.search(text, k=_HITS)
    ms = sum(spent for stage, spent in result.ms.items() if stage != "load")
    return list(dict.fromkeys(_documents(result.hits)))[:_DOCUMENTS], ms


def _documents(hits: Iterable[Hit]) -> Iterable[str]:
    """Of each hit its document, and the others that show the very same picture."""
    return (chunk.document_id for hit in hits for chunk in (hit.chunk, *hit.also))


def _scores(outcomes: Sequence[Outcome]) -> Scores:
    return Scores(
        questions=len(outcomes),
        recall={depth: fmean(one.recall[depth] for one in outcomes) for depth in DEPTHS},
        mrr=fmean(1 / one.place if one.place else 0.0 for one in outcomes),
        ndcg=fmean(one.ndcg for one in outcomes),
    )


def _grouped(outcomes: Sequence[Outcome], groups_of: Callable[[Outcome], Iterable[str]]) -> dict[str, Scores]:
    groups: dict[str, list[Outcome]] = {}
    for one in outcomes:
        for group in groups_of(one):
            groups.setdefault(group, []).append(one)
    return {group: _scores(groups[group]) for group in sorted(groups)}


def _said(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value) or "none"


def _nothing_to_ask(questions: Sequence[Question]) -> str:
    if not questions:
        return "no question is kept; keep one from a chat, or with `rag tune questions add`"
    return "no document that is right for any kept question is in the library any more; keep new questions"
