"""An improver in memory with the real one's shape: runs in real folders, verdicts as they are set, no model."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from rag.errors import TuneError
from rag.tune.records import (
    Candidate,
    Example,
    Outcome,
    PairSource,
    Tier,
    TierStatus,
    TuneStatus,
    Verdict,
)
from rag.tune.runs import Runs

NOTHING = TuneStatus(
    embedder="all-MiniLM-L6-v2",
    pairs={},
    documents=0,
    questions=0,
    gate=0,
    detectable=None,
    tiers=(
        TierStatus("0", False, "it needs 10 pairs, there are 0"),
        TierStatus("1a", False, "it needs 30 pairs of your own, there are 0"),
        TierStatus("1b", False, "it needs 300 pairs of your own, there are 0"),
        TierStatus("2", False, "it needs 300 pairs of your own, there are 0"),
    ),
    suggested=None,
    live=None,
    before=None,
)
PAIRS: Mapping[PairSource, int] = {"feedback": 62, "structure": 118}
SOME = replace(
    NOTHING,
    pairs=PAIRS,
    documents=41,
    questions=18,
    gate=34,
    detectable=0.085,
    tiers=(TierStatus("0", True, ""), TierStatus("1a", True, ""), *NOTHING.tiers[2:]),
    suggested="1a",
)


def candidate(name: str = "1a-20250302-093000", tier: Tier = "1a", pairs: int = 62) -> Candidate:
    return Candidate(name, tier, "fake", 1740900000.0, pairs, parts=("linear", "home"))


def verdict(name: str = "1a-20250302-093000", outcome: Outcome = "PASS") -> Verdict:
    reasons = {
        "PASS": "Right documents stand higher: nDCG@10 .612 to .703 on 34 questions, p = .004",
        "FAIL": "Of the pinned questions 1 lost its answer: “Which berth?”",
        "INCONCLUSIVE": "34 questions could only have shown a gain of .085; the gain was .031, p = .210",
    }
    return Verdict(
        candidate=name,
        outcome=outcome,
        reasons=(reasons[outcome], "Questions about other subjects find as much as before"),
        questions=34,
        before=0.612,
        after=0.703,
        gain=0.091,
        interval=(0.03, 0.15),
        p=0.004,
        detectable=0.085,
        canary=(-0.001, -0.006),
        lost=("Which berth?",) if outcome == "FAIL" else (),
        recall=(0.82, 0.88),
        ms=(21.0, 22.0),
        better=(Example("When do the bees leave?", 7, 1), Example("What about jars?", None, 3)),
        worse=(Example("Which berth?", 1, 2),),
        time=1740900100.0,
    )


class FakeImprover:
    """Swaps at once; `standing` is what it says of itself, `proposal` what it would have done."""

    def __init__(self, home: Path, standing: TuneStatus = NOTHING) -> None:
        self.runs = Runs(home / "tuning" / "runs")
        self.standing = standing
        self.proposal: str | None = None
        self._before: list[Candidate | None] = []

    def status(self) -> TuneStatus:
        return self.standing

    def live(self) -> Candidate | None:
        return self.standing.live

    def begin(self, tier: Tier | Literal["auto"]) -> Path:
        return self.runs.begin("0" if tier == "auto" else tier)

    def candidates(self) -> list[Candidate]:
        return self.runs.candidates()

    def verdict(self, name: str) -> Verdict | None:
        return self.runs.verdict(name)

    def swap(self, name: str, *, force: bool = False) -> Candidate:
        said = self.verdict(name)
        if not force and (said is None or said.outcome != "PASS"):
            raise TuneError(f"the gate did not let {name!r} pass")
        self._before.append(self.live())
        self._now(self.runs.candidate(name))
        return self.runs.candidate(name)

    def roll_back(self) -> Candidate | None:
        if not self._before:
            raise TuneError("there is nothing to go back to")
        self._now(self._before.pop())
        return self.live()

    def watch(self) -> str | None:
        return self.proposal

    def keep(self, made: Candidate, said: Verdict | None = None) -> None:
        """Have a candidate, and perhaps what the gate said of it."""
        (self.runs.root / made.name).mkdir(parents=True, exist_ok=True)
        self.runs.write(made)
        if said is not None:
            self.runs.write(replace(said, candidate=made.name, time=time.time()))

    def _now(self, live: Candidate | None) -> None:
        before = self._before[-1] if self._before else None
        back = None if not self._before else before.name if before else ""
        self.standing = replace(self.standing, live=live, before=back)
