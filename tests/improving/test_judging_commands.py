"""`rag tune gate|swap|rollback|list`: a candidate is judged on the library, and only PASS searches it."""

import json
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from rag.cli import app
from rag.library import Library
from rag.tune.feedback import FeedbackLog
from rag.tune.questions import question
from rag.tune.records import Candidate, ShownChunk, TuneOptions
from rag.tune.watch import LEAST
from tests.improving.made import asked, first, opened, teach, write_notes

LEARNT = range(20)  # subjects that are learnt from
ASKED = range(20, 30)  # subjects that the gate asks about
WORSE = "1a-20260101-000000"
CANARIES = """
{"id": "a", "text": "Cheese ripens in caves.", "questions": ["What ripens?", "cheese", "caves"]}
{"id": "b", "text": "Sailors tie knots.", "questions": ["Who ties knots?", "sailors", "knots"]}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, patched: pytest.MonkeyPatch) -> tuple[Path, str]:
    """The home of a library, and the name of a candidate that has learnt its owner's words."""
    folder = tmp_path_factory.mktemp("judging")
    write_notes(folder / "notes", range(ASKED.stop))
    library = opened(folder / "home")
    library.add([folder / "notes"])
    teach(library, LEARNT)
    keep_questions(library)
    improver = library.improver
    run = improver.begin("1a")
    candidate = improver.train("1a", TuneOptions(), run, lambda step: None, Event())
    assert candidate is not None
    improver.runs.folder(WORSE).mkdir()
    improver.runs.write(Candidate(WORSE, "1a", candidate.base, 1.0, 10, fusion_weight=0.001))
    library.close()
    (folder / "home" / "tuning" / "canaries.jsonl").write_text(CANARIES)  # a few, so that the tests are quick
    return folder / "home", candidate.name


def keep_questions(library: Library) -> None:
    by_title = {Path(info.path).stem: info.id for info in library.documents()}
    library.improver.gatherer.questions.add(
        question(asked(kind, number), [by_title[f"{kind}{number}"]])
        for number in ASKED
        for kind in ("report", "letter")
    )


@pytest.fixture
def home(trained: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAG_HOME", str(trained[0]))
    monkeypatch.setenv("RAG_GENERATOR", "none")
    return trained[0]


@pytest.fixture
def name(trained: tuple[Path, str]) -> str:
    return trained[1]


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["tune", *words])


def printed(*words: str) -> Any:
    done = run(*words, "--json")
    return json.loads(done.stdout)


def test_nothing_is_swapped_in_that_was_not_judged(home: Path, name: str) -> None:
    done = run("swap", name)
    assert done.exit_code == 1
    assert "was not judged yet" in str(done.exception)
    (row,) = [each for each in printed("list")["candidates"] if each["name"] == name]
    assert row["why_not"] == "it was not judged yet"


@pytest.mark.parametrize("command", ["gate", "reembed", "swap"])
def test_a_name_that_no_candidate_has_is_a_wrong_call(home: Path, command: str) -> None:
    done = run(command, "nobody")
    assert type(done.exception).__name__ == "ConfigError"  # exit status 2, see rag.cli.main
    assert "there is no candidate 'nobody'" in str(done.exception)


def test_what_has_learnt_passes_searches_and_goes(home: Path, name: str) -> None:
    judged = run("gate", name)
    assert judged.exit_code == 0, judged.output
    assert f"PASS  {name}\n  Better on 30 questions: +" in judged.output
    assert printed("swap", name) == {"live": name}
    library = opened(home)
    assert [first(library, kind, 29) for kind in ("report", "letter")] == ["report29", "letter29"]
    library.close()
    again = run("gate", name)
    assert "searches now already" in str(again.exception)
    assert "searches now" in run("list").output
    assert printed("rollback") == {"live": ""}
    assert run("rollback").exit_code == 0  # and there again: the last two are kept
    assert printed("rollback") == {"live": ""}


def test_what_does_not_pass_is_swapped_in_by_force_alone(home: Path, name: str) -> None:
    run("gate", name)
    verdict = run("gate", WORSE, "--json")
    assert verdict.exit_code == 1
    assert json.loads(verdict.stdout)["outcome"] in ("FAIL", "INCONCLUSIVE")
    assert "the gate says" in str(run("swap", WORSE).exception)
    assert printed("swap", WORSE, "--force") == {"live": WORSE}
    (row,) = [each for each in printed("list")["candidates"] if each["name"] == name]
    assert row["why_not"] == f"it was compared with the model as it came, and {WORSE} searches now"
    assert printed("rollback")["live"] == ""


def test_reembedding_is_for_candidates_with_passages_of_their_own(home: Path, name: str) -> None:
    assert "leaves the passages as they are" in str(run("reembed", name).exception)


def test_going_back_is_proposed_where_people_are_less_content(home: Path, name: str) -> None:
    assert printed("list")["proposal"] is None
    run("swap", WORSE, "--force")
    log = FeedbackLog(home / "feedback.jsonl")
    chunks = [ShownChunk("first", "d", 1), ShownChunk("second", "d", 2)]
    for retriever, chosen in (("", "first"), (WORSE, "second")):
        for number in range(2 * LEAST):
            log.choose(log.show(f"words {number}", "", retriever, chunks), "open", chosen)
    proposal = printed("list")["proposal"]
    assert proposal.startswith("Fewer searches are right at the top since the last swap: 0 of the last 40")
    run("rollback")
    assert printed("list")["proposal"] is None
