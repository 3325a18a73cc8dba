"""Pairs on disk, and pairs that say the same or the opposite."""

from pathlib import Path

import pytest

from rag.errors import TuneError
from rag.tune.pairs import append_pairs, imported, new_pair, read_pairs, tidy, write_pairs
from rag.tune.records import Excerpt, Pair

RIGHT, OTHER = Excerpt("c1", "The bins are emptied on Tuesday.", "d1"), Excerpt("c2", "Rent is due.", "d2")


def pair(query: str = "bin day", positive: Excerpt = RIGHT, **values: object) -> Pair:
    return new_pair(query, positive, **{"source": "import", "time": 0.0, **values})  # type: ignore[arg-type]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tuning" / "pairs" / "import.jsonl"
    first = pair("Müll \u2028 heute?", negatives=[OTHER], weight=0.25, label=0.75)
    write_pairs(path, [first])
    append_pairs(path, [pair("second")])
    assert read_pairs(path).records == (first, pair("second"))
    assert first.query == "Müll heute?"
    assert path.read_bytes().count(b"\n") == 2  # a line each, whatever white space is in the texts


def test_a_file_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert read_pairs(tmp_path / "none.jsonl").records == ()


def test_broken_lines_are_named_and_cost_themselves_only(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    write_pairs(path, [pair("one"), pair("two"), pair("three")])
    lines = path.read_bytes().splitlines()
    no_number = lines[1].replace(b'"weight":1.0', b'"weight":NaN')
    assert no_number != lines[1]
    path.write_bytes(b"\n".join([lines[0], b"", no_number, b'{"id":"x"}', b"\xff\xfe", lines[2], lines[0][:40]]))
    found = read_pairs(path)
    assert [each.query for each in found.records] == ["one", "three"]
    assert [(each.line, each.path) for each in found.bad] == [(n, str(path)) for n in (3, 4, 5, 7)]
    assert "weight" in found.bad[0].reason


def test_a_line_behind_one_that_was_cut_off_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b'{"id": "cut o')
    append_pairs(path, [pair()])
    found = read_pairs(path)
    assert found.records == (pair(),)
    assert [each.line for each in found.bad] == [1]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"query": "?! "}, "the query has no words"),
        ({"positive": Excerpt("c", "--")}, "a passage has no words"),
        ({"negatives": [Excerpt("c", "")]}, "a passage has no words"),
        ({"weight": 0.0}, "the weight 0.0"),
        ({"weight": 1.5}, "the weight 1.5"),
        ({"weight": float("nan")}, "the weight nan"),
        ({"label": float("inf")}, "the label inf"),
        ({"time": float("nan")}, "the time nan"),
    ],
)
def test_what_cannot_be_learnt_from_is_no_pair(values: dict[str, object], reason: str) -> None:
    with pytest.raises(TuneError, match=reason):
        pair(**values)


def test_the_id_follows_from_what_the_pair_says() -> None:
    assert pair("Bin  DAY").id == pair("bin day").id
    assert len({pair("a").id, pair("b").id, pair("a", OTHER).id, pair("a", source="synthetic").id}) == 4


def test_the_same_imported_text_is_the_same_passage() -> None:
    assert imported(" a text\n") == imported("a text")
    assert imported("a text").id != imported("another").id
    assert pair(positive=imported("a text")).group == imported("a text").id


def test_pairs_that_say_the_same_become_the_surest_of_them() -> None:
    third = Excerpt("c3", "Third.", "d3")
    found = tidy(
        [pair(weight=0.3, time=9.0, negatives=[OTHER]), pair("BIN DAY ", weight=0.7, time=1.0, negatives=[third])]
    )
    assert found.duplicates == 1
    [only] = found.pairs
    assert (only.weight, only.time, only.negatives) == (0.7, 1.0, (OTHER, third))


def test_a_right_answer_is_not_learnt_to_be_wrong() -> None:
    found = tidy([pair(negatives=[OTHER]), pair("Bin day", Excerpt("elsewhere", OTHER.text, "d9"))])
    assert [each.negatives for each in found.pairs] == [(), ()]
    [said] = found.contradictions
    assert (said.query, said.passage, said.taken_as) == ("bin day", "Rent is due.", "right")


def test_what_is_graded_wrong_may_be_a_negative() -> None:
    found = tidy([pair(negatives=[OTHER]), pair(positive=OTHER, label=0.1)])
    assert found.pairs[0].negatives == (OTHER,)
    assert found.contradictions == ()
