"""The question's very words: in that form, side by side, not as a part of others."""

import math
from dataclasses import replace

import pytest

from rag.records import Match
from rag.retrieve.literal import BONUS, FIRST, POWER, raised
from tests.retrieve.made import made_chunk


def matches(*texts_and_scores: tuple[str, float]) -> list[Match]:
    return [Match(made_chunk(text, f"/notes/{i}.md"), score) for i, (text, score) in enumerate(texts_and_scores)]


def order(found: tuple[Match, ...]) -> list[str]:
    return [match.chunk.text for match in found]


def test_the_very_form_goes_before_another_form_that_scores_hardly_more() -> None:
    listed = matches(("Ada likes music.", 2.1), ("Ben likes musicals.", 2.0))
    assert order(raised("Who likes musicals?", listed)) == ["Ben likes musicals.", "Ada likes music."]


def test_the_share_by_hand() -> None:
    """Of two passages one has "musicals" (idf log 2), both have "likes" (log 1.2), and no two words are adjacent."""
    listed = matches(("He likes old musicals", 4.0), ("She likes music", 4.0))
    one, both = math.log(1 + 1.5 / 1.5), math.log(1 + 0.5 / 2.5)
    found = {match.chunk.text: match.score for match in raised("likes musicals", listed)}
    assert found["He likes old musicals"] == pytest.approx(4 * (1 + BONUS))
    assert found["She likes music"] == pytest.approx(4 * (1 + BONUS * (both / (one + both)) ** POWER))


def test_two_words_side_by_side_go_before_the_same_two_apart() -> None:
    apart, together = "A black hat and a green tea.", "A cup of Black\n Tea and a hat."
    assert order(raised("black tea", matches((apart, 3.2), (together, 3.0)))) == [together, apart]


@pytest.mark.parametrize("joined", ["RTX-4090", "3.14", "jo@example.org"])
def test_what_is_joined_by_a_sign_is_sought_as_it_was_written(joined: str) -> None:
    parts = joined.replace("-", " ").replace(".", " ").replace("@", " ")
    listed = matches((f"of {parts} here", 3.1), (f"of {joined} here", 3.0))
    assert order(raised(joined, listed))[0] == f"of {joined} here"


def test_a_part_of_a_longer_word_is_not_the_word() -> None:
    listed = matches(("teapots and steam", 3.1), ("(tea)", 3.0))
    assert order(raised("tea", listed)) == ["(tea)", "teapots and steam"]


def test_function_words_are_not_sought() -> None:
    listed = matches(("She sows a radish.", 3.1), ("How deep are they, and when?", 3.0))
    scores = [match.score for match in raised("How are radishes sown, and when?", listed)]
    assert scores == [3.1, 3.0]


def test_a_word_that_stands_nowhere_in_that_form_is_lacking_all_the_same() -> None:
    """Otherwise the one passage with "sown" would have all that there is of "radishes sown"."""
    (sown, _) = raised("radishes sown", matches(("Tomatoes, sown in March", 3.0), ("Radish: sow in April", 2.0)))
    lacking, one = math.log(1 + 2.5 / 0.5), math.log(1 + 1.5 / 1.5)
    assert sown.score == pytest.approx(3 * (1 + BONUS * (one / (one + lacking)) ** POWER))


def test_case_and_width_are_folded_as_in_the_words_that_are_compared() -> None:
    listed = matches(("of something else", 3.1), ("ＭＵＳＩＣＡＬＳ in town", 3.0))
    assert order(raised("Musicals", listed))[0] == "ＭＵＳＩＣＡＬＳ in town"


def test_the_title_of_a_passage_counts_too() -> None:
    titled = Match(replace(made_chunk("of something else", "/b.md"), title="The Musicals"), 3.0)
    assert raised("musicals", [*matches(("music", 3.1)), titled])[0].chunk is titled.chunk


@pytest.mark.parametrize("question", ["", "?!", "数", "x" * 10_000, "word " * 3000])
def test_odd_questions_leave_the_order(question: str) -> None:
    listed = matches(("One.", 3.0), ("Two.", 2.0), ("", 1.0))
    assert order(raised(question, listed)) == ["One.", "Two.", ""]


def test_nothing_and_one_match() -> None:
    assert raised("tea", []) == ()
    (alone,) = matches(("tea", 3.0))
    assert raised("tea", [alone]) == (alone,)


def test_equal_ones_keep_their_order_and_no_score_falls() -> None:
    listed = matches(*((f"tea {i}", 2.0) for i in range(5)), ("coffee", 1.9))
    found = raised("tea", listed)
    assert order(found) == [f"tea {i}" for i in range(5)] + ["coffee"]
    assert all(after.score >= before.score for after, before in zip(found, listed, strict=True))


def test_what_comes_after_the_first_stays_behind_them() -> None:
    listed = matches(*((f"passage {i}", 2.0) for i in range(FIRST)), ("tea", 2.0), ("more tea", 1.9))
    assert order(raised("tea", listed)) == [match.chunk.text for match in listed]
