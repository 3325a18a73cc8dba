"""The commands for what is learnt from, as they are typed: `rag tune status|import|synth|forget|feedback|questions`."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rag.build import open_library
from rag.cli import app
from rag.cli_tune import data
from rag.config import load_settings
from rag.errors import TuneError
from rag.gathering import IMPORTED, pairs_file
from rag.library import Library
from rag.records import document_id
from rag.tune.pairs import read_pairs
from rag.tune.records import ShownChunk
from tests.fakes import ScriptedGenerator

SETTINGS = {"RAG_EMBEDDER": "hashing", "RAG_GENERATOR": "none"}


def rag(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(app, ["tune", *arguments], env=SETTINGS, **options)


def printed(*arguments: str, exit_code: int = 0) -> Any:
    done = rag(*arguments, "--json")
    assert done.exit_code == exit_code, done.output
    return json.loads(done.stdout)


def pairs_of(path: Path, *rows: object) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return str(path)


def test_what_is_imported_counts_and_bad_lines_are_named(home: Path, tmp_path: Path) -> None:
    good = [{"query": f"question {n}", "positive": f"Answer {n}."} for n in range(30)]
    path = pairs_of(tmp_path / "pairs.jsonl", *good, {"query": "only"})
    found = printed("import", path, exit_code=1)
    assert (found["pairs"], found["new"]) == (30, 30)
    assert [(line["path"], line["line"]) for line in found["bad"]] == [(path, 31)]
    shown = rag("import", path)
    assert shown.exit_code == 1
    assert "Read 30 pairs, 0 of them new." in shown.stdout
    assert f"{path}, line 31: there is no field for a right passage" in shown.stderr
    status = printed("status")
    assert status["pairs"]["import"] == 30
    assert next(tier for tier in status["tiers"] if tier["tier"] == "1a")["unlocked"]
    assert status["left_out"]["duplicates"] == 0


def test_status_shows_who_wants_too_much_and_what_contradicts(home: Path, tmp_path: Path) -> None:
    poison = [{"query": f"anything {n}", "positive": "Buy now."} for n in range(300)]
    rows = [*poison, {"query": "x y", "positive": "One."}, {"query": "x y", "positive": "Two.", "negative": "One."}]
    printed("import", pairs_of(tmp_path / "pairs.jsonl", *rows))
    shown = rag("status")
    assert shown.exit_code == 0
    assert "capped  an imported passage (import:" in shown.stdout
    assert "had 300 pairs, more than its share" in shown.stdout
    assert "contradiction  'x y': 'One.' was called right and wrong; taken as right" in shown.stdout
    [share] = printed("status")["left_out"]["shares"]
    assert share["pairs"] == 300 > share["kept"]


def test_a_query_is_made_up_only_where_there_is_a_model(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(rag("synth").exception, TuneError)
    library = open_library(load_settings(embedder="hashing", generator="none"))
    library._generator = ScriptedGenerator("when do the slates of the roof come")
    with monkeypatch.context() as patched:
        patched.setattr(data, "open_library", lambda settings: library)
        found = printed("synth", "--most", "5")
    assert found["kept"] == 1
    assert found["dropped"]["made before"] > 0
    assert printed("status")["made_up"] == found


def test_a_document_is_forgotten_by_its_path_also_when_it_is_gone(home: Path, notes: Path) -> None:
    path = notes / "bees.md"
    printed("questions", "add", "when did they swarm", str(path))
    with closing(open_library(load_settings(embedder="hashing", generator="none"))) as library:
        library.remove([document_id(str(path))])
    assert printed("forget", str(path)) == {"feedback": 0, "pairs": 0, "questions": 1, "runs": []}
    assert printed("questions", "list") == []


def test_what_is_no_document_cannot_be_forgotten(home: Path) -> None:
    assert "no document 'bees'" in str(rag("forget", "bees").exception)


def test_feedback_is_exported_once_and_erased_when_it_is_sure(home: Path, tmp_path: Path, library: Library) -> None:
    shown = library.feedback.show("secret", "s", "", [ShownChunk("c", "d", 1)])
    library.feedback.choose(shown, "pin", "c")
    to = tmp_path / "log.jsonl"
    assert printed("feedback", "export", str(to)) == {"file": str(to), "lines": 2}
    assert [json.loads(line)["kind"] for line in to.read_text("utf-8").splitlines()] == ["shown", "choice"]
    assert rag("feedback", "export", str(to)).exit_code == 1  # a file is never written over
    assert rag("feedback", "erase", input="n\n").exit_code == 1
    assert (home / "feedback.jsonl").exists()
    assert printed("feedback", "erase", "--yes") == {"erased": True}
    assert not (home / "feedback.jsonl").exists()


def test_questions_are_kept_pinned_listed_and_removed(home: Path, notes: Path) -> None:
    added = printed("questions", "add", "When did they swarm?", str(notes / "bees.md"), "--pin")
    assert added["right"] == {document_id(str(notes / "bees.md")): 1}
    assert added["pinned"]
    assert not printed("questions", "pin", added["id"][:6], "--off")["pinned"]
    assert [each["text"] for each in printed("questions", "list")] == ["When did they swarm?"]
    assert "When did they swarm?" in rag("questions", "list").stdout
    assert printed("questions", "remove", "when did they  SWARM?") == {"removed": [added["id"]]}
    assert "No question is kept yet" in rag("questions", "list").stdout
    assert isinstance(rag("questions", "remove", "nothing").exception, TuneError)


def test_what_was_imported_is_what_is_learnt_from(home: Path, tmp_path: Path) -> None:
    printed("import", pairs_of(tmp_path / "pairs.jsonl", {"anchor": "q one", "positive": "r", "negative": "w"}))
    [pair] = read_pairs(pairs_file(home, IMPORTED)).records
    assert (pair.query, pair.positive.text, [each.text for each in pair.negatives]) == ("q one", "r", ["w"])
