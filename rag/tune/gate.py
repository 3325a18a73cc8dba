"""May this candidate search the library? Only if it was shown to be better, and worse at nothing that counts.

Both rankers answer the same questions, each as a whole, as it would search. Each thing that is looked at gives a
finding: FAIL where harm was shown, INCONCLUSIVE where the questions cannot tell, else PASS. The worst one decides.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event

import numpy as np

from rag.errors import TuneError
from rag.tune.measures import recall
from rag.tune.records import Example, Grounds, Outcome, Verdict
from rag.tune.statistics import ALPHA, Floats, bootstrap, detectable, holm, sign_flip, spread_of
from rag.tune.trial import DEPTH, Asked, Trial, ask

LEAST = 10  # questions of people without which nothing is promoted: fewer are no sample of what will be asked
MARGIN = 0.01  # nDCG@10 that questions about other things may lose
FIRST = 5  # places that the answer of a pinned question must not leave
SLOWER, SLOWER_MS = 0.05, 10.0  # share of a search's time that may be added, or milliseconds if those are more
SHOWN = 5  # examples of each kind in a verdict

_PINNED = "pinned question"
MADE = ("structure", "synthetic")  # questions that nobody asked: they may reject, never promote
_WORST_FIRST: tuple[Outcome, ...] = ("FAIL", "INCONCLUSIVE", "PASS")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one thing that was looked at says."""

    outcome: Outcome
    text: str


def judge(
    candidate: str,
    home: Trial,
    canaries: Trial | None = None,
    *,
    earlier: Sequence[float] = (),
    grounds: Grounds | None = None,
    seed: int = 0,
    on_step: Callable[[int, int], None] = lambda done, total: None,
    stop: Event | None = None,
) -> Verdict | None:
    """Put the questions of `home` and the canaries to both rankers, and say what came of it; None where it was stopped.

    Args:
        candidate: its name.
        home: questions about the library.
        canaries: questions about other things, with rankers over documents of their own; they must not get worse.
        earlier: see `decide`, as `grounds` and `seed`.
        on_step: called with the number of questions asked and to be asked.

    Raises:
        TuneError: there are no questions.
    """
    _check_any(home.questions)
    trials = [home] if canaries is None else [home, canaries]
    total = sum(len(trial.questions) for trial in trials)
    asked: list[list[Asked]] = [[] for _ in trials]
    for trial, answers in zip(trials, asked, strict=True):
        for one in ask(trial):
            answers.append(one)
            on_step(sum(map(len, asked)), total)
            if stop is not None and stop.is_set():
                return None
    others = asked[1] if canaries is not None else None
    return decide(candidate, asked[0], others, earlier=earlier, grounds=grounds, seed=seed)


def decide(
    candidate: str,
    asked: Sequence[Asked],
    canaries: Sequence[Asked] | None = None,
    *,
    earlier: Sequence[float] = (),
    grounds: Grounds | None = None,
    seed: int = 0,
) -> Verdict:
    """What follows from the answers to questions.

    The test is made on the questions that people asked, where there are LEAST of them at least; else on all.

    Args:
        asked: about the library; at least one.
        canaries: about other things; None: nothing is known of these, and nothing is said.
        earlier: the p by themselves of other candidates that were judged on these questions (Holm's correction).
        grounds: what the verdict rests on besides the questions and their p, which are filled in.
        seed: of the draws.

    Raises:
        TuneError: there are no questions.
    """
    _check_any(asked)
    real = [one for one in asked if one.question.source not in MADE]
    tested = real if len(real) >= LEAST else asked
    made = [] if tested is asked else [one for one in asked if one.question.source in MADE]
    gain = _Gain.of(tested, earlier, seed)
    canary = None if canaries is None else _elsewhere(canaries, seed)
    findings = [
        _better(gain, seed),
        *([] if tested is real else [_few(len(real))]),
        *_made_up(made, seed),
        *([] if canary is None else [_canaries(len(canaries or ()), *canary)]),
        *_pinned(asked),
        _recall(tested),
        _speed(asked),
    ]
    findings.sort(key=lambda each: _WORST_FIRST.index(each.outcome))
    before, after = np.mean([one.scores for one in tested], axis=0)
    return Verdict(
        candidate=candidate,
        outcome=findings[0].outcome,
        reasons=tuple(each.text for each in findings),
        questions=len(tested),
        before=float(before),
        after=float(after),
        gain=gain.mean,
        interval=gain.interval,
        p=gain.p,
        detectable=gain.detectable,
        canary=canary,
        lost=tuple(one.question.text for one in _left(asked)),
        recall=_recalls(tested),
        ms=_median_ms(asked),
        better=_examples([one for one in asked if one.gain > 0]),
        worse=_examples([one for one in asked if one.gain < 0]),
        time=time.time(),
        grounds=replace(grounds or Grounds(), questions=tuple(one.question.id for one in tested), p=gain.alone),
    )


def _check_any(questions: Sequence[object]) -> None:
    if not questions:
        raise TuneError(
            "there are no questions to judge by; keep some whose right document you know (`rag tune questions`), or "
            "tell after a search which result was right"
        )


# --- findings --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Gain:
    """The test that everything rests on: is the mean difference more than luck, also after so many candidates?"""

    gains: Floats
    alone: float
    p: float
    tried: int
    interval: tuple[float, float]

    @classmethod
    def of(cls, tested: Sequence[Asked], earlier: Sequence[float], seed: int) -> "_Gain":
        gains = np.array([one.gain for one in tested])
        alone = sign_flip(gains, seed=seed)
        return cls(gains, alone, holm([alone, *earlier])[0], 1 + len(earlier), bootstrap(gains, seed=seed))

    @property
    def mean(self) -> float:
        return float(self.gains.mean())

    @property
    def detectable(self) -> float:
        return detectable(len(self.gains), spread_of(self.gains))


def _better(gain: _Gain, seed: int) -> Finding:
    """Whether the right documents stand higher: the sign-flip test, one-sided, after Holm."""
    count, (low, high) = _questions(len(gain.gains)), gain.interval
    if not gain.gains.any():
        return Finding("INCONCLUSIVE", f"No evidence of a gain: {count} get the same score as before.")
    figures = f"{_points(gain.mean)} points of nDCG@10 (95 % interval {_points(low)} to {_points(high)}), {_p(gain.p)}"
    if gain.p < ALPHA:
        return Finding("PASS", f"Better on {count}: {figures}.")
    if sign_flip(-gain.gains, seed=seed) < ALPHA:
        return Finding("FAIL", f"Worse on {count}: {figures}.")
    if gain.alone < ALPHA:
        figures += f", which would be enough by itself but not as one of {gain.tried} candidates tried on these"
    return Finding(
        "INCONCLUSIVE",
        f"No evidence of a gain on {count}: {figures}. So many could have shown a gain of "
        f"{_points(gain.detectable)} points or more.",
    )


def _few(real: int) -> Finding:
    """Nothing is promoted by questions that nobody asked."""
    count = "None" if not real else f"Only {real}"
    return Finding(
        "INCONCLUSIVE",
        f"{count} of the questions were asked by people, and it takes {LEAST} to promote anything: questions made from "
        "the documents themselves can only reject.",
    )


def _made_up(made: Sequence[Asked], seed: int) -> list[Finding]:
    if not made:
        return []
    gains = np.array([one.gain for one in made])
    mean = _points(float(gains.mean()))
    text = f"on {_questions(len(made))} made from the documents themselves: {mean} points of nDCG@10"
    p = sign_flip(-gains, seed=seed)
    if p < ALPHA:
        return [Finding("FAIL", f"Worse {text}, {_p(p)}.")]
    return [Finding("PASS", f"Not worse {text}.")]


def _canaries(count: int, mean: float, low: float) -> Finding:
    """Non-inferiority: the lower bound of what other subjects gain lies above -MARGIN."""
    if not count:
        return Finding("INCONCLUSIVE", "There are no questions about other subjects to see whether they get worse.")
    if mean == low == 0:
        return Finding(
            "PASS", f"Nothing is forgotten: {_questions(count)} about other subjects get the same score as before."
        )
    text = f"{_questions(count)} about other subjects: {_points(mean)} points of nDCG@10, {_points(low)} at worst"
    if mean <= -MARGIN:
        return Finding("FAIL", f"Too much is forgotten, {text}; {_points(-MARGIN)} may be lost.")
    if low <= -MARGIN:
        return Finding(
            "INCONCLUSIVE", f"It may forget too much, {text}; a loss of {_points(-MARGIN)} has to be ruled out."
        )
    return Finding("PASS", f"Nothing that counts is forgotten, {text}.")


def _pinned(asked: Sequence[Asked]) -> list[Finding]:
    pinned, left = [one for one in asked if one.question.pinned], _left(asked)
    if not pinned:
        return []
    if not left:
        kept = f"The answers to {_questions(len(pinned), _PINNED)} stay among the first {FIRST}, where they were there"
        return [Finding("PASS", f"{kept}.")]
    named = "; ".join(repr(one.question.text) for one in left[:SHOWN]) + ("; …" if len(left) > SHOWN else "")
    return [Finding("FAIL", f"The answer to {_questions(len(left), _PINNED)} left the first {FIRST}: {named}.")]


def _recall(tested: Sequence[Asked]) -> Finding:
    """Recall@20 may not be lower: FAIL if it is lower by more than chance, INCONCLUSIVE if that may be chance."""
    changes = np.array([_recall_of(one)[1] - _recall_of(one)[0] for one in tested])
    before, after = _recalls(tested)
    figures = f"the share of right documents among the first {DEPTH} was {before:.1%} and is {after:.1%}"
    if changes.sum() >= -1e-9:
        return Finding("PASS", f"As much is found: {figures}.")
    outcome: Outcome = "FAIL" if sign_flip(-changes) < ALPHA else "INCONCLUSIVE"
    return Finding(outcome, f"Less is found: {figures}.")


def _speed(asked: Sequence[Asked]) -> Finding:
    before, after = _median_ms(asked)
    figures = f"a search took {before:.0f} ms and takes {after:.0f} ms"
    if after > before + max(SLOWER * before, SLOWER_MS):
        return Finding("FAIL", f"Too slow: {figures} (medians).")
    return Finding("PASS", f"As fast: {figures} (medians).")


# --- figures ---------------------------------------------------------------------------------------------------------


def _elsewhere(canaries: Sequence[Asked], seed: int) -> tuple[float, float]:
    """The mean difference and the lower end of its 95 % interval; for none 0 and -1, the worst there could be."""
    gains = np.array([one.gain for one in canaries])
    return (float(gains.mean()), bootstrap(gains, seed=seed)[0]) if len(gains) else (0.0, -1.0)


def _left(asked: Sequence[Asked]) -> list[Asked]:
    """The pinned questions whose answer was among the first and is not any more."""
    return [
        one for one in asked if one.question.pinned and _first(one.example.before) and not _first(one.example.after)
    ]


def _first(at: int | None) -> bool:
    return at is not None and at <= FIRST


def _recall_of(one: Asked) -> tuple[float, float]:
    return recall(one.before.documents, one.question.right), recall(one.after.documents, one.question.right)


def _recalls(asked: Sequence[Asked]) -> tuple[float, float]:
    before, after = np.mean([_recall_of(one) for one in asked], axis=0)
    return float(before), float(after)


def _median_ms(asked: Sequence[Asked]) -> tuple[float, float]:
    before, after = np.median([(one.before.ms, one.after.ms) for one in asked], axis=0)
    return float(before), float(after)


def _examples(changed: Sequence[Asked]) -> tuple[Example, ...]:
    """Those that changed most, of two alike the one that comes first."""
    return tuple(one.example for one in sorted(changed, key=lambda one: -abs(one.gain))[:SHOWN])


# --- words -----------------------------------------------------------------------------------------------------------


def _points(difference: float) -> str:
    """A difference of nDCG in points, which are hundredths: +1.3; what rounds to nothing has no sign of a loss."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def _p(p: float) -> str:
    return "p < .001" if p < 0.001 else f"p {p:.3f}".replace("0.", ".")


def _questions(count: int, kind: str = "question") -> str:
    return f"{count} {kind}" if count == 1 else f"{count} {kind}s"
