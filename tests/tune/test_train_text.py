"""Training a text embedder: what it learns, what its losses are, and what it leaves as it was."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from rag.embed.text import TextEmbedder
from rag.errors import TuneError
from rag.tune import loss as losses
from rag.tune.records import Pair, Step
from rag.tune.text_model import TextModel
from rag.tune.train_text import Plan, TextEmbedderLike, TextTraining, train_text
from tests.tune.tiny_text import SUBJECTS, overlap, right_first, tiny_pairs, tiny_text_model

ON_CPU = TextTraining(device="cpu", precision="fp32", batch=8, epochs=2, learning_rate=1e-3)
STILL = replace(
    ON_CPU, epochs=1, batch=100, negatives=2, learning_rate=0.0
)  # one step of everything that moves nothing
WORDS = [f"{word} winter" for word in (*SUBJECTS, *(f"{subject}s" for subject in SUBJECTS))]


pytestmark = pytest.mark.usefixtures("quick_training")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_model(tmp_path_factory.mktemp("model") / "base")


def embedder(folder: Path) -> TextEmbedder:
    return TextEmbedder(folder, name="tiny", device="cpu", precision="fp32")


def first_loss(base: Path, pairs: Sequence[Pair], to: Path, training: TextTraining, **more: Any) -> float:
    steps: list[Step] = []
    train_text(base, pairs, to, training, on_step=steps.append, **more)
    assert len(steps) == 1
    assert steps[0].loss is not None
    return steps[0].loss


def ignored_by_hand(queries: torch.Tensor, documents: torch.Tensor, columns: Sequence[str]) -> torch.Tensor:
    """bool[12, M]: what PAIRS are not told apart from; `columns` are the texts of the first of the M documents."""
    ignored = losses.likely_positives(queries, documents)
    for i, pair in enumerate(PAIRS):
        answers = {other.positive.text for other in PAIRS if other.query == pair.query}
        for j, text in enumerate(columns):
            mine = text in {wrong.text for wrong in pair.negatives}
            ignored[i, j] = text in answers or (bool(ignored[i, j]) and not mine)
    return ignored


def test_it_learns_on_both_sides_what_no_word_says(base: Path, tmp_path: Path) -> None:
    training = replace(ON_CPU, epochs=12, batch=16, learning_rate=3e-3)
    steps: list[Step] = []
    done = train_text(base, tiny_pairs(96), tmp_path / "to", training, dev=right_first, on_step=steps.append)
    assert right_first(embedder(base)) <= 3 / 8
    assert right_first(embedder(tmp_path / "to")) >= 7 / 8
    assert done.finished
    assert done.losses[-1] < done.losses[0] / 2
    assert [step.done for step in steps] == list(range(1, 73))  # 12 epochs of 96 / 16
    assert {step.total for step in steps} == {72}
    assert [step.score for step in steps if step.score is not None] == list(done.scores)
    assert steps[-1].text.endswith(" pairs/s")


@pytest.mark.parametrize("method", ["lora", "full"])
def test_it_learns_on_the_side_of_queries_alone(base: Path, tmp_path: Path, method: Literal["lora", "full"]) -> None:
    before = embedder(base)

    def right(model: TextEmbedderLike) -> float:
        """Passages keep their vectors."""
        queries = model.embed([f"how {subject} stone" for subject in SUBJECTS], "query")
        passages = before.embed([f"the {subject}s market" for subject in SUBJECTS], "passage")
        return float(np.mean((queries @ passages.T).argmax(axis=1) == np.arange(len(SUBJECTS))))

    asked: list[str] = []

    def passages(texts: Sequence[str]) -> np.ndarray:
        asked.extend(texts)
        return before.embed(texts, "passage")

    pairs = tiny_pairs(96)
    training = replace(ON_CPU, side="query", method=method, epochs=10, batch=16, learning_rate=1e-2)
    train_text(base, pairs, tmp_path / "to", training, passages=passages)
    assert right(before) <= 3 / 8
    assert right(embedder(tmp_path / "to")) >= 7 / 8
    texts = [pair.positive.text for pair in pairs] + [wrong.text for pair in pairs for wrong in pair.negatives]
    assert sorted(asked) == sorted(set(texts))  # each once, and none by the model itself


def test_everything_but_the_weights_stays_as_it_was(base: Path, tmp_path: Path) -> None:
    train_text(base, tiny_pairs(16), tmp_path / "to", replace(ON_CPU, epochs=1, max_tokens=12))
    files = {path.relative_to(base) for path in base.rglob("*") if path.is_file()}
    assert files == {path.relative_to(tmp_path / "to") for path in (tmp_path / "to").rglob("*") if path.is_file()}
    changed = {path for path in files if (base / path).read_bytes() != (tmp_path / "to" / path).read_bytes()}
    assert changed == {Path("model.safetensors")}
    before, after = TextModel(base, "cpu").network, TextModel(tmp_path / "to", "cpu").network
    assert after.max_seq_length == before.max_seq_length == 40
    assert after.prompts == before.prompts
    assert after.prompts["query"] == "ask: "
    assert list(tmp_path.iterdir()) == [tmp_path / "to"]  # nothing is left lying about


def test_merged_lora_gives_the_vectors_that_training_saw(base: Path, tmp_path: Path) -> None:
    seen: list[np.ndarray] = []

    def look(model: TextEmbedderLike) -> float:
        seen.append(model.embed(WORDS, "query"))
        return 0.0

    training = replace(ON_CPU, method="lora", epochs=1, learning_rate=1e-2, rank=4)
    train_text(base, tiny_pairs(32), tmp_path / "to", training, dev=look)
    merged = embedder(tmp_path / "to").embed(WORDS, "query")
    np.testing.assert_allclose(merged, seen[0], atol=2e-6)
    assert np.abs(merged - embedder(base).embed(WORDS, "query")).max() > 0.01  # and it did move
    names = load_file(base / "model.safetensors").keys()
    assert load_file(tmp_path / "to" / "model.safetensors").keys() == names


# --- the losses, on one step of all pairs ------------------------------------------------------------------------

PAIRS = tiny_pairs(12, negatives=2)


def vectors(base: Path, texts: Sequence[str], kind: Literal["query", "passage"]) -> torch.Tensor:
    return torch.from_numpy(embedder(base).embed(texts, kind))


def test_info_nce_counts_weights_and_spares_what_may_be_right(base: Path, tmp_path: Path) -> None:
    pairs = [replace(pair, weight=0.1 * (i + 1)) for i, pair in enumerate(PAIRS)]
    pairs[3] = replace(pairs[3], query=pairs[2].query)  # two answers to one question
    pairs[5] = replace(pairs[5], positive=replace(pairs[4].positive, id="elsewhere"))  # one text in two places
    queries = vectors(base, [pair.query for pair in pairs], "query").numpy()
    positives = vectors(base, [pair.positive.text for pair in pairs], "passage").numpy()
    own = (queries * positives).sum(axis=1)
    total = 0.0
    for i, pair in enumerate(pairs):
        answers = {other.positive.text for other in pairs if other.query == pair.query}
        mine = {wrong.text for wrong in pair.negatives}
        wrong_texts = {wrong.text for other in pairs for wrong in other.negatives} - {p.positive.text for p in pairs}
        columns = [other.positive.text for other in pairs] + sorted(wrong_texts)
        cosines = vectors(base, columns, "passage").numpy() @ queries[i]
        near = cosines > own[i] - 0.05 * abs(own[i])
        counted = [
            j == i or (text not in {*answers, *columns[:j]} and (text in mine or not near[j]))
            for j, text in enumerate(columns)
        ]
        logits = cosines[counted] / 0.05
        total += pair.weight * (np.log(np.exp(logits).sum()) - own[i] / 0.05)
    expected = total / sum(pair.weight for pair in pairs)
    assert first_loss(base, pairs, tmp_path / "to", STILL) == pytest.approx(expected, rel=1e-4)


def test_queries_alone_are_told_from_all_documents_by_the_vectors_given(base: Path, tmp_path: Path) -> None:
    texts = {e.text: e for pair in PAIRS for e in (pair.positive, *pair.negatives)}
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(len(texts), 32)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    known = dict(zip(texts, drawn, strict=True))
    queries = vectors(base, [pair.query for pair in PAIRS], "query")
    positives = [pair.positive.text for pair in PAIRS]
    columns = positives + [text for text in texts if text not in positives]
    documents = torch.from_numpy(np.stack([known[text] for text in columns]))
    ignored = ignored_by_hand(queries, documents, columns)
    expected = losses.info_nce(queries, documents, ignored=ignored).item()

    def passages(texts: Sequence[str]) -> np.ndarray:
        return np.stack([known[text] for text in texts])

    done = train_text(base, PAIRS, tmp_path / "to", replace(STILL, side="query", batch=4), passages=passages)
    assert (done.steps, done.losses) == (3, (pytest.approx(expected, rel=1e-4),))  # three steps of four pairs


def test_a_draw_of_the_library_is_wrong_for_queries_unless_it_is_near_or_known(base: Path, tmp_path: Path) -> None:
    queries = vectors(base, [pair.query for pair in PAIRS], "query")
    columns = list(dict.fromkeys([p.positive.text for p in PAIRS] + [w.text for p in PAIRS for w in p.negatives]))
    documents = vectors(base, columns, "passage")
    noise = 0.1 * torch.randn(6, 32, generator=torch.Generator().manual_seed(0))
    noise[5] *= 0.01  # so near to what answers the first query that it may answer it as well
    drawn = torch.nn.functional.normalize(documents[[20, 21, 22, 23, 24, 0]] + noise, dim=1)
    told_apart = torch.cat([documents, drawn])
    ignored = ignored_by_hand(queries, told_apart, columns)
    assert ignored[0, -1]
    assert not ignored[:, -6:].all(dim=0).any()  # each of the draw is wrong for some query
    expected = losses.info_nce(queries, told_apart, ignored=ignored).item()
    training = replace(STILL, side="query")
    library = torch.cat([documents[3:7], drawn, documents[:2]]).numpy()  # what pairs know is no draw
    assert first_loss(base, PAIRS, tmp_path / "all", training, library=library) == pytest.approx(expected, rel=1e-4)
    alone = losses.info_nce(queries, documents, ignored=ignored[:, : len(columns)]).item()
    none = first_loss(base, PAIRS, tmp_path / "none", replace(training, others=0), library=library)
    assert none == pytest.approx(alone, rel=1e-4)
    assert expected > alone + 0.05
    both = replace(STILL, side="both")
    with_draw = first_loss(base, PAIRS, tmp_path / "both", both, library=library)
    assert with_draw == first_loss(base, PAIRS, tmp_path / "as it was", both)


@pytest.mark.parametrize("loss", ["triplet", "margin", "cosine-mse", "cosent"])
def test_the_loss_is_the_formula(base: Path, tmp_path: Path, loss: Any) -> None:
    pairs = [replace(pair, label=0.4 + 0.05 * i, weight=(i + 1) / 12) for i, pair in enumerate(PAIRS)]  # two are bad
    rows = [(p.query, p.positive.text, p.label, p.weight) for p in pairs]
    rows += [(p.query, wrong.text, 0.0, p.weight) for p in pairs for wrong in p.negatives]
    a, b = vectors(base, [row[0] for row in rows], "query"), vectors(base, [row[1] for row in rows], "passage")
    target, weights = torch.tensor([row[2] for row in rows]), torch.tensor([row[3] for row in rows])
    triples = [(p.query, p.positive.text, wrong.text, p.weight) for p in pairs[2:] for wrong in p.negatives]
    anchors = vectors(base, [t[0] for t in triples], "query")
    near, far = (vectors(base, [t[i] for t in triples], "passage") for i in (1, 2))
    expected = {
        "triplet": losses.triplet(anchors, near, far, 0.3, torch.tensor([t[3] for t in triples])),
        "margin": losses.margin_contrastive(a, b, (target >= 0.5).float(), 0.3, weights),
        "cosine-mse": losses.cosine_mse(a, b, target, weights),
        "cosent": losses.cosent(a, b, target),
    }[loss]
    found = first_loss(base, pairs, tmp_path / "to", replace(STILL, loss=loss, margin=0.3))
    assert found == pytest.approx(expected.item(), rel=1e-4)


def weighted(rows: Sequence[tuple[float, float]]) -> float:
    return sum(weight * value for weight, value in rows) / sum(weight for weight, _ in rows)


def test_a_teacher_is_followed(base: Path, tmp_path: Path) -> None:
    pairs = [replace(p, negatives=p.negatives[: 1 + i % 2], weight=(i + 1) / 12) for i, p in enumerate(PAIRS)]
    divergences, squares = [], []
    for pair in pairs:
        texts = [pair.positive.text, *(wrong.text for wrong in pair.negatives)]
        cosines = (vectors(base, texts, "passage") @ vectors(base, [pair.query], "query")[0]).numpy()
        said = np.array(overlap(pair.query, texts))
        goal, share = (np.exp(x) / np.exp(x).sum() for x in (said, cosines / 0.05))
        divergences.append((pair.weight, (goal * np.log(goal / share)).sum()))
        sure = 1 / (1 + np.exp(-said))
        leads = [(cosines[0] - cosines[k], sure[0] - sure[k]) for k in range(1, len(texts))]
        squares += [(pair.weight, (ours - its) ** 2) for ours, its in leads]
    kl = first_loss(base, pairs, tmp_path / "kl", replace(STILL, loss="kl"), teacher=overlap)
    assert kl == pytest.approx(weighted(divergences), rel=1e-4)
    mse = first_loss(base, pairs, tmp_path / "mse", replace(STILL, loss="margin-mse"), teacher=overlap)
    assert mse == pytest.approx(weighted(squares), rel=1e-4)


def test_the_anchor_holds_other_texts_in_place(base: Path, tmp_path: Path) -> None:
    replay = [f"old {word} river" for word in SUBJECTS]

    def moved(anchor: float) -> float:
        to = tmp_path / str(anchor)
        train_text(base, tiny_pairs(32), to, replace(ON_CPU, epochs=4, anchor=anchor), replay=replay)
        before, after = (embedder(folder).embed(replay, "passage") for folder in (base, to))
        return float(np.mean(1 - (before * after).sum(axis=1)))

    assert moved(anchor=10.0) < moved(anchor=0.0) / 2


def test_a_batch_that_is_not_held_at_once_gives_the_same_gradient(base: Path, tmp_path: Path) -> None:
    training = replace(ON_CPU, epochs=1, batch=32, dropout=True)
    replay = ["old grey stone"] * 8
    pairs = tiny_pairs(64)
    for name, hold in (("whole", 1000), ("pieces", 20)):
        train_text(base, pairs, tmp_path / name, replace(training, hold=hold), replay=replay)
    whole, pieces = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "pieces"))
    for name in whole:
        np.testing.assert_allclose(pieces[name], whole[name], atol=2e-5)


def test_the_epoch_that_scored_best_is_kept(base: Path, tmp_path: Path) -> None:
    scores, seen = iter([0.2, 0.9, 0.9, 0.1]), []

    def dev(model: TextEmbedderLike) -> float:
        seen.append(model.embed(WORDS, "query"))
        return next(scores)

    done = train_text(base, tiny_pairs(16), tmp_path / "to", replace(ON_CPU, epochs=4), dev=dev)
    assert (done.epoch, done.scores) == (2, (0.2, 0.9, 0.9, 0.1))
    np.testing.assert_allclose(embedder(tmp_path / "to").embed(WORDS, "query"), seen[1], atol=1e-6)
    assert np.abs(seen[1] - seen[3]).max() > 1e-3


# --- what is refused ---------------------------------------------------------------------------------------------


def one_document(pairs: Sequence[Pair]) -> list[Pair]:
    return [replace(pair, positive=replace(pair.positive, document="diary.md")) for pair in pairs]


GOOD = tiny_pairs(12)
ALONE = [replace(pair, negatives=()) for pair in GOOD]


@pytest.mark.parametrize(
    ("pairs", "training", "message"),
    [
        (GOOD[:3], ON_CPU, "3 pairs to learn from, and 10 are the least"),
        (one_document(GOOD), ON_CPU, "all 12 pairs lead to 'diary.md'"),
        (ALONE, replace(ON_CPU, loss="triplet"), "'triplet' can use 0 of 12 pairs"),
        (ALONE, replace(ON_CPU, loss="margin"), "'margin' needs wrong passages as well"),
        (ALONE, replace(ON_CPU, loss="cosent"), "'cosent' needs wrong passages as well"),
        (ALONE, replace(ON_CPU, loss="cosine-mse"), "'cosine-mse' needs wrong passages as well"),
        (GOOD, replace(ON_CPU, loss="kl"), "'kl' learns from a reranker's scores"),
        (GOOD, replace(ON_CPU, loss="margin-mse"), "'margin-mse' learns from a reranker's scores"),
        ([replace(pair, label=0.1) for pair in GOOD], ON_CPU, "'infonce' can use 0 of 12 pairs"),
        (GOOD, replace(ON_CPU, batch=1), "a batch of 1"),
        (GOOD, replace(ON_CPU, epochs=0), "0 epochs"),
    ],
)
def test_what_cannot_be_learnt_from_is_said(
    base: Path, tmp_path: Path, pairs: list[Pair], training: TextTraining, message: str
) -> None:
    with pytest.raises(TuneError, match=message):
        train_text(base, pairs, tmp_path / "to", training)
    assert not (tmp_path / "to").exists()


def test_a_loss_that_is_no_number_ends_training(base: Path, tmp_path: Path) -> None:
    with pytest.raises(TuneError, match=r"of step 2 is nan: .* learning rate below 1e\+30"):
        train_text(base, GOOD, tmp_path / "to", replace(ON_CPU, learning_rate=1e30, warm_up=0.0))
    assert not (tmp_path / "to").exists()


def test_fewer_pairs_than_the_batch_are_one_step(base: Path, tmp_path: Path) -> None:
    done = train_text(base, GOOD, tmp_path / "to", replace(ON_CPU, batch=64, epochs=3))
    assert (done.steps, done.finished) == (3, True)


def test_duplicated_and_contradictory_pairs_do_no_harm(base: Path, tmp_path: Path) -> None:
    """The same pair twelve times is one answer; what is called both right and wrong counts as right."""
    wrong_as_well = [replace(pair, negatives=(pair.positive, *pair.negatives)) for pair in GOOD]
    first = first_loss(base, GOOD, tmp_path / "a", STILL)
    assert first_loss(base, wrong_as_well, tmp_path / "b", STILL) == pytest.approx(first)
    assert first_loss(base, GOOD + GOOD, tmp_path / "c", STILL) == pytest.approx(first, rel=1e-5)


def test_texts_are_cut_in_training(base: Path, tmp_path: Path) -> None:
    def extended(tail: str) -> list[Pair]:
        return [replace(pair, positive=replace(pair.positive, text="tides grey stone " + tail)) for pair in GOOD]

    short = replace(STILL, loss="cosine-mse", max_tokens=5)  # [CLS], three words, [SEP]
    cut = first_loss(base, extended("river"), tmp_path / "a", short)
    assert first_loss(base, extended("market old winter"), tmp_path / "b", short) == pytest.approx(cut)
    assert first_loss(base, extended("river"), tmp_path / "c", replace(short, max_tokens=40)) != pytest.approx(cut)


def test_the_plan_shows_each_pair_once_an_epoch_in_even_steps() -> None:
    plan = Plan(pairs=23, batch=8, epochs=2, replay=5, seed=1)
    assert (plan.per_epoch, plan.total) == (3, 6)
    for epoch in (0, 1):
        rows = [plan.rows(3 * epoch + part) for part in range(3)]
        assert [len(part) for part in rows] == [8, 8, 7]
        assert sorted(np.concatenate(rows)) == list(range(23))
    assert list(plan.rows(0)) != list(plan.rows(3))
    assert len(plan.replayed(0)) == 2  # a quarter of 8
    assert len(Plan(23, 8, 2, 0, 1).replayed(0)) == 0


def test_every_step_draws_others_of_the_library() -> None:
    plan = Plan(pairs=23, batch=8, epochs=2, replay=0, seed=1, library=50, others=20)
    draws = [frozenset(plan.drawn(step).tolist()) for step in range(plan.total)]
    assert [len(draw) for draw in draws] == [20] * 6
    assert len(set(draws)) == 6
    assert frozenset.union(*draws) <= set(range(50))
    assert list(plan.drawn(3)) == list(plan.drawn(3))
    assert sorted(Plan(23, 8, 2, 0, 1, library=7, others=20).drawn(0)) == list(range(7))
    assert len(Plan(23, 8, 2, 0, 1).drawn(0)) == 0


def test_the_rate_rises_and_falls() -> None:
    training = TextTraining(warm_up=0.2)
    assert [training.rate(step, 10) for step in range(10)] == pytest.approx(
        [1 / 2, 2 / 2, 8 / 8, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    )
    assert TextTraining(method="lora").peak_rate == 2e-4


def test_the_manifest_says_what_the_weights_depend_on(base: Path, tmp_path: Path) -> None:
    done = train_text(base, GOOD, tmp_path / "to", STILL)
    said = json.loads(json.dumps(done.manifest))
    assert said["training"]["device"] == "cpu"
    assert said["training"]["seed"] == 0
    assert said["threads"] == 1
    assert said["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert said["pairs"] == 12
    other = train_text(base, tiny_pairs(12, seed=1), tmp_path / "to", STILL).manifest
    assert (other["base"], other["fingerprint"] == said["fingerprint"]) == (said["base"], False)
