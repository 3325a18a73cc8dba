"""How honest is the gate? How often it promotes what is no better, and how often what is better by a known amount.

Made-up questions: each has a place where its answer belongs, around which both rankers put it by chance, the tuned one
nearer to the top by as much as the gain is to be. Real ones: the answers of the program's own ranker and of a candidate
are exchanged at random, question by question, so that whatever difference is left is luck; and candidates that turn
each query a little in a direction of chance. What the gate then promotes is wrong, and may be one in twenty.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rag.tune.gate import decide
from rag.tune.records import Outcome, Question, Verdict
from rag.tune.trial import DEPTH, Asked, Ranked

SIZES = (50, 100, 300)  # questions of a gate
SHIFTS = (0.0, 0.25, 0.5)  # how much nearer to the top, as a logarithm of the place
FAMILY = 5  # candidates tried on the same questions

_SPREAD = 0.45  # of the logarithm of a place, by chance: gives differences with a spread of about .2
_RELIABLE = 0.5  # share of questions whose answer no ranker moves

Draw = Callable[[np.random.Generator], list[Asked]]
Shown = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Counted:
    """Verdicts of so many gates that asked so many questions, and the mean gain that they measured."""

    questions: int
    runs: int
    gain: float
    detectable: float
    outcomes: dict[str, float]


def made(random: np.random.Generator, count: int, shift: float = 0.0) -> list[Asked]:
    """Questions asked of a ranker and of one that is better by `shift`; for 0 both are alike in all but chance."""
    belongs = random.exponential(1.0, count)
    moved = (random.random(count) > _RELIABLE)[:, None] * random.normal([0.0, -shift], _SPREAD, (count, 2))
    places = np.maximum(1, np.rint(np.exp(belongs[:, None] + moved))).astype(int)
    return [_asked(str(number), *map(int, row)) for number, row in enumerate(places)]


def shuffled(asked: Sequence[Asked], count: int) -> Draw:
    """`count` of these questions at random, with what was before and what is after exchanged for half of them."""

    def draw(random: np.random.Generator) -> list[Asked]:
        chosen = random.choice(len(asked), min(count, len(asked)), replace=False)
        return [exchanged(asked[at]) if random.random() < 0.5 else asked[at] for at in chosen]

    return draw


def exchanged(one: Asked) -> Asked:
    return replace(one, before=one.after, after=one.before)


def counted(draw: Draw, runs: int, seed: int, canaries: Draw | None = None) -> Counted:
    """What so many gates say, each of questions drawn anew."""
    verdicts = []
    for run in range(runs):
        random = np.random.default_rng([seed, run])
        verdicts.append(decide("candidate", draw(random), canaries(random) if canaries else None, seed=run))
    return Counted(
        questions=verdicts[0].questions,
        runs=runs,
        gain=float(np.mean([verdict.gain for verdict in verdicts])),
        detectable=float(np.median([verdict.detectable for verdict in verdicts])),
        outcomes=shares(verdicts),
    )


def shares(verdicts: Sequence[Verdict]) -> dict[str, float]:
    outcomes: tuple[Outcome, ...] = ("PASS", "FAIL", "INCONCLUSIVE")
    return {name: sum(verdict.outcome == name for verdict in verdicts) / len(verdicts) for name in outcomes}


def families(questions: int, runs: int, seed: int) -> dict[str, float]:
    """How often any of FAMILY candidates that are no better is promoted: all at once, one after the other, uncorrected.

    All at once Holm's correction holds the rate at 5 %. One after the other the first is judged before anybody knows
    of the others, so that the rates of all add up: .05 (1 + 1/2 + 1/3 + …) at most.
    """
    found = {"at once": 0, "one after the other": 0, "uncorrected": 0}
    for run in range(runs):
        random = np.random.default_rng([seed, run])
        tried = [made(random, questions) for _ in range(FAMILY)]
        ps = [decide("candidate", asked, seed=run).grounds.p for asked in tried]
        earlier: dict[str, list[list[float]]] = {
            "at once": [ps[:at] + ps[at + 1 :] for at in range(FAMILY)],
            "one after the other": [ps[:at] for at in range(FAMILY)],
            "uncorrected": [[] for _ in range(FAMILY)],
        }
        for name, others in earlier.items():
            passed = (
                decide("candidate", asked, earlier=known, seed=run).outcome == "PASS"
                for asked, known, p in zip(tried, others, ps, strict=True)
                if p < 0.05
            )
            found[name] += any(passed)
    return {name: count / runs for name, count in found.items()}


def seconds(questions: int = 300) -> float:
    """How long the statistics of FAMILY candidates take, with as many canaries as questions."""
    random = np.random.default_rng(0)
    tried, canaries = [made(random, questions, 0.1) for _ in range(FAMILY)], made(random, questions)
    started = time.perf_counter()
    for asked in tried:
        decide("candidate", asked, canaries, earlier=[0.5] * (FAMILY - 1))
    return time.perf_counter() - started


def synthetic(runs: int, seed: int, show: Shown = lambda done, total: None) -> dict[str, Any]:
    """Made-up questions: false promotions, power, several candidates, and how long it takes."""
    cells = [(count, shift) for count in SIZES for shift in SHIFTS]
    rows = []
    for done, (count, shift) in enumerate(cells):
        show(done, len(cells) + 1)
        random = np.random.default_rng(seed)
        true = float(np.mean([one.gain for one in made(random, 20_000, shift)])) if shift else 0.0
        found = counted(lambda chance, n=count, s=shift: made(chance, n, s), runs, seed)  # type: ignore[misc]
        rows.append({"true_gain": true, **_row(found)})
    show(len(cells), len(cells) + 1)
    harmless = counted(lambda chance: made(chance, 100, 0.5), runs, seed, canaries=lambda chance: made(chance, 276))
    return {
        "gates": rows,
        "with_canaries_that_change_by_chance": _row(harmless),
        "families": families(100, runs, seed),
        "seconds_300_questions_5_candidates": seconds(),
    }


def real(answers: Sequence[Asked], turned: Sequence[Sequence[Asked]], runs: int, seed: int) -> dict[str, Any]:
    """Real answers: labels shuffled, and candidates of chance.

    Args:
        answers: of the program's ranker and of one that differs from it.
        turned: for each candidate of chance the answers before and after.
    """
    sizes = [count for count in SIZES if count < len(answers)] + [len(answers)]
    return {
        "shuffled": [_row(counted(shuffled(answers, count), runs, seed)) for count in sizes],
        "candidates_of_chance": {
            "candidates": len(turned),
            **shares([decide("candidate", asked, seed=at) for at, asked in enumerate(turned)]),
            "gain": float(np.mean([one.gain for asked in turned for one in asked])),
        },
    }


def _row(found: Counted) -> dict[str, Any]:
    return {
        "questions": found.questions,
        "runs": found.runs,
        "gain": found.gain,
        "detectable": found.detectable,
        **found.outcomes,
    }


def _asked(name: str, before: int, after: int) -> Asked:
    question = Question(name, name, {"right": 1}, "hand", 0.0)
    return Asked(question, Ranked(_listed(before), 20.0), Ranked(_listed(after), 20.0))


def _listed(place: int) -> tuple[str, ...]:
    return tuple("right" if at == place else f"other {at}" for at in range(1, DEPTH + 1))
