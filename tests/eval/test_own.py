"""`python -m eval own` on a small library: its kept questions, what is different from last time, and the history."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.__main__ import app
from eval.cli_own import told
from rag.build import open_library
from rag.config import load_settings
from rag.errors import TuneError
from rag.evaluating import Difference
from rag.tune.questions import FILE, Questions, question


def test_a_library_is_asked_its_own_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, notes = tmp_path / "home", tmp_path / "notes"
    for name, value in (("HOME", str(home)), ("EMBEDDER", "hashing"), ("IMAGE_EMBEDDER", "none"), ("WORKERS", "1")):
        monkeypatch.setenv(f"RAG_{name}", value)
    notes.mkdir()
    for name, text in {"bees": "They swarm in May when the hive is full.", "tea": "The kettle whistles."}.items():
        (notes / f"{name}.md").write_text(f"# {name}\n\n{text}\n", "utf-8")
    library = open_library(load_settings(generator="none"))
    try:
        library.add([notes])
        documents = {Path(info.path).stem: info.id for info in library.documents()}
    finally:
        library.close()

    runner = CliRunner()
    assert isinstance(runner.invoke(app, ["own"]).exception, TuneError)
    asked = ("When do they swarm?", "bees"), ("What whistles?", "tea")
    Questions(home / FILE).add([question(text, [documents[name]]) for text, name in asked])
    first = runner.invoke(app, ["own", "--json"])
    assert first.exit_code == 0, first.output
    found = json.loads(first.stdout)
    assert (found["scores"]["questions"], found["difference"]) == (2, None)
    assert found["scores"]["recall"]["10"] == 1
    second = runner.invoke(app, ["own"], env={"COLUMNS": "160"})
    assert "2 kept questions, 2 documents" in second.stdout
    assert "No evidence of a difference from last time" in second.stdout
    past = json.loads(runner.invoke(app, ["own", "--history", "--json"]).stdout)
    assert [one["scores"] for one in past] == [found["scores"]] * 2
    assert runner.invoke(app, ["own", "--history"], env={"COLUMNS": "160"}).stdout.count("hashing") == 2


def test_what_became_worse_is_said_loudly() -> None:
    worse = Difference(40, 0.8, 0.6, (-0.3, -0.1), 0.001, 0.08, "worse", ("embedder: a → b",))
    assert told(worse) == (
        "WORSE than last time: nDCG@10 0.800 to 0.600 on 40 questions (95 % of the difference -0.300 to -0.100, "
        "p 0.001). Changed meanwhile: embedder: a → b."
    )
    nothing = Difference(0, 0.0, 0.0, (0.0, 0.0), 1.0, 1.0, "none", ())
    assert told(nothing) == "No question was asked last time too."
