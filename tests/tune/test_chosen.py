"""Pairs from feedback: how sure each act makes, what is wrong, and what says nothing."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from rag.tune.chosen import Learnt, look_weight, pairs_from_feedback
from rag.tune.feedback import Feedback, FeedbackLog
from rag.tune.records import Act, Choice, Excerpt, Shown, ShownChunk

EXCERPTS = {name: Excerpt(name, f"The text of {name}.", f"doc {name}") for name in ("a", "b", "c", "d", "e")}


def excerpts_of(ids: Sequence[str]) -> dict[str, Excerpt]:
    return {name: EXCERPTS[name] for name in ids if name in EXCERPTS}


def learnt(*acts: tuple[Act, str], query: str = "where is it") -> Learnt:
    """What follows from acts on a list of five chunks, a to e."""
    chunks = tuple(ShownChunk(name, f"doc {name}", rank) for rank, name in enumerate((*EXCERPTS, "gone"), start=1))
    shown = Shown("s", 1.0, query, "space", "", chunks)
    choices = tuple(Choice("s", float(at), act, chunk) for at, (act, chunk) in enumerate(acts, start=2))
    return pairs_from_feedback(Feedback({"s": shown}, choices), excerpts_of)


@pytest.mark.parametrize(
    ("act", "chunk", "weight"),
    [("pin", "c", 1.0), ("this", "c", 1.0), ("cited", "c", 0.7), ("open", "a", 0.3), ("copy", "b", 0.6)],
)
def test_each_act_makes_so_sure(act: Act, chunk: str, weight: float) -> None:
    [pair] = learnt((act, chunk)).pairs
    assert (pair.query, pair.positive, pair.source) == ("where is it", EXCERPTS[chunk], "feedback")
    assert pair.weight == pytest.approx(weight)
    assert pair.time == 2.0


def test_looks_further_down_count_more_up_to_a_limit() -> None:
    assert [round(look_weight(rank), 2) for rank in (1, 2, 3, 50)] == [0.3, 0.6, 0.6, 0.6]


def test_of_several_acts_the_surest_counts_and_the_time_is_the_last() -> None:
    [pair] = learnt(("this", "a"), ("open", "a")).pairs
    assert (pair.weight, pair.time) == (1.0, 3.0)


def test_only_what_was_called_wrong_is_wrong() -> None:
    found = learnt(("this", "b"), ("wrong", "a"), ("down", ""))
    [pair] = found.pairs
    assert pair.positive == EXCERPTS["b"]
    assert pair.negatives == (EXCERPTS["a"],)  # not c, d and e, which were passed over
    assert found.contradictions == ()


def test_an_answer_that_nobody_liked_says_nothing_of_its_sources() -> None:
    found = learnt(("down", ""))
    assert found.pairs == ()
    assert found.only_wrong == 0


def test_what_was_used_and_called_wrong_is_wrong_and_told() -> None:
    found = learnt(("open", "a"), ("wrong", "a"), ("pin", "b"))
    assert [(pair.positive.id, [each.id for each in pair.negatives]) for pair in found.pairs] == [("b", ["a"])]
    [said] = found.contradictions
    assert (said.query, said.passage, said.taken_as) == ("where is it", "The text of a.", "wrong")


def test_a_query_with_nothing_right_gives_no_pair() -> None:
    found = learnt(("wrong", "a"))
    assert found.pairs == ()
    assert found.only_wrong == 1


def test_chunks_that_are_gone_are_counted() -> None:
    found = learnt(("pin", "gone"), ("wrong", "gone"), ("pin", "a"))
    assert [pair.positive.id for pair in found.pairs] == ["a"]
    assert found.gone == 1


def test_a_query_without_words_teaches_nothing() -> None:
    assert learnt(("pin", "a"), query="???").pairs == ()


def test_one_query_in_two_lists_is_one(tmp_path: Path) -> None:
    """Through the real log: what is wrong in the one list is wrong in the other, and the last word counts."""
    log = FeedbackLog(tmp_path / "feedback.jsonl")
    chunks = [ShownChunk(name, f"doc {name}", rank) for rank, name in enumerate("abc", start=1)]
    first, second = log.show("The Bins", "space", "", chunks), log.show("the bins", "space", "", chunks)
    for shown, act, chunk in ((first, "wrong", "a"), (second, "pin", "b"), (first, "pin", "c"), (second, "wrong", "c")):
        log.choose(shown, act, chunk)  # type: ignore[arg-type]
    found = pairs_from_feedback(log.read(), excerpts_of)
    [pair] = found.pairs
    assert pair.positive.id == "b"
    assert sorted(each.id for each in pair.negatives) == ["a", "c"]
