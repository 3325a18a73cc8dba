"""How well documents are read: pages through the whole program, bodies of web pages, fields of mails."""

import json
from pathlib import Path

import pytest

from eval.datasets import DatasetError
from eval.documents import documents, mail, overlap, shingles, web
from eval.made_documents import write_documents
from rag.config import Settings, load_settings


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_documents(folder)
    return folder


def settings(home: Path) -> Settings:
    return load_settings(home=home, embedder="hashing", generator="none", image_embedder="none", workers=1)


def test_shingles_are_counted_as_multisets() -> None:
    # "a b c d" and "b c d e" against "a b c d" twice, with three runs that cross the seam.
    gold, found = shingles("A b, c d e"), shingles("a b c d a b c d")
    assert gold == {("a", "b", "c", "d"): 1, ("b", "c", "d", "e"): 1}
    assert found.total() == 5
    assert overlap(gold, found) == (1 / 5, 1 / 2)
    assert overlap(shingles("two words"), shingles("Two words")) == (1, 1)
    assert overlap(shingles(""), shingles("")) == (1, 1)
    assert overlap(shingles("a b c d"), shingles("")) == (0, 0)
    assert overlap(shingles(""), shingles("a b c d")) == (0, 1)


def test_bodies_of_web_pages(made: Path) -> None:
    found = web(made)
    assert found is not None
    assert found["pages"] == 25
    assert found["precision"] > 0.9
    assert found["recall"] > 0.9


def test_a_page_that_is_taken_whole_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<p>" + "one two three four five six. " * 20 + "</p>")
    (tmp_path / "a.gold.txt").write_text("one two three four")
    found = web(tmp_path)
    assert found is not None
    assert found["precision"] < 0.2


def test_fields_of_mails(made: Path) -> None:
    found = mail(made)
    assert found is not None
    assert found["mails"] == 12
    assert found["fields"] == dict.fromkeys(("from", "to", "subject", "body", "date", "attachments"), 1.0), found[
        "wrong"
    ]


def test_a_wrong_field_is_counted_and_named(tmp_path: Path) -> None:
    for name, subject in (("a", "one"), ("b", "two")):
        (tmp_path / f"{name}.eml").write_text(f"From: x@example.org\nSubject: {subject}\n\nhello\n")
        (tmp_path / f"{name}.gold.json").write_text(json.dumps({"subject": "one", "body": "hello"}))
    assert mail(tmp_path) == {"mails": 2, "fields": {"subject": 0.5, "body": 1.0}, "wrong": ["b.eml: subject"]}


def test_pages_through_the_whole_program(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "two"
    (folder / "documents").mkdir(parents=True)
    (folder / ".ragignore").write_bytes((made / ".ragignore").read_bytes())
    (folder / "documents" / "notes-00.pdf").write_bytes((made / "documents" / "notes-00.pdf").read_bytes())
    rows = [json.loads(line) for line in (made / "questions.jsonl").read_text("utf-8").splitlines()]
    kept = [row for row in rows if row["source"].endswith("00.pdf")][:6]
    kept += [{"question": "no page", "source": "note.md"}, {**kept[0], "page": 9}]
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, kept)), "utf-8")
    seen: list[tuple[int, int]] = []
    found = documents(folder, settings(tmp_path / "home"), lambda done, total: seen.append((done, total)))
    pages = found["pages"]
    assert (pages["questions"], pages["failed_files"], seen[-1]) == (7, [], (7, 7))
    assert pages["page_hit@1"] <= pages["page_hit@5"] <= pages["page_hit@10"]
    assert 4 / 7 <= pages["page_hit@5"] < 1  # the last question names a page that does not answer it
    assert 0 < pages["citations"] <= 1
    assert (found["web"], found["mail"]) == (None, None)


@pytest.mark.parametrize("source", ["gone.pdf", "../outside.pdf"])
def test_a_source_that_is_not_there_is_refused(tmp_path: Path, source: str) -> None:
    (tmp_path / "outside.pdf").write_bytes(b"")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "questions.jsonl").write_text(json.dumps({"question": "?", "source": source, "page": 1}))
    with pytest.raises(DatasetError, match="inside the folder"):
        documents(tmp_path / "in", settings(tmp_path / "home"))


def test_a_folder_without_a_truth_and_a_truth_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no question with a page"):
        documents(tmp_path, settings(tmp_path / "home"))
    (tmp_path / "a.gold.txt").write_text("x")
    with pytest.raises(DatasetError, match="cannot be read"):
        documents(tmp_path, settings(tmp_path / "home"))
    (tmp_path / "a.gold.txt").rename(tmp_path / "a.gold.json")
    with pytest.raises(DatasetError, match="not JSON"):
        mail(tmp_path)
