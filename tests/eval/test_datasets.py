"""Reading data sets, with the traps that public ones have."""

import json
from pathlib import Path

import pytest

from eval.datasets import DatasetError, Entry, load
from tests.eval.made import beir, tiny


def test_beir_layout(tmp_path: Path) -> None:
    dataset = load(tiny(tmp_path / "tiny"))
    assert dataset.name == "tiny"
    assert dataset.entries[0] == Entry("d1", "", "The kettle whistles when the water boils.")
    assert dataset.queries["q1"] == "When do bees swarm?"
    assert dataset.judgements == {"q1": {"d2": 1}, "q2": {"d3": 1}, "q3": {"d1": 1}}
    assert dataset.notes == ()


def test_what_cannot_be_scored_is_left_out_and_counted(tmp_path: Path) -> None:
    folder = beir(
        tmp_path / "odd",
        [{"_id": "d1", "text": "one"}],
        [{"_id": "q1", "text": "one?"}, {"_id": "q2", "text": "unjudged"}, {"_id": "q3", "text": "only judged wrong"}],
        [("q1", "d1", 2), ("q1", "gone", 1), ("q3", "d1", 0), ("stranger", "d1", 1)],
    )
    dataset = load(folder)
    assert list(dataset.queries) == ["q1"]
    assert dataset.judgements == {"q1": {"d1": 2, "gone": 1}}
    assert dataset.notes == (
        "2 questions without a right document are left out",
        "1 judged questions are not in queries.jsonl",
        "1 judged documents are not in corpus.jsonl and count as not found",
    )


def test_another_split(tmp_path: Path) -> None:
    beir(tmp_path, [{"_id": 7, "text": "a number for an id"}], [{"_id": "q", "text": "?"}], [("q", "7", 1)], "train")
    assert load(tmp_path, "train").judgements == {"q": {"7": 1}}
    with pytest.raises(DatasetError, match=r"test\.tsv"):
        load(tmp_path)


@pytest.mark.parametrize("heading", ["", "query-id\tcorpus-id\tscore\n", "QueryID\tDocID\tRelevance\n"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_headings_line_ends_and_byte_order_marks(tmp_path: Path, heading: str, ending: str, mark: bytes) -> None:
    expected = load(tiny(tmp_path))
    (tmp_path / "qrels" / "test.tsv").write_text(f"{heading}q1\td2\t1\nq1\td2\t1\nq2\td3\t1\nq3\td1\t1\n", "utf-8")
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        file = tmp_path / name
        file.write_bytes(mark + file.read_bytes().replace(b"\n", ending.encode()))
    assert load(tmp_path) == expected


def test_questions_without_words_are_left_out(tmp_path: Path) -> None:
    queries = [{"_id": "q1", "text": "one?"}, {"_id": "q2", "text": " \n"}]
    beir(tmp_path, [{"_id": "d1", "text": ""}], queries, [("q1", "d1", 1), ("q2", "d1", 1)])
    dataset = load(tmp_path)
    assert dataset.queries == {"q1": "one?"}
    assert dataset.notes == ("1 questions without a word or a picture are left out",)


def test_quotation_marks_in_judgements_are_letters(tmp_path: Path) -> None:
    beir(tmp_path, [{"_id": '"a', "text": "x"}], [{"_id": "q", "text": "?"}], [("q", '"a', 1)])
    assert load(tmp_path).judgements == {"q": {'"a': 1}}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("corpus.jsonl", '{"_id": "d1", "text": "a"}\n{"_id": "d1", "text": "b"}\n', "line 2.*'d1' stands there twice"),
        ("corpus.jsonl", '{"_id": "d1"}\n', "line 1.*'text'"),
        ("corpus.jsonl", '{"_id": "d1", "text": "a"\n', "line 1: not JSON"),
        ("corpus.jsonl", "[1]\n", "line 1: expected a JSON object"),
        ("queries.jsonl", '{"_id": "q", "text": "a"}\n{"_id": "q", "text": "a"}\n', "line 2.*'q' stands there twice"),
        ("queries.jsonl", '{"_id": "q1", "text": null}\n', "line 1.*'text'"),
        ("queries.jsonl", '{"_id": "other", "text": "?"}\n', "no question"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1 d1 1\n", "line 2.*parted by tabs"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\thigh\n", "line 2.*whole number"),
        ("qrels/test.tsv", "q1\td1\thigh\n", "line 1.*whole number"),
        ("qrels/test.tsv", "q1\td2\t1\nq1\td2\t0\n", "line 2.*'d2' is judged 1 and 0 for 'q1'"),
    ],
)
def test_broken_files_are_named_with_the_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    folder = tiny(tmp_path)
    (folder / name).write_text(content, "utf-8")
    with pytest.raises(DatasetError, match=message):
        load(folder)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = tiny(tmp_path)
    (folder / name).unlink()
    with pytest.raises(DatasetError, match=Path(name).name):
        load(folder)


def test_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    folder = tiny(tmp_path)
    (folder / "corpus.jsonl").write_bytes(b'{"_id": "d1", "text": "caf\xe9"}\n')
    with pytest.raises(DatasetError, match=r"corpus\.jsonl.*UTF-8"):
        load(folder)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not a folder"):
        load(tmp_path / "nothing")


def test_own_questions(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "bees.md").write_text("# Bees\n", "utf-8")
    (tmp_path / "questions.jsonl").write_text('{"question": "Bees?", "source": "notes/bees.md", "answer": "yes"}\n')
    dataset = load(tmp_path)
    assert dataset.queries == {"1": "Bees?"}
    assert dataset.judgements == {"1": {str((tmp_path / "notes" / "bees.md").resolve()): 1}}
    assert dataset.folder == tmp_path.resolve()


def test_questions_that_only_looking_answers_are_left_out_where_nothing_looks(tmp_path: Path) -> None:
    for name in ("red.png", "bees.md"):
        (tmp_path / name).write_text("x")
    rows = [{"question": "a red door", "source": "red.png", "picture": "shown"}, {"question": "?", "source": "bees.md"}]
    (tmp_path / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    dataset = load(tmp_path)
    assert list(dataset.queries.values()) == ["a red door", "?"]
    blind = dataset.without_looks()
    assert (list(blind.queries.values()), list(blind.judgements)) == (["?"], ["2"])
    assert blind.notes == ("1 questions are left out: no image embedder looks at the pictures they are about",)
    assert blind.without_looks() is blind


def test_own_questions_about_what_is_attached(tmp_path: Path) -> None:
    (tmp_path / "roof.eml").write_text("Subject: roof\n", "utf-8")
    (tmp_path / "questions.jsonl").write_text('{"question": "?", "source": "roof.eml!/1/quotation.pdf"}\n')
    assert load(tmp_path).judgements == {"1": {f"{(tmp_path / 'roof.eml').resolve()}!/1/quotation.pdf": 1}}


@pytest.mark.parametrize("source", ["missing.md", "../outside.md", "missing.eml!/1/a.pdf"])
def test_a_source_that_is_not_in_the_folder(tmp_path: Path, source: str) -> None:
    (tmp_path / "outside.md").write_text("x")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "questions.jsonl").write_text(f'{{"question": "?", "source": "{source}"}}\n')
    with pytest.raises(DatasetError, match="not a file inside"):
        load(tmp_path / "in")


def test_rows_may_have_pictures(tmp_path: Path) -> None:
    folder = beir(
        tmp_path / "seen",
        [
            {"_id": "p", "image": "pictures/a.png"},
            {"_id": "t", "text": "a heron", "image": "./pictures/../pictures/a.png"},
        ],
        [{"_id": "q", "image": "pictures/a.png"}, {"_id": "w", "text": "heron"}, {"_id": "unjudged", "image": "x.png"}],
        [("q", "t", 1), ("w", "p", 1)],
    )
    picture = folder / "pictures" / "a.png"
    picture.parent.mkdir()
    picture.write_bytes(b"")
    (folder / "x.png").write_bytes(b"")
    dataset = load(folder)
    assert dataset.entries == (Entry("p", "", "", picture), Entry("t", "", "a heron", picture))
    assert dataset.queries == {"q": "", "w": "heron"}
    assert dataset.pictures == {"q": picture}


@pytest.mark.parametrize("name", ["../outside.png", "/etc/hostname", "gone.png", "link.png", "pictures"])
def test_pictures_lie_inside_the_folder(tmp_path: Path, name: str) -> None:
    folder = beir(tmp_path / "set", [{"_id": "p", "image": name}], [{"_id": "q", "text": "?"}], [("q", "p", 1)])
    (tmp_path / "outside.png").write_bytes(b"")
    (folder / "pictures").mkdir()
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(DatasetError, match=r"line 1.*is not a file inside"):
        load(folder)
