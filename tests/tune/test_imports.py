"""Files of others: every layout that is in use, and that a bad line costs itself only, by name."""

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from rag.errors import TuneError
from rag.tune.imports import Imported, keep, read_captions, read_import
from rag.tune.pairs import imported, read_pairs


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), "utf-8")
    return path


def table(path: Path, rows: Sequence[Sequence[str]], delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def said(found: Imported) -> list[tuple[str, str, list[str]]]:
    return [(pair.query, pair.positive.text, [each.text for each in pair.negatives]) for pair in found.pairs]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"query": "q one", "positive": "right"}, [("q one", "right", [])]),
        ({"anchor": "q one", "positive": "right", "negative": "wrong"}, [("q one", "right", ["wrong"])]),
        ({"question": "q one", "answer": "a", "negative_1": "w1", "negative_2": "w2"}, [("q one", "a", ["w1", "w2"])]),
        ({"sentence1": "q one", "sentence2": "right"}, [("q one", "right", [])]),
        (["q one", "right"], [("q one", "right", [])]),
        (["q one", "right", "wrong"], [("q one", "right", ["wrong"])]),
        (  # FlagEmbedding's
            {"query": "q one", "pos": ["r1", "r2"], "neg": ["w1", "w2"], "pos_scores": [1, 2], "prompt": "Represent:"},
            [("q one", "r1", ["w1", "w2"]), ("q one", "r2", ["w1", "w2"])],
        ),
    ],
)
def test_rows_in_every_layout(tmp_path: Path, row: object, expected: list[tuple[str, str, list[str]]]) -> None:
    found = read_import(lines(tmp_path / "pairs.jsonl", row), 5.0)
    assert said(found) == expected
    assert {(pair.source, pair.time, pair.weight, pair.label) for pair in found.pairs} == {("import", 5.0, 1.0, None)}
    assert found.bad == ()


@pytest.mark.parametrize(("name", "delimiter"), [("pairs.csv", ","), ("pairs.TSV", "\t")])
def test_tables(tmp_path: Path, name: str, delimiter: str) -> None:
    rows = [
        ["Query", "positive", "negative", "other"],
        ["wo, bitte?", 'says "here"\nand there', "", "x"],
        ["two", "r", "w", "y"],
    ]
    found = read_import(table(tmp_path / name, rows, delimiter), 0.0)
    assert said(found) == [("wo, bitte?", 'says "here"\nand there', []), ("two", "r", ["w"])]


@pytest.mark.parametrize(
    ("scores", "scale", "labels"), [([0, 1], 1, [0.0, 1.0]), ([0.5, 4], 5, [0.1, 0.8]), ([20, 90], 100, [0.2, 0.9])]
)
def test_scores_become_shares_of_the_highest_that_can_be_given(
    tmp_path: Path, scores: list[float], scale: int, labels: list[float]
) -> None:
    rows = [{"sentence1": f"q {n}", "sentence2": "text", "score": score} for n, score in enumerate(scores)]
    found = read_import(lines(tmp_path / "scored.jsonl", *rows), 0.0)
    assert [pair.label for pair in found.pairs] == pytest.approx(labels)
    assert found.scale == scale


def test_every_bad_line_is_named_and_the_others_are_taken(tmp_path: Path) -> None:
    good = {"query": "q", "positive": "right"}
    path = lines(
        tmp_path / "pairs.jsonl",
        *(good, '{"query": "cut o', "", "17", {"query": "no answer"}, {"positive": "no query"}),
        *({"query": "???", "positive": "r"}, {"query": "q", "pos": [1]}, {"query": "q", "pos": []}),
        *({"query": "q", "positive": "r", "score": "high"}, {"query": "q", "positive": "r", "score": -1}),
        *('{"query": "q", "positive": "r", "score": NaN}', {"query": "q", "positive": "same", "negative": "same"}),
        *("[" * 100_000, {"query": "q", "positive": "x" * 100_001}, {"query": "q 2", "positive": "right"}),
    )
    path.write_bytes(path.read_bytes() + b'{"query": "\xff\xfe", "positive": "r"}\n')
    found = read_import(path, 0.0)
    assert [pair.query for pair in found.pairs] == ["q", "q 2"]
    assert {line.line: line.reason.split(" ")[-1] for line in found.bad}.keys() == {*range(2, 18)} - {3, 16}
    reasons = {line.line: line.reason for line in found.bad}
    assert reasons[2].startswith("it is no JSON")
    assert reasons[4] == "it is neither an object with fields nor a list of texts"
    assert reasons[5].startswith("there is no field for a right passage ('positive' or 'pos'")
    assert reasons[7] == "the query ('query' or 'question' …) is no text with words in it"
    assert reasons[10] == "the score 'high' is no number"
    assert reasons[12] == "the score nan is not 0 or more"
    assert reasons[13] == "a passage is called right and wrong: 'same'"
    assert str(found.bad[0]).startswith(f"{path}, line 2: ")


def test_a_table_without_headings_or_with_wild_rows_is_named_line_by_line(tmp_path: Path) -> None:
    found = read_import(table(tmp_path / "bare.csv", [["how to", "like this"], ["and", "that"]]), 0.0)
    assert found.pairs == ()
    assert [line.line for line in found.bad] == [2]
    path = tmp_path / "wild.csv"
    path.write_bytes(b"query,positive\nq one,r,too,many\nq two\n" + b'q three,"' + b"x" * 200_000 + b'"\nq four,r\n')
    wild = read_import(path, 0.0)
    assert [pair.query for pair in wild.pairs] == ["q one", "q four"]
    assert [line.line for line in wild.bad] == [3, 4]


@pytest.mark.parametrize("name", ["pairs.txt", "nothing.jsonl", "folder"])
def test_what_cannot_be_read_at_all_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "pairs.txt").write_text("q r")
    (tmp_path / "folder").mkdir()
    with pytest.raises(TuneError, match=name):
        read_import(tmp_path / name, 0.0)


def test_scores_beyond_any_scale_are_refused(tmp_path: Path) -> None:
    path = lines(tmp_path / "pairs.jsonl", {"query": "q", "positive": "r", "score": 1e6})
    with pytest.raises(TuneError, match="a score of 1e\\+06"):
        read_import(path, 0.0)


# --- folders in BEIR layout ---


def beir(folder: Path, qrels: Mapping[str, str]) -> Path:
    (folder / "qrels").mkdir()
    lines(
        folder / "corpus.jsonl",
        {"_id": "d1", "title": "Bees", "text": "They swarm."},
        {"_id": "d2", "text": "Rain."},
        {"_id": "d3"},
        "{",
    )
    lines(folder / "queries.jsonl", {"_id": "q1", "text": "swarms"}, {"_id": "q2", "text": "weather"})
    for split, text in qrels.items():
        (folder / "qrels" / f"{split}.tsv").write_text(text)
    return folder


def test_a_folder_in_beir_layout(tmp_path: Path) -> None:
    rows = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td2\t1\nq2\td9\t1\nq2 d1\n"
    found = read_import(beir(tmp_path, {"train": rows, "test": "q1\td2\t1\n"}), 0.0)
    assert said(found) == [("swarms", "Bees\nThey swarm.", ["Rain."]), ("weather", "Rain.", [])]
    named = [(Path(line.path).name, line.line) for line in found.bad]
    assert named == [("train.tsv", 6), ("corpus.jsonl", 4), ("train.tsv", 0)]
    assert "'d9'" in found.bad[2].reason
    assert said(read_import(tmp_path, 0.0, "test")) == [("swarms", "Rain.", [])]


def test_judgements_that_are_not_there_are_said_with_those_that_are(tmp_path: Path) -> None:
    folder = beir(tmp_path, {"test": "q1\td1\t1\n"})
    with pytest.raises(TuneError, match="no judgements 'train'; there is test: --split test"):
        read_import(folder, 0.0)


# --- captions ---


def test_captions_of_pictures_inside_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "list"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"picture")
    (tmp_path / "outside.png").write_bytes(b"secret")
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    path = lines(
        folder / "metadata.jsonl",
        *({"file_name": "a.png", "text": "a  bee"}, {"image": "b.png", "caption": "gone"}, {"image": "a.png"}),
        *({"image": "../outside.png", "caption": "out"}, {"image": "link.png", "caption": "out"}),
        {"image": "a\0.png", "caption": "no name"},
    )
    found = read_import(path, 3.0)
    [caption] = found.captions
    assert (caption.picture, caption.text, caption.time) == (str((folder / "a.png").resolve()), "a bee", 3.0)
    assert caption.digest == hashlib.sha256(b"picture").hexdigest()
    assert [line.line for line in found.bad] == [2, 3, 4, 5, 6]
    assert "outside the folder" in found.bad[2].reason
    assert "outside the folder" in found.bad[3].reason


# --- kept ---


def test_what_is_imported_twice_is_kept_once(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    path = lines(tmp_path / "rows.jsonl", {"query": "q one", "positive": "r"}, {"image": "a.png", "caption": "a bee"})
    pairs, captions = tmp_path / "tuning" / "import.jsonl", tmp_path / "tuning" / "captions.jsonl"
    assert keep(read_import(path, 1.0), pairs, captions) == (1, 1)
    assert keep(read_import(path, 2.0), pairs, captions) == (0, 0)
    assert keep(read_import(lines(path, {"query": "q two", "positive": "r"}), 3.0), pairs, captions) == (1, 0)
    kept = read_pairs(pairs).records
    assert [(each.query, each.time) for each in kept] == [("q one", 2.0), ("q two", 3.0)]
    assert kept[0].positive == imported("r")
    assert [each.text for each in read_captions(captions).records] == ["a bee"]
