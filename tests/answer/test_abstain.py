"""Whether anything stands out: the decision by hand, and on real texts with the hashing embedder."""

import math
from dataclasses import replace

import pytest

from rag.answer.abstain import doubt, stands_out
from rag.answer.sources import numbered
from rag.embed.hashing import HashingEmbedder
from rag.records import Evidence, FoundBy
from tests.answer.passages import found_result, passages, picture_hit
from tests.fakes import highlight

BAKERY = "The bakery smells of bread. It was opened by Ana Flores in 1962."
FERRY = "The boat is blue. The first ferry leaves at 6:40 in the morning."


def judged(question: str, *texts: str) -> float:
    return doubt(question, highlight(question, passages(*texts), HashingEmbedder()))


def test_the_decision_is_a_logistic_regression_over_evidence_and_coverage() -> None:
    (passage,) = passages("abcd")
    found = (replace(passage, evidence=(Evidence(0, 4, 0.5),)),)
    # The grams of " abcd " are " abc", "abcd", "bcd "; those of " wxyz " three others: half of the question is covered.
    assert doubt("abcd wxyz", found) == pytest.approx(1 / (1 + math.exp(-(13.785 - 21.16 * 0.5 - 3.912 * 0.5))))


def test_more_evidence_and_more_of_the_question_mean_less_doubt() -> None:
    (passage,) = passages("The bakery")
    weak, strong = (replace(passage, evidence=(Evidence(0, 4, score),)) for score in (0.3, 0.6))
    assert doubt("bakery", [strong]) < doubt("bakery", [weak])
    assert doubt("bakery", [weak]) < doubt("bakery closing hours", [weak])


def test_a_question_that_the_passages_answer_stands_out() -> None:
    assert stands_out(
        "Who opened the bakery?", highlight("Who opened the bakery?", passages(BAKERY), HashingEmbedder())
    )
    assert judged("When does the first ferry leave?", FERRY, BAKERY) < 0.2


@pytest.mark.parametrize(
    "question",
    ["Which prime minister abolished the salt tax?", "Wer hat die Relativitätstheorie begründet?", "谁发明了电话？"],
)
def test_a_question_about_something_else_does_not(question: str) -> None:
    assert judged(question, BAKERY, FERRY) > 0.9
    assert not stands_out(question, highlight(question, passages(BAKERY, FERRY), HashingEmbedder()))


def test_with_no_passage_or_an_empty_one_nothing_stands_out() -> None:
    assert doubt("Who opened the bakery?", ()) == 1.0
    assert not stands_out("Who opened the bakery?", passages(""))


def test_a_question_without_words_is_not_judged() -> None:
    assert stands_out("???", passages(BAKERY))


def test_a_picture_found_by_its_looks_or_without_words_is_not_judged_by_words() -> None:
    question = "a red kite above the dunes"
    seen = replace(picture_hit(1, "EXIT"), found_by=(FoundBy("image", 1, 0.3, 0.001),))
    for hit, expected in ((seen, True), (picture_hit(1), True), (picture_hit(1, "EXIT"), False)):
        assert stands_out(question, numbered(found_result(question, hit))) is expected
