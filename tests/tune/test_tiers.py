"""Which tiers are unlocked, and what is said of those that are not."""

import pytest

from rag.errors import TuneError
from rag.tune.records import TierStatus
from rag.tune.tiers import chosen, suggested, tiers


def by_name(*args: object) -> dict[str, TierStatus]:
    return {each.tier: each for each in tiers(*args)}  # type: ignore[arg-type]


def test_what_people_said_unlocks_tier_by_tier() -> None:
    open_at = {n: [t.tier for t in tiers({"feedback": n}, 9, 0) if t.unlocked] for n in (9, 10, 29, 30, 299, 300)}
    assert open_at == {
        9: [],
        10: ["0"],
        29: ["0"],
        30: ["0", "1a"],
        299: ["0", "1a"],
        300: ["0", "1a", "1b", "2"],
    }
    assert by_name({"feedback": 100, "import": 200}, 9, 0)["2"] == TierStatus("2", True, "")
    assert "one document" in by_name({"feedback": 500}, 1, 0)["2"].needs


def test_made_up_pairs_unlock_weights_only_with_questions_to_judge_by_and_it_is_said() -> None:
    found = by_name({"synthetic": 1000, "feedback": 12}, 9, 50)
    assert found["1a"] == TierStatus("1a", False, "12 of 30 pairs that people said (feedback or import)")
    for tier in ("1b", "2"):
        assert found[tier].unlocked
        assert found[tier].note == (
            "unlocked by 1000 made-up pairs: each counts as one here, and in training as 0.1 to 0.4"
        )
    for pairs, questions in ((999, 50), (1000, 49)):
        lacking = by_name({"synthetic": pairs, "feedback": 12}, 9, questions)["2"]
        assert lacking == TierStatus(
            "2",
            False,
            f"12 of 300 pairs that people said (feedback or import), or {pairs} of 1000 made-up ones with {questions} "
            "of 50 questions that people asked, to judge by",
        )


def test_the_suggested_tier_embeds_nothing_again() -> None:
    enough = tiers({"import": 300}, 9, 0)
    assert suggested(enough) == "1b"
    assert chosen(enough) == "1b"
    with pytest.raises(TuneError, match="too little to learn from: 3 pairs so far"):
        chosen(tiers({"import": 3}, 9, 0))
