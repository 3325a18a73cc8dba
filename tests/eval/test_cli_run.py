"""`eval run` over configurations, its reports, and going on after an interruption; in this process, without a model."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from eval.__main__ import app
from eval.cache import CachedEmbedder
from eval.cli_run import command
from eval.datasets import DatasetError
from rag.embed.hashing import HashingEmbedder
from rag.errors import RagError
from tests.eval.made import beir, tiny


@pytest.fixture(autouse=True)
def hashing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAG_EMBEDDER", "hashing")
    monkeypatch.setattr("sys.argv", ["eval", "run", str(tmp_path / "tiny"), "--store", "memory"])


def call(*arguments: object) -> Result:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception and not isinstance(done.exception, SystemExit | RagError):
        raise done.exception
    return done


def run(*arguments: object) -> Any:
    done = call("run", *arguments, "--store", "memory", "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_every_set_with_every_configuration(tmp_path: Path) -> None:
    folder, other = tiny(tmp_path / "tiny"), tiny(tmp_path / "other")
    found = run(folder, other, "--configuration", "plain:", "--configuration", "ranks:fusion=rrf")
    assert [(each["dataset"], each["configuration"], each["fused"]) for each in found] == [
        *(("tiny", "plain", "hybrid"), ("tiny", "ranks", "rrf")),
        *(("other", "plain", "hybrid"), ("other", "ranks", "rrf")),
    ]
    assert found[1]["metrics"] == found[1]["by_retriever"]["rrf"]
    question = found[0]["questions"]["q1"]
    assert (question["text"], question["right"]) == ("When do bees swarm?", ["d2"])
    assert (question["rank"]["bm25"], question["found"][0]) == (1, "d2")
    assert found[0]["circumstances"]["cores"] >= 1


def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, other = tiny(tmp_path / "tiny"), tiny(tmp_path / "other")
    embed, asked = HashingEmbedder.embed, []

    def interrupted(self: HashingEmbedder, texts: Any, kind: Any) -> Any:
        asked.extend(texts)
        if texts and kind == "query":
            raise KeyboardInterrupt
        return embed(self, texts, kind)

    first = run(folder, "--to", tmp_path / "report")
    monkeypatch.setattr(HashingEmbedder, "embed", interrupted)
    # The first set is not run again. The passages of the second are those of the first, so nothing is embedded ...
    done = call("run", folder, other, "--store", "memory", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)[0] == first
    assert asked == []
    # ... and a third set is interrupted when its passages were embedded, which are kept.
    third = beir(
        tmp_path / "third", [{"_id": "d", "text": "a new one"}], [{"_id": "q", "text": "new?"}], [("q", "d", 1)]
    )
    assert call("run", third, "--store", "memory").exit_code == 130  # as a shell has it for Ctrl-C
    assert asked == ["a new one", "new?"]
    monkeypatch.setattr(HashingEmbedder, "embed", embed)
    assert run(third)["index"]["vectors_from_cache"] == 1


def test_what_changed_is_measured_anew(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "tiny")
    first = run(folder)
    with (folder / "corpus.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"_id": "d5", "text": "One more."}\n')
    assert (first["documents"], run(folder)["documents"]) == (4, 5)
    assert run(folder, "--no-cache")["index"]["vectors_from_cache"] == 0


def test_reports_are_written_and_made_again(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "tiny")
    run(folder, "--configuration", "plain:", "--configuration", "ranks:fusion=rrf", "--to", tmp_path / "report")
    written = {path.name: path.read_text("utf-8") for path in (tmp_path / "report").iterdir()}
    assert set(written) == {"run.json", "run.md", "run.html"}
    assert "## tiny, ranks: 3 questions, 4 documents" in written["run.md"]
    assert str(tmp_path) not in "".join(written.values())
    done = call("report", tmp_path / "report" / "run.json", "--to", tmp_path / "again")
    assert done.exit_code == 0, done.output
    assert {path.name: path.read_text("utf-8") for path in (tmp_path / "again").iterdir()} == written


@pytest.mark.parametrize("content", ["", "[]", "{}", '[{"dataset": "x"}]', "null"])
def test_what_is_no_result_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "bad.json").write_text(content)
    for path in (tmp_path / "bad.json", tmp_path / "none.json"):
        done = call("report", path, "--to", tmp_path / "report")
        assert isinstance(done.exception, DatasetError)


def test_reports_of_files_do_not_tell_where_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "bees.md").write_text("# Bees\n\nThey swarm in May.\n", "utf-8")
    (folder / "questions.jsonl").write_text('{"question": "When do they swarm?", "source": "bees.md"}\n')
    found = run(folder)
    assert found["questions"]["1"]["right"] == found["questions"]["1"]["found"] == ["bees.md"]
    assert command() == "python -m eval run tiny --store memory"


def test_a_precision_that_is_insisted_on_has_vectors_of_its_own(tmp_path: Path) -> None:
    class Rounded(HashingEmbedder):
        pass

    plain, rounded = HashingEmbedder(), Rounded()
    rounded.state = type(plain.state)("embedder", "hashing", "cpu", "bf16", "", loaded=False)  # type: ignore[misc]
    CachedEmbedder(plain, tmp_path).embed(["a"], "query")
    for model in (plain, rounded):
        cached = CachedEmbedder(model, tmp_path)
        cached.embed(["a"], "query")
        cached.save()
    assert len(list(tmp_path.iterdir())) == 2
