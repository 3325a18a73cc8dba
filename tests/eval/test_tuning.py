"""The learning curve: pairs from training questions, trials that leave the index as it was, cells that are kept."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from eval.cache import CachedEmbedder
from eval.learning import Ground, embedded_anew, ground, lessons, scores
from eval.tuning import Cell, Curve, CurveTier
from eval.tuning_plot import draw
from rag.config import Settings
from rag.embed.hashing import HashingEmbedder
from rag.embed.text import TextEmbedder
from rag.records import document_id
from rag.tune.train_text import TextTraining
from tests.eval.made import beir
from tests.tune.tiny_text import SUBJECTS as TINY
from tests.tune.tiny_text import tiny_text_model

SUBJECTS = [f"{kind} {thing}" for kind in ("copper", "oak", "wool", "glass") for thing in ("kettle", "ladder", "scarf")]
TOLD = ("stone", "river")


def quiet(stage: str) -> object:
    return lambda done, total: None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve documents; each is asked for eight times to train on and once to test."""
    to = tmp_path_factory.mktemp("beir") / "things"
    (to / "qrels").mkdir(parents=True)
    documents = [{"_id": f"d{n}", "title": "", "text": f"A {s} stands in room {n}."} for n, s in enumerate(SUBJECTS)]
    train = [(f"t{n}-{i}", f"where is the {s}, number {i}", f"d{n}") for n, s in enumerate(SUBJECTS) for i in range(8)]
    test = [(f"q{n}", f"find that {s}", f"d{n}") for n, s in enumerate(SUBJECTS)]
    lines = [{"_id": name, "text": text} for name, text, _ in (*train, *test)]
    (to / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)), "utf-8")
    (to / "queries.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    for split, rows in (("train", train), ("test", test)):
        judged = "".join(f"{name}\t{document}\t1\n" for name, _, document in rows)
        (to / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}", "utf-8")
    return to


@pytest.fixture(scope="module")
def embedder() -> CachedEmbedder:
    return CachedEmbedder(HashingEmbedder(dim=48), None)


@pytest.fixture(scope="module")
def things(folder: Path, embedder: CachedEmbedder, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    settings = Settings(home=tmp_path_factory.mktemp("home"), embedder="hashing", image_embedder="none")
    return ground(folder, embedder, settings, quiet)


def test_training_questions_become_pairs_with_the_passage_that_answers(folder: Path, things: Ground) -> None:
    found = lessons(folder, things, seed=0)
    assert len(found.train) + len(found.dev) == 12 * 8
    assert 0 < len(found.dev) < 30
    asked = {pair.query: pair.positive for pair in found.train}
    assert not set(asked) & set(found.dev)
    for query, passage in asked.items():
        subject = query.removeprefix("where is the ").split(",")[0]
        assert subject in passage.text
        assert passage.document == document_id(f"d{SUBJECTS.index(subject)}")


def test_another_seed_is_another_order_with_the_same_held_out(folder: Path, things: Ground) -> None:
    one, two = lessons(folder, things, seed=0), lessons(folder, things, seed=1)
    assert one.dev == two.dev
    assert one.train != two.train
    assert sorted(pair.id for pair in one.train) == sorted(pair.id for pair in two.train)


def test_a_trial_of_other_passages_leaves_the_index_as_it_was(things: Ground) -> None:
    def rows() -> np.ndarray:
        known = things.store.vectors("text", [chunk.id for chunk in things.chunks])
        return np.stack([known[chunk.id] for chunk in things.chunks])

    class Opposite(HashingEmbedder):
        def embed(self, texts, kind):  # type: ignore[no-untyped-def]
            return -super().embed(texts, kind)

    before = rows()
    with embedded_anew(things, Opposite(dim=48), quiet):
        np.testing.assert_allclose(rows(), -before, atol=1e-6)
    np.testing.assert_array_equal(rows(), before)


def test_a_cell_is_measured_once_and_kept(folder: Path, things: Ground, tmp_path: Path) -> None:
    cells = [Cell("1a", 30, 0), Cell("1a", 0, 0)]
    curve = Curve(folder, things, [things], tmp_path, tmp_path / "kept", quiet)
    result = curve.run(cells)
    assert [cell["taught"] for cell in result["cells"]] == [30, len(lessons(folder, things).train)]
    for cell in result["cells"]:
        assert cell["after"]["hybrid"] == pytest.approx(result["before"]["hybrid"] + cell["gain"])
        assert cell["canaries"]["things"] == pytest.approx(cell["gain"])  # the same questions
        assert 0 <= cell["at_home"] <= 1
        assert cell["gain_unseen"] is None  # every document answers a training question
    marked = tmp_path / "kept" / "1a-30-0.json"
    marked.write_text(json.dumps({**json.loads(marked.read_text()), "p": 0.123}))
    again = Curve(folder, things, [things], tmp_path, tmp_path / "kept", quiet).run(cells)
    assert [again["cells"][0]["p"], again["cells"][1]] == [0.123, result["cells"][1]]
    draw(result, tmp_path / "curve.svg")
    assert (tmp_path / "curve.svg").read_text("utf-8").count("<svg") == 1


def test_fewer_questions_can_be_asked(things: Ground, embedder: CachedEmbedder) -> None:
    some = scores(things.only(["q1", "q3"]), embedder, quiet)
    everything = scores(things, embedder, quiet)
    assert {name: dict(found) for name, found in some.items()} == {
        name: {query: found[query] for query in ("q1", "q3")} for name, found in everything.items()
    }


def test_questions_about_documents_that_training_never_showed_are_told_apart(
    things: Ground, folder: Path, tmp_path: Path
) -> None:
    judged = [line for line in (folder / "qrels" / "train.tsv").read_text().splitlines() if not line.endswith("d3\t1")]
    less = tmp_path / "less"
    shutil.copytree(folder, less)
    (less / "qrels" / "train.tsv").write_text("\n".join(judged) + "\n")
    result = Curve(less, things, [], tmp_path, tmp_path / "kept", quiet).run([Cell("1a", 0, 0)])
    assert result["unseen"] == 1  # the question about d3
    assert result["cells"][0]["gain_unseen"] is not None


# --- tiers that train a model ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Ground]:
    """A model of random weights, a data set of eight subjects that it can learn, and the index that it made of them."""
    base = tiny_text_model(tmp_path_factory.mktemp("models") / "tiny")
    asked = ("when", "where", "how", "why", "what")
    train = [(f"{word} {subject} {place}", n) for n, subject in enumerate(TINY) for word in asked for place in TOLD]
    test = [(f"how {subject} winter", n) for n, subject in enumerate(TINY)]
    queries = [{"_id": f"q{number}", "text": text} for number, (text, _) in enumerate((*train, *test))]
    judged = [(f"q{number}", f"d{right}", 1) for number, (_, right) in enumerate((*train, *test))]
    corpus = [{"_id": f"d{number}", "text": f"the old {subject}s market"} for number, subject in enumerate(TINY)]
    folder = tmp_path_factory.mktemp("beir") / "subjects"
    beir(folder, corpus, queries, judged[: len(train)], "train")
    beir(folder, corpus, queries, judged[len(train) :], "test")
    settings = Settings(home=tmp_path_factory.mktemp("home"), image_embedder="none")
    embedder = CachedEmbedder(TextEmbedder(base, name="tiny"), None)
    return base, folder, ground(folder, embedder, settings, quiet)


QUICK = {"epochs": 12, "batch": 16, "learning_rate": 3e-3, "threads": 1}


@pytest.mark.parametrize("tier", ["1b", "2"])
def test_a_trained_model_is_measured_and_leaves_the_index_as_it_was(
    tiny: tuple[Path, Path, Ground], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tier: CurveTier
) -> None:
    base, folder, home = tiny
    monkeypatch.setattr("eval.tuning.TextTraining", partial(TextTraining, **QUICK))
    curve = Curve(folder, home, [home], base, tmp_path / "kept", quiet)
    result = curve.run([Cell(tier, 0, 0)])
    (cell,) = result["cells"]
    assert (cell["tier"], cell["taught"]) == (tier, len(lessons(folder, home).train))
    learnt = cell["gain_without_switch"] if tier == "1b" else cell["gain"]
    assert learnt > 0.03  # the model was random; measured: .14 and .10
    assert cell["after"]["hybrid"] == pytest.approx(result["before"]["hybrid"] + cell["gain"])
    assert cell["canaries"]["subjects"] == pytest.approx(cell["gain"])  # the same questions
    assert ("pairs_per_second" in cell) == (tier == "2")
    known = home.store.vectors("text", [chunk.id for chunk in home.chunks])
    np.testing.assert_array_equal(np.stack([known[chunk.id] for chunk in home.chunks]), home.rows)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [f"{tier}-all-0.json"]  # no model is left behind
    monkeypatch.setattr("eval.tuning.train_text", None)  # what is kept is not trained again
    assert Curve(folder, home, [home], base, tmp_path / "kept", quiet).run([Cell(tier, 0, 0)])["cells"] == [cell]
