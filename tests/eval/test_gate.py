"""What the honesty of the gate is measured with: made-up questions, shuffled labels, candidates of chance."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from eval import gate
from eval.__main__ import app
from eval.gate import counted, exchanged, families, made, shuffled
from rag.embed.hashing import HashingEmbedder
from rag.tune.trial import DEPTH
from tests.eval.made import tiny


def gains(shift: float) -> np.ndarray:
    return np.array([one.gain for one in made(np.random.default_rng(1), 4000, shift)])


def test_made_up_questions_are_as_hard_to_tell_apart_as_real_ones() -> None:
    none, some = gains(0.0), gains(0.5)
    assert none.mean() == pytest.approx(0, abs=4 * none.std() / 4000**0.5)
    assert 0.13 < none.std() < 0.22  # what published comparisons have
    assert some.mean() > 0.05
    (one,) = made(np.random.default_rng(1), 1)
    assert len(one.before.documents) == len(one.after.documents) == DEPTH


def test_labels_are_shuffled_question_by_question() -> None:
    asked = made(np.random.default_rng(2), 40, 0.5)
    assert [one.gain for one in map(exchanged, asked)] == [-one.gain for one in asked]
    drawn = shuffled(asked, 30)(np.random.default_rng(3))
    by_name = {one.question.id: one for one in asked}
    turned = [one for one in drawn if one == exchanged(by_name[one.question.id]) and one.gain]
    kept = [one for one in drawn if one == by_name[one.question.id] and one.gain]
    assert len({one.question.id for one in drawn}) == 30
    assert turned
    assert kept


def test_a_large_gain_is_promoted_and_none_is_not() -> None:
    found = counted(lambda random: made(random, 60, 1.0), 6, seed=0)
    assert (found.questions, found.runs, found.outcomes["PASS"]) == (60, 6, 1.0)
    assert sum(found.outcomes.values()) == 1.0


def test_correction_holds_families_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "made", lambda random, count: made(random, count, 0.35))
    found = families(40, 5, 0)
    assert found["uncorrected"] > found["at once"]
    assert found["uncorrected"] >= found["one after the other"] >= found["at once"]


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(gate, "SIZES", (2,))
    monkeypatch.setattr("eval.cli_gate.synthetic", lambda runs, seed, show: {"runs": runs})
    monkeypatch.setattr("eval.cli_gate.build_embedder", lambda settings: HashingEmbedder())
    done = CliRunner().invoke(app, ["gate", str(tiny(tmp_path / "tiny")), "--runs", "20", "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["synthetic"] == {"runs": 20}
    assert [row["questions"] for row in result["real"]["shuffled"]] == [2, 3]
    assert result["real"]["candidates_of_chance"]["candidates"] == 20
    assert result["real"]["candidates_of_chance"]["PASS"] == 0.0
