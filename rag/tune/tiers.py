"""Which tiers may be trained with what there is, and what is lacking for the others? Any may be forced by its name."""

from collections.abc import Mapping, Sequence

from rag.errors import TuneError
from rag.tune.pairs import REAL
from rag.tune.records import PairSource, Tier, TierStatus
from rag.tune.split import LEAST
from rag.tune.synthetic import SMALL_WEIGHT, WEIGHT

FEW, MANY = 30, 300  # pairs that people said, for tier 1a and for tiers 1b and 2
MADE_UP, JUDGES = 1000, 50  # or so many synthetic ones, with so many questions of people to judge by

_MADE_UP_NOTE = (
    f"unlocked by {{}} made-up pairs: each counts as one here, and in training as {SMALL_WEIGHT:g} to {WEIGHT:g}"
)
_ORDER: tuple[Tier, ...] = ("0", "1a", "1b", "2")


def tiers(pairs: Mapping[PairSource, int], documents: int, questions: int) -> tuple[TierStatus, ...]:
    """What each tier needs, cheapest first.

    Args:
        pairs: how many there are of each source.
        documents: of how many documents.
        questions: how many questions of people the gate could ask.
    """
    real, made_up = sum(pairs.get(source, 0) for source in REAL), pairs.get("synthetic", 0)
    anything = _anything(sum(pairs.values()), documents)
    linear = anything or _lacking(real, FEW)
    enough = made_up >= MADE_UP and questions >= JUDGES
    weights = anything or ("" if enough else _lacking(real, MANY, _or_made_up(made_up, questions)))
    note = _MADE_UP_NOTE.format(made_up) if enough and real < MANY else ""
    needs = {"0": anything, "1a": linear, "1b": weights, "2": weights}
    notes = {"1b": note, "2": note}
    return tuple(
        TierStatus(tier, not needs[tier], needs[tier], "" if needs[tier] else notes.get(tier, "")) for tier in _ORDER
    )


def suggested(statuses: Sequence[TierStatus]) -> Tier | None:
    """The highest tier that is unlocked and leaves the passages as they are, None where none is unlocked."""
    unlocked: list[Tier] = [each.tier for each in statuses if each.unlocked and each.tier != "2"]
    return unlocked[-1] if unlocked else None


def chosen(statuses: Sequence[TierStatus]) -> Tier:
    """The tier to train where none is named; TuneError where there is too little for any."""
    found = suggested(statuses)
    if found is None:
        raise TuneError(f"there is too little to learn from: {statuses[0].needs}")
    return found


def _anything(pairs: int, documents: int) -> str:
    if pairs < LEAST:
        return f"{pairs} pairs so far, {LEAST} are the least: search, and say what was right, or import pairs"
    return "" if documents > 1 else "all pairs are about one document; say of others, too, what they answer"


def _lacking(real: int, needed: int, otherwise: str = "") -> str:
    if real >= needed:
        return ""
    return f"{real} of {needed} pairs that people said (feedback or import){otherwise}"


def _or_made_up(made_up: int, questions: int) -> str:
    return (
        f", or {made_up} of {MADE_UP} made-up ones with {questions} of {JUDGES} questions that people asked, "
        "to judge by"
    )
