"""The frozen records of the learning loop: what was shown and chosen, what is learnt from, what came of it.

Shown + Choice -> Pair -> (mined) Pair -> Candidate -> Verdict
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Act = Literal["up", "down", "pin", "this", "wrong", "open", "copy", "cited"]
PairSource = Literal["feedback", "structure", "synthetic", "import"]
Tier = Literal["0", "1a", "1b", "2", "image"]
Outcome = Literal["PASS", "FAIL", "INCONCLUSIVE"]


# --- feedback: lines of feedback.jsonl ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShownChunk:
    """A chunk on the screen: its place in the list, from 1, and its rank with each retriever that listed it."""

    chunk: str
    document: str
    rank: int
    ranks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shown:
    """A list that somebody was shown. `time` is Unix seconds, `space` the fingerprint of the embedder that made it.

    `retriever` is the name of the tuned retriever that was live, "" where there was none.
    """

    id: str
    time: float
    query: str
    space: str
    retriever: str
    chunks: tuple[ShownChunk, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was done with a list that was shown, or with one chunk of it (`chunk` "": with the answer as a whole).

    `taken_back` makes it the opposite: the same act, done before, does not stand any more.
    """

    shown: str
    time: float
    act: Act
    chunk: str = ""
    taken_back: bool = False


# --- what is learnt from -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A passage as the embedder reads it. `id` is its chunk's, or "import:" and a hash; `document` "" when imported."""

    id: str
    text: str
    document: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a passage that answers it, with passages that do not. Several answers are several pairs.

    `weight` in (0, 1] says how sure it is, `label` how right where it is graded (0 to 1, else None), `time` is Unix
    seconds of when it came to be.
    """

    id: str
    query: str
    positive: Excerpt
    source: PairSource
    time: float
    negatives: tuple[Excerpt, ...] = ()
    weight: float = 1.0
    label: float | None = None

    @property
    def group(self) -> str:
        """What is never split between training and judging: the document, or the passage where it was imported."""
        return self.positive.document or self.positive.id


@dataclass(frozen=True, slots=True)
class Caption:
    """Words that describe a picture: what an image embedder learns from.

    `picture` is the absolute path of its file, `digest` the sha256 of that (hex), `time` Unix seconds.
    """

    picture: str
    digest: str
    text: str
    time: float


@dataclass(frozen=True, slots=True)
class Question:
    """A question whose right documents are known: kept to judge retrievers, never trained on.

    `right` maps documents to grades > 0. A `pinned` one must never be lost: its answer stays among the first five.
    """

    id: str
    text: str
    right: Mapping[str, int]
    source: Literal["hand", "feedback", "structure", "synthetic", "import"]
    time: float
    pinned: bool = False


# --- what came of it ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """How far a training is. `loss` and `score` (nDCG@10 on held-out training questions) are None where unknown."""

    stage: Literal["collect", "mine", "train", "blend", "embed", "judge", "draw", "done", "failed", "stopped"]
    done: int
    total: int
    time: float
    loss: float | None = None
    score: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A retriever that was trained, in a folder of its own name under RAG_HOME/tuning/runs.

    Args:
        base: fingerprint of the embedder that it was made from, whose passages it searches (tiers 0 and 1); of the
            image embedder, whose pictures it finds (tier image).
        embedder: reference of its own embedder (tier 2), or of its own image embedder (tier image where it was trained
            whole); None where passages and pictures stay as they are.
        fusion_weight: what vectors weigh against words, None: as usual.
        parts: the other parts that it has: "memory", "linear", "model" (a query encoder), "home", "clip_text" (words).
    """

    name: str
    tier: Tier
    base: str
    created: float
    pairs: int
    embedder: str | None = None
    fusion_weight: float | None = None
    parts: tuple[str, ...] = ()
    home_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A question that got better or worse: the place of its first right document before and after, None: not found."""

    question: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a verdict rests on; it holds for as long as the library is the same in this.

    Args:
        base: fingerprint of the embedder of the live index, and `index` the version of that.
        live: the tuned retriever that the candidate was compared with, "" for the model as it came.
        questions: the ids of those that the test was made on, and `p` of that test by itself, before Holm.
    """

    base: str = ""
    index: str = ""
    live: str = ""
    questions: tuple[str, ...] = ()
    p: float = 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says. Scores are nDCG@10 on the gate's questions in the complete ranker.

    Args:
        reasons: in plain words, one for each thing that was looked at; the decisive one first.
        gain: mean difference, `interval` its 95 % bootstrap interval, `p` of the sign-flip test after Holm.
        detectable: the smallest gain that so many questions could have shown (one-sided 5 %, power 80 %).
        canary: mean difference on questions of other subjects and its lower bound, None where there are none.
        lost: pinned questions whose answer left the first five.
        recall: recall@20 before and after; `ms` the median time of a search before and after.
    """

    candidate: str
    outcome: Outcome
    reasons: tuple[str, ...]
    questions: int
    before: float
    after: float
    gain: float
    interval: tuple[float, float]
    p: float
    detectable: float
    canary: tuple[float, float] | None
    lost: tuple[str, ...]
    recall: tuple[float, float]
    ms: tuple[float, float]
    better: tuple[Example, ...]
    worse: tuple[Example, ...]
    time: float
    grounds: Grounds = Grounds()


# --- the tool itself ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """How to train.

    Args:
        loss: one of rag.tune.text_objectives, for tiers 1b and 2.
        method: for tier 2; tier 1b is always by LoRA.
        epochs: None: as many as the tier usually takes.
        seeds: so many trainings from seeds 0, 1, 2 …, of which the best on held-out questions is kept.
        resume: go on in the run's folder with what an earlier training left there.
        learning_rate: of tiers 1b, 2 and image; None: that for models of the usual size.
        whole: of tier image: the picture side learns as well, and another image embedder comes of it.
    """

    loss: str = "infonce"
    method: Literal["lora", "full"] = "full"
    epochs: int | None = None
    seeds: int = 1
    resume: bool = False
    learning_rate: float | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class TierStatus:
    """Whether a tier may be trained.

    `needs` says in plain words what it lacks, "" where it lacks nothing; `note` what is odd about its being unlocked.
    """

    tier: Tier
    unlocked: bool
    needs: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class TuneStatus:
    """How much there is to learn from, and what it is enough for.

    Args:
        embedder: the name of the model that embeds the passages now.
        pairs: how many there are of each source; `documents`: of how many documents (or imported passages).
        questions: how many are kept for judging alone.
        gate: how many the gate could ask in all: those, and the newest quarter of what people asked.
        detectable: the smallest gain in nDCG@10 that so many could show, None where there are none.
        suggested: the highest tier that is unlocked, None where there is too little for any.
        live: what searches now, None: the model as it came.
        before: what would search after `roll_back`: a candidate's name, "" the model as it came; None: no way back.
    """

    embedder: str
    pairs: Mapping[PairSource, int]
    documents: int
    questions: int
    gate: int
    detectable: float | None
    tiers: tuple[TierStatus, ...]
    suggested: Tier | None
    live: Candidate | None
    before: str | None
