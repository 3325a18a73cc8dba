"""The gate of continuous integration: a change that makes the search worse beyond noise fails here."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from eval.datasets import load
from eval.regression import FROZEN, Scores, changes, freeze, kept_scores, measure
from rag.embed.text import TextEmbedder
from rag.models import starter


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> Scores:
    """Everything measured anew: cut, analysed, read, embedded, asked. One thread is quickest on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        folder, digest = starter.embedder_folder(), starter.EMBEDDER_SHA256
        embedder = TextEmbedder(folder, name="starter", sha256=digest, device="cpu", precision="fp32")
        return measure(embedder, tmp_path_factory.mktemp("home"))
    finally:
        torch.set_num_threads(threads)


def test_the_collection_is_large_enough() -> None:
    frozen = load(FROZEN)
    assert frozen.notes == ()
    assert len(frozen.queries) >= 300
    assert sum(1 for entry in frozen.entries if entry.image) >= 10


@pytest.mark.model
def test_the_search_is_not_worse_than_it_was(now: Scores) -> None:
    worse = [change for change in changes(kept_scores(), now) if change.failed]
    assert not worse, f"{worse}; if that is wanted, run `python -m eval regression --freeze` and say why in eval/LOG.md"


@pytest.mark.model
def test_defects_would_be_seen(now: Scores) -> None:
    """Vectors that are chance leave the one list what words find; words that match nothing leave BM25 nothing."""
    blind = {**now, "hybrid": now["bm25"], "text": dict.fromkeys(now["text"], 0.0)}
    assert [change.retriever for change in changes(kept_scores(), blind) if change.failed] == ["hybrid", "text"]
    mute = {**now, "bm25": dict.fromkeys(now["bm25"], 0.0)}
    assert [change.retriever for change in changes(kept_scores(), mute) if change.failed] == ["bm25"]


def scores(values: list[float]) -> Scores:
    return {"hybrid": {f"q{number}": value for number, value in enumerate(values)}}


def test_what_is_noise_and_what_is_not() -> None:
    before = scores([1.0] * 300)
    assert not changes(before, before)[0].failed
    # Four questions that fall from the first place to the second: 4 * .37 / 300 is below the tolerance.
    (few,) = changes(before, scores([0.63] * 4 + [1.0] * 296))
    assert not few.failed
    assert few.before - few.after == pytest.approx(4 * 0.37 / 300)
    # Ten do not look like chance, since none rose: 2 ** -10.
    (many,) = changes(before, scores([0.63] * 10 + [1.0] * 290))
    assert many.failed
    assert many.p == pytest.approx(2**-10)
    assert many.worst == ("q0", "q1", "q2", "q3", "q4")
    # As many that rose a little less: a drop of .009, which might be chance.
    mixed = scores([0.5] * 20 + [0.0] * 20 + [1.0] * 260), scores([0.0] * 20 + [0.365] * 20 + [1.0] * 260)
    (unsure,) = changes(*mixed)
    assert unsure.before - unsure.after == pytest.approx(20 * (0.5 - 0.365) / 300)
    assert not unsure.failed


def test_a_retriever_that_is_gone_and_questions_that_are_gone_are_seen() -> None:
    before = scores([1.0] * 300)
    assert changes(before, {})[0].failed
    assert changes(before, scores([1.0] * 280))[0].failed


@pytest.mark.parametrize(("lost", "status"), [(0, 0), (20, 1)])
def test_the_command_fails_where_the_search_is_worse(lost: int, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from eval import cli_regression
    from eval.__main__ import app

    now = {name: dict(found) for name, found in kept_scores().items()}
    for query in sorted(query for query, score in now["hybrid"].items() if score == 1)[:lost]:
        now["hybrid"][query] = 0.0
    monkeypatch.setattr(cli_regression, "measure", lambda embedder, home: now)
    done = CliRunner().invoke(app, ["regression", "--json"])
    assert done.exit_code == status
    found = json.loads(done.stdout)["retrievers"]
    assert found["hybrid"]["before"] - found["hybrid"]["after"] == pytest.approx(lost / len(now["hybrid"]))
    assert (found["hybrid"]["failed"], found["text"]["failed"]) == (bool(status), False)


def test_scores_are_kept_as_they_are(tmp_path: Path) -> None:
    freeze(scores([0.5, 1.0]), tmp_path)
    assert kept_scores(tmp_path) == scores([0.5, 1.0])
