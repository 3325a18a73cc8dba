"""The questions about other subjects: those that come with the program, and those of one's own."""

from pathlib import Path

import pytest

from rag.errors import TuneError
from rag.tune.canaries import load_canaries, questions_of
from rag.tune.measures import ndcg

OWN = '{"id": "a", "text": "Ducks swim.", "questions": ["who swims", "Was schwimmt?"]}\n'


def test_those_of_the_program_are_a_set_to_judge_by() -> None:
    canaries = load_canaries()
    questions = questions_of(canaries)
    assert len(questions) >= 250
    assert (
        len({question.text for question in questions}) == len({question.id for question in questions}) == len(questions)
    )
    assert len({canary.text for canary in canaries}) == len(canaries)
    assert all(question.text.lower() not in canary.text.lower() for canary in canaries for question in questions)


def test_ones_own_take_their_place(tmp_path: Path) -> None:
    own = tmp_path / "canaries.jsonl"
    assert load_canaries(own) == load_canaries()
    own.write_text(OWN, encoding="utf-8")
    first, second = questions_of(load_canaries(own))
    assert (first.text, second.text) == ("who swims", "Was schwimmt?")
    assert first.id != second.id
    assert ndcg(["a"], second.right) == 1.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "asks nothing"),
        (OWN.replace('"who swims", "Was schwimmt?"', ""), "asks nothing"),
        (OWN + OWN, "the same id"),
        (OWN + '{"id": "b"}', "line 2: text: "),
        (OWN.replace("Ducks swim.", "..."), "line 1: a canary needs an id and a text with words"),
        (OWN.replace("who swims", "?"), "a question of 'a' has no words"),
    ],
)
def test_what_is_wrong_with_ones_own_is_said(tmp_path: Path, text: str, reason: str) -> None:
    own = tmp_path / "canaries.jsonl"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(TuneError, match=reason):
        load_canaries(own)
