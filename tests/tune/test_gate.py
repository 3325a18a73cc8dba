"""The gate on answers whose scores can be worked out by hand: each rule by itself, then on chance and on real gains."""

from collections.abc import Sequence
from math import log2
from threading import Event
from typing import Any

import numpy as np
import pytest

from rag.errors import TuneError
from rag.tune.gate import decide, judge
from rag.tune.records import Example, Grounds, Question, Verdict
from rag.tune.statistics import bootstrap, sign_flip
from rag.tune.trial import Asked, Ranked, Trial, ask

Places = tuple[int | None, int | None]


def listed(place: int | None) -> tuple[str, ...]:
    """Twenty documents with the right one at `place`."""
    documents = [f"other {number}" for number in range(20)]
    if place is not None:
        documents[place - 1] = "right"
    return tuple(documents)


def answer(places: Places, number: int = 0, ms: tuple[float, float] = (20.0, 20.0), **question: Any) -> Asked:
    fields = {"id": f"q{number}", "text": f"question {number}", "source": "hand", "time": 0.0, **question}
    asked = Question(right={"right": 1}, **fields)
    return Asked(asked, Ranked(listed(places[0]), ms[0]), Ranked(listed(places[1]), ms[1]))


def answers(*groups: tuple[int, Places], **question: Any) -> list[Asked]:
    """So many questions with such places before and after."""
    places = [each for count, each in groups for _ in range(count)]
    return [answer(each, number, **question) for number, each in enumerate(places)]


SAME = (1, 1)
BETTER = answers((12, (2, 1)), (18, SAME))  # 12 of 30 from the second place to the first
GAIN = 12 * (1 - 1 / log2(3)) / 30


def test_a_gain_that_chance_does_not_make_passes() -> None:
    verdict = decide("lin", BETTER)
    assert verdict.outcome == "PASS"
    assert (verdict.before, verdict.after) == (pytest.approx(1 - GAIN), pytest.approx(1.0))
    assert verdict.gain == pytest.approx(GAIN)
    assert verdict.p == 1 / 2**12  # of all signs of the 12 that changed only those as they are reach so much
    low, high = verdict.interval
    assert 0 < low < GAIN < high
    assert verdict.questions == 30
    assert verdict.canary is None
    assert verdict.reasons == (
        "Better on 30 questions: +14.8 points of nDCG@10 "
        f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f}), p < .001.",
        "As much is found: the share of right documents among the first 20 was 100.0% and is 100.0%.",
        "As fast: a search took 20 ms and takes 20 ms (medians).",
    )
    assert verdict.better[0] == Example("question 0", 2, 1)
    assert len(verdict.better) == 5
    assert verdict.worse == ()


def test_the_same_the_other_way_round_fails() -> None:
    verdict = decide("lin", [Asked(one.question, one.after, one.before) for one in BETTER])
    assert verdict.outcome == "FAIL"
    assert verdict.reasons[0].startswith("Worse on 30 questions: -14.8 points")
    assert verdict.worse[0] == Example("question 0", 1, 2)


def test_a_gain_that_may_be_chance_is_inconclusive_and_says_what_could_have_been_shown() -> None:
    verdict = decide("lin", answers((4, (2, 1)), (26, SAME)))
    assert verdict.p == 1 / 2**4
    assert verdict.outcome == "INCONCLUSIVE"
    # The gains are d for 4 of 30: their variance is d^2 (4/30)(26/30) 30/29.
    spread = (1 - 1 / log2(3)) * (4 / 30 * 26 / 30 * 30 / 29) ** 0.5
    assert verdict.detectable == pytest.approx((1.6449 + 0.8416) * spread / 30**0.5, rel=1e-4)
    assert f"could have shown a gain of {100 * verdict.detectable:+.1f} points or more" in verdict.reasons[0]


def test_what_changes_nothing_is_no_gain() -> None:
    verdict = decide("lin", answers((40, (3, 3))))
    assert verdict.outcome == "INCONCLUSIVE"
    assert verdict.p == 1.0
    assert verdict.reasons[0] == "No evidence of a gain: 40 questions get the same score as before."
    assert verdict.detectable == pytest.approx(0.0786, abs=1e-4)  # by the usual spread: 2.4865 * .2 / sqrt(40)


def test_candidates_tried_before_make_it_harder() -> None:
    asked = answers((5, (2, 1)), (25, SAME))
    assert decide("lin", asked).p == 1 / 32
    verdict = decide("lin", asked, earlier=[0.4])
    assert verdict.p == 2 / 32
    assert verdict.outcome == "INCONCLUSIVE"
    assert "enough by itself but not as one of 2 candidates" in verdict.reasons[0]
    assert verdict.grounds.p == 1 / 32  # by itself, for the next one to count
    assert decide("lin", asked, earlier=[0.001]).p == 1 / 32  # one that is surer by itself is corrected for first


def test_questions_that_nobody_asked_reject_but_never_promote() -> None:
    made = [answer((2, 1), number, source="synthetic") for number in range(40)]
    verdict = decide("lin", made)
    assert verdict.p < 0.001
    assert verdict.outcome == "INCONCLUSIVE"
    assert verdict.reasons[0].startswith("None of the questions were asked by people, and it takes 10")
    few = [*made, *(answer((2, 1), number) for number in range(40, 49))]
    assert decide("lin", few).reasons[0].startswith("Only 9 of the questions were asked by people")
    worse = [answer((1, 2), number, source="structure") for number in range(40)]
    assert decide("lin", worse).outcome == "FAIL"


def test_the_test_is_made_on_what_people_asked() -> None:
    made = answers((40, (1, 1)), source="synthetic")
    verdict = decide("lin", [*BETTER, *made])
    assert (verdict.outcome, verdict.questions, verdict.p) == ("PASS", 30, 1 / 2**12)
    assert verdict.gain == pytest.approx(GAIN)
    assert any(reason.startswith("Not worse on 40 questions made") for reason in verdict.reasons)
    harmed = decide("lin", [*BETTER, *answers((9, (1, 2)), (31, SAME), source="synthetic")])
    assert harmed.outcome == "FAIL"
    assert harmed.reasons[0].startswith("Worse on 40 questions made from the documents themselves")
    assert harmed.reasons[1].startswith("Better on 30 questions")


def test_other_subjects_must_not_get_worse() -> None:
    kept = decide("lin", BETTER, answers((300, SAME)))
    assert (kept.outcome, kept.canary) == ("PASS", (0.0, 0.0))
    loss = 1 - 1 / log2(3)
    lost = answers((5, (1, 2)), (95, SAME))
    verdict = decide("lin", BETTER, lost)
    assert verdict.outcome == "FAIL"
    assert verdict.canary == (pytest.approx(-5 * loss / 100), bootstrap([one.gain for one in lost])[0])
    assert verdict.reasons[0].startswith("Too much is forgotten, 100 questions about other subjects: -1.8 points")
    unsure = decide("lin", BETTER, answers((2, (1, 2)), (98, SAME)))  # -.7 points, but perhaps more than 1
    assert unsure.outcome == "INCONCLUSIVE"
    assert unsure.reasons[0].startswith("It may forget too much")
    assert decide("lin", BETTER, []).outcome == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("places", "outcome"),
    [((5, 6), "FAIL"), ((1, None), "FAIL"), ((5, 5), "PASS"), ((1, 5), "PASS"), ((6, 9), "PASS"), ((None, 4), "PASS")],
)
def test_an_answer_that_is_pinned_stays_among_the_first_five(places: Places, outcome: str) -> None:
    pinned = answer(places, 99, pinned=True)
    verdict = decide("lin", [*answers((60, (2, 1))), answer((None, 20), 98), pinned])
    assert verdict.outcome == outcome
    assert verdict.lost == (("question 99",) if outcome == "FAIL" else ())
    if outcome == "FAIL":
        assert verdict.reasons[0] == "The answer to 1 pinned question left the first 5: 'question 99'."


def test_as_much_has_to_be_found() -> None:
    once = decide("lin", [*answers((60, (2, 1))), answer((11, None), 99)])
    assert once.recall == (1.0, pytest.approx(60 / 61))
    assert once.outcome == "INCONCLUSIVE"
    assert once.reasons[0] == (
        "Less is found: the share of right documents among the first 20 was 100.0% and is 98.4%."
    )
    often = decide("lin", [*answers((60, (2, 1))), *answers((5, (11, None)))])  # 1/32 by chance
    assert often.outcome == "FAIL"
    balanced = decide("lin", [*answers((60, (2, 1))), answer((11, None), 99), answer((None, 11), 98)])
    assert balanced.outcome == "PASS"


@pytest.mark.parametrize(
    ("ms", "outcome"),
    [((20, 30), "PASS"), ((20, 30.1), "FAIL"), ((400, 420), "PASS"), ((400, 421), "FAIL"), ((400, 10), "PASS")],
)
def test_a_search_may_take_a_little_longer(ms: tuple[float, float], outcome: str) -> None:
    assert decide("lin", answers((30, (2, 1)), ms=ms)).outcome == outcome


def test_it_takes_questions() -> None:
    with pytest.raises(TuneError, match="no questions to judge by"):
        decide("lin", [])
    put, calls = trial(3)
    with pytest.raises(TuneError, match="no questions to judge by"):
        judge("lin", Trial([], put.before, put.after), put)
    assert calls == []  # nobody waited for the others


def test_grounds_are_kept_and_completed() -> None:
    grounds = decide("lin", BETTER[:12], grounds=Grounds("fingerprint", "v2", "before")).grounds
    assert (grounds.base, grounds.index, grounds.live) == ("fingerprint", "v2", "before")
    assert grounds.questions == tuple(f"q{number}" for number in range(12))


# --- asking ----------------------------------------------------------------------------------------------------------


class Ranker:
    def __init__(self, place: int, calls: list[str]) -> None:
        self.calls = calls
        self._place = place

    def __call__(self, question: str) -> Ranked:
        self.calls.append(f"{question} {self._place}")
        return Ranked(listed(self._place), 1.0)


def trial(count: int) -> tuple[Trial, list[str]]:
    calls: list[str] = []
    questions = [one.question for one in answers((count, SAME))]
    return Trial(questions, Ranker(2, calls), Ranker(1, calls)), calls


def test_rankers_take_turns_and_the_first_calls_do_not_count() -> None:
    put, calls = trial(2)
    assert [one.example for one in ask(put)] == [Example("question 0", 2, 1), Example("question 1", 2, 1)]
    warm = ["question 0 2", "question 0 1"]
    assert calls == [*warm, "question 0 2", "question 0 1", "question 1 1", "question 1 2"]


def test_judging_tells_how_far_it_is_and_can_be_stopped() -> None:
    steps: list[tuple[int, int]] = []
    verdict = judge("lin", trial(12)[0], trial(3)[0], on_step=lambda *step: steps.append(step))
    assert isinstance(verdict, Verdict)
    assert verdict.outcome == "PASS"
    assert steps == [(done, 15) for done in range(1, 16)]
    stop = Event()
    put, calls = trial(12)
    assert judge("lin", put, on_step=lambda done, total: stop.set() if done == 3 else None, stop=stop) is None
    assert len(calls) == 2 + 2 * 3


# --- is it honest? ---------------------------------------------------------------------------------------------------


def drawn(random: np.random.Generator, better: float, worse: float) -> Places:
    """A place, and one a little better or worse with such chances."""
    before = int(random.integers(1, 12))
    draw = random.random()
    return before, max(1, before - 2) if draw < better else before + 2 if draw < better + worse else before


def rate(better: float, worse: float, runs: int = 120, questions: int = 60) -> float:
    """How many of so many runs promote such a candidate."""
    random = np.random.default_rng(7)
    verdicts = (
        decide("lin", answers(*((1, drawn(random, better, worse)) for _ in range(questions)))) for _ in range(runs)
    )
    return sum(verdict.outcome == "PASS" for verdict in verdicts) / runs


def test_chance_is_promoted_in_at_most_one_of_twenty_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer_draws(monkeypatch)
    noise = 3 * (0.05 * 0.95 / 120) ** 0.5  # three standard errors of the rate
    assert rate(0.25, 0.25) <= 0.05 + noise


def test_a_real_gain_is_promoted_most_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer_draws(monkeypatch)
    assert rate(0.6, 0.1) >= 0.8


def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundredth of the draws: enough to count passes, and the suite stays quick."""

    def flip(differences: Sequence[float], side: str = "greater", seed: int = 0) -> float:
        return sign_flip(differences, seed=seed, draws=999)

    monkeypatch.setattr("rag.tune.gate.sign_flip", flip)
    monkeypatch.setattr("rag.tune.gate.bootstrap", lambda values, seed=0: bootstrap(values, seed=seed, draws=200))
