"""Nothing that judges was trained on, in whatever way it came in; and no document takes more than its share."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.errors import TuneError
from rag.tune.pairs import new_pair
from rag.tune.questions import question, words_of
from rag.tune.records import Excerpt, Pair, PairSource
from rag.tune.split import Split, cap, judging, split


def unrelated(queries: Sequence[str]) -> NDArray[np.float32]:
    """No query is like another one, but for a mark: what follows "~" is said in other words."""
    rows = []
    for query in queries:
        seed = sum(ord(letter) * 31**place for place, letter in enumerate(query.split("~")[0].strip())) % 2**32
        row = np.random.default_rng(seed).normal(size=64)
        rows.append(row / np.linalg.norm(row))
    return np.array(rows, np.float32).reshape(-1, 64)


def pair(query: str, document: str, time: float = 0.0, source: PairSource = "feedback", **values: float) -> Pair:
    excerpt = Excerpt(f"chunk of {document}", f"What {document} says.", document)
    return new_pair(query, excerpt, source, time, **values)  # type: ignore[arg-type]


def forty() -> list[Pair]:
    return [pair(f"question {n}", f"doc {n}", time=n) for n in range(40)]


def trained(found: Split) -> set[str]:
    return {each.query for each in found.train}


def test_the_newest_quarter_judges_and_the_parts_are_as_agreed() -> None:
    found = split(forty(), [], unrelated)
    assert (len(found.train), len(found.dev), len(found.gate)) == (24, 6, 10)  # of 40: 60, 15 and 25 %
    assert {each.text for each in found.gate} == {f"question {n}" for n in range(30, 40)}
    assert dict(found.gate[0].right) == {f"doc {found.gate[0].text.split()[1]}": 1}
    assert (found.near_duplicates, found.held_back, found.kept) == (0, 0, 0)


def test_the_seed_chooses_what_is_watched_and_nothing_else_does() -> None:
    assert split(forty(), [], unrelated, 1) == split(forty(), [], unrelated, 1)
    one, two = split(forty(), [], unrelated, 1), split(forty(), [], unrelated, 2)
    assert {each.query for each in one.dev} != {each.query for each in two.dev}
    assert sorted(each.text for each in one.gate) == sorted(each.text for each in two.gate)


def test_all_of_one_document_is_on_one_side() -> None:
    pairs = [pair(f"question {n}", f"doc {n // 4}", time=n % 7) for n in range(80)]
    found = split(pairs, [], unrelated)
    sides = [
        {each.positive.document for each in found.train},
        {each.positive.document for each in found.dev},
        {document for each in found.gate for document in each.right},
    ]
    assert all(sides)
    assert sum(map(len, sides)) == len(set.union(*sides)) == 20


def test_one_query_with_two_documents_is_one_question() -> None:
    pairs = [*forty(), pair("QUESTION 39", "doc x", time=39)]
    [last] = [each for each in split(pairs, [], unrelated).gate if words_of(each.text) == "question 39"]
    assert sorted(last.right) == ["doc 39", "doc x"]


def test_a_copy_of_a_passage_is_on_its_side() -> None:
    copy = Excerpt("copy", "What doc 39 says.", "copy of doc 39")
    pairs = [*forty(), new_pair("where else", copy, "feedback", 0.0), new_pair("made up", copy, "synthetic", 0.0)]
    found = split(pairs, [], unrelated)
    assert not {"where else", "made up"} & trained(found)
    assert "where else" in {each.text for each in found.gate}
    assert found.held_back == 1


def test_a_document_that_has_most_pairs_is_trained_on() -> None:
    pairs = [*forty()[:20], *(pair(f"about the book {n}", "book", time=100) for n in range(30))]
    found = split(pairs, [], unrelated)
    assert {f"about the book {n}" for n in range(30)} <= trained(found)
    assert found.gate


def test_what_is_asked_in_other_words_is_not_trained_on() -> None:
    pairs = [
        *forty(),
        pair("question 39 ~ in other words", "doc z"),
        pair("question 38 ~ too", "doc y", source="synthetic"),
    ]
    found = split(pairs, [], unrelated)
    everything = trained(found) | {each.query for each in found.dev}
    assert not {"question 39 ~ in other words", "question 38 ~ too"} & everything
    assert found.near_duplicates == 2


def test_kept_questions_judge_and_are_never_trained_on() -> None:
    kept = [question("Question 3", ["doc 3"]), question("question 4 ~ asked otherwise", ["doc 4"])]
    found = split(forty(), kept, unrelated)
    assert found.gate[:2] == tuple(kept)
    assert not {"question 3", "question 4"} & (trained(found) | {each.query for each in found.dev})
    assert (found.kept, found.near_duplicates) == (1, 1)


def test_what_was_guessed_about_a_document_that_judges_is_held_back() -> None:
    guessed = [pair(f"guess {n}", f"doc {n}", source="synthetic") for n in range(40)]
    found = split([*forty(), *guessed], [], unrelated)
    judging = {document for each in found.gate for document in each.right} | {e.positive.document for e in found.dev}
    assert all(each.source == "feedback" for each in found.dev)
    assert found.held_back == len(judging) == 16
    assert sum(each.source == "synthetic" for each in found.train) == 24


def test_looks_do_not_judge_where_words_do() -> None:
    pairs = [pair(f"looked {n}", f"seen {n}", time=1000 + n, weight=0.6) for n in range(30)]
    found = split([*forty(), *pairs], [], unrelated)
    assert len(found.gate) == 10
    assert not any(each.text.startswith("looked") for each in found.gate)


def test_without_what_people_said_guesses_judge_and_say_so() -> None:
    found = split([pair(f"guess {n}", f"doc {n}", source="structure", weight=0.3) for n in range(20)], [], unrelated)
    assert {each.source for each in found.gate} == {"structure"}


def test_what_is_no_document_of_the_library_cannot_be_asked_of_it() -> None:
    away = [new_pair(f"away {n}", Excerpt(f"import:{n}", f"Text {n}."), "import", 99.0) for n in range(20)]
    found = split([*forty(), *away], [], unrelated)
    assert all(each.text.startswith("question") for each in found.gate)


def test_only_what_people_are_sure_of_in_the_library_can_judge_it() -> None:
    others = [pair("looked", "doc", weight=0.3), pair("guess", "doc", source="synthetic"), pair("no", "doc", label=0.1)]
    assert judging([*forty(), *others, new_pair("away", Excerpt("import:1", "Text."), "import", 0.0)]) == 40


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([], "there are 0 pairs"),
        (forty()[:3], "there are 3 pairs to learn from, and 10 are the least"),
        ([pair(f"question {n}", "the only one") for n in range(50)], r"all 50 pairs are about one document \(the only"),
        ([pair(f"same ~ {n}", f"doc {n}") for n in range(12)], "ask nearly the same"),
    ],
)
def test_too_little_is_said_in_plain_words(pairs: list[Pair], reason: str) -> None:
    with pytest.raises(TuneError, match=reason):
        split(pairs, [], unrelated)


def test_kept_questions_do_not_count_as_pairs_to_learn_from() -> None:
    kept = [question(f"question {n}", [f"doc {n}"]) for n in range(35)]
    with pytest.raises(TuneError, match="there are 5 pairs"):
        split(forty(), kept, unrelated)


def test_a_file_that_wants_to_attract_every_question_is_capped_and_shown() -> None:
    poison = [pair(f"anything {n}", "poison", source="import", weight=1.0, time=99) for n in range(1000)]
    found = cap([*forty(), *poison])
    [share] = found.shares
    assert (share.group, share.pairs, share.kept) == ("poison", 1000, 10)
    assert sum(each.group == "poison" for each in found.pairs) == 10  # a tenth of 40 + 10 is less than what is free
    assert [each for each in found.pairs if each.group != "poison"] == forty()


def test_what_people_said_of_a_capped_document_stays_first() -> None:
    guessed = [pair(f"guess {n}", "book", source="synthetic") for n in range(100)]
    said = [pair(f"said {n}", "book", weight=0.3) for n in range(4)]
    found = cap([*guessed, *said, *forty()])
    left = [each.query for each in found.pairs if each.group == "book"]
    assert len(left) == 10
    assert left[-4:] == [f"said {n}" for n in range(4)]


def test_a_small_library_keeps_what_it_has() -> None:
    pairs = [pair(f"question {n}", f"doc {n % 5}") for n in range(500)]
    assert cap(pairs).pairs == tuple(pairs)
    assert cap([]).pairs == ()


def test_two_poisoned_files_do_not_make_room_for_each_other() -> None:
    poison = [pair(f"anything {n}", f"poison {n % 2}") for n in range(2000)]
    others = [pair(f"question {n}", f"doc {n % 50}") for n in range(200)]
    found = cap([*others, *poison])
    counts = [share.kept for share in found.shares]
    assert counts == [25, 25]  # 25 = a tenth of 200 + 25 + 25
