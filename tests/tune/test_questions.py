"""The kept questions: added, joined, pinned, removed, forgotten; by several processes at once; never half."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from rag.errors import TuneError
from rag.tune.questions import Questions, question, question_id

CAT, DOG = "a" * 32, "b" * 32


@pytest.fixture
def kept(tmp_path: Path) -> Questions:
    return Questions(tmp_path / "questions.jsonl")


def test_what_is_kept_is_there_for_the_next_reader(kept: Questions, tmp_path: Path) -> None:
    first = question("Wer hat den Müllkalender?\u2028 ", [CAT], now=lambda: 5.0)
    assert kept.add([first, question("and the dog", [DOG], pinned=True)]) == 2
    again = Questions(tmp_path / "questions.jsonl").all()
    assert [each.text for each in again] == ["Wer hat den Müllkalender?", "and the dog"]
    assert again[0] == first
    assert [each.pinned for each in again] == [False, True]


def test_a_question_asked_twice_is_one_that_both_documents_answer(kept: Questions) -> None:
    kept.add([question("Where is the CAT?", [CAT], pinned=True)])
    assert kept.add([question("where  is the cat?", [DOG])]) == 0
    [only] = kept.all()
    assert dict(only.right) == {CAT: 1, DOG: 1}
    assert only.pinned


def test_it_is_named_by_its_words_or_the_beginning_of_its_id(kept: Questions) -> None:
    kept.add([question("one", [CAT]), question("two", [CAT])])
    assert kept.pin("TWO").pinned
    assert not kept.pin(question_id("two")[:6], pinned=False).pinned
    assert [each.text for each in kept.remove(["one"])] == ["one"]
    assert [each.text for each in kept.all()] == ["two"]


@pytest.mark.parametrize("reference", ["three", "", "ffffffffffff"])
def test_one_that_is_not_there_is_said_and_nothing_changes(kept: Questions, reference: str) -> None:
    kept.add([question("one", [CAT])])
    with pytest.raises(TuneError, match="no kept question"):
        kept.remove(["one", reference])
    assert [each.text for each in kept.all()] == ["one"]


def test_forgetting_a_document_takes_the_questions_that_only_it_answers(kept: Questions) -> None:
    kept.add([question("both", [CAT, DOG]), question("cat alone", [CAT]), question("dog alone", [DOG])])
    assert kept.forget([CAT]) == 2
    assert {each.text: list(each.right) for each in kept.all()} == {"both": [DOG], "dog alone": [DOG]}


@pytest.mark.parametrize(
    ("text", "right", "reason"),
    [("?!", [CAT], "has no words"), ("x" * 2001, [CAT], "too long"), ("which?", [], "no document is right")],
)
def test_what_cannot_judge_is_not_kept(kept: Questions, text: str, right: list[str], reason: str) -> None:
    with pytest.raises(TuneError, match=reason):
        kept.add([question(text, right)])
    assert kept.all() == []


def test_a_line_broken_by_hand_is_named_and_nothing_is_lost(kept: Questions, tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    kept.add([question("one", [CAT])])
    whole = path.read_bytes() + b'{"id": "x", "text": \n'
    path.write_bytes(whole)
    for change in (kept.all, lambda: kept.add([question("two", [CAT])]), lambda: kept.forget([CAT])):
        with pytest.raises(TuneError, match=r"questions\.jsonl, line 2: .*; mend or delete this line"):
            change()
    assert path.read_bytes() == whole


def test_processes_that_add_at_once_lose_nothing(kept: Questions, tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for done in [pool.submit(add_ten, path, who) for who in ("ann", "ben")]:
            done.result()
    assert {each.text for each in kept.all()} == {f"{who} asks {n}" for who in ("ann", "ben") for n in range(10)}


def add_ten(path: Path, who: str) -> None:
    for number in range(10):
        Questions(path).add([question(f"{who} asks {number}", [CAT])])
