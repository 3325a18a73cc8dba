"""The generator of chunks, the percentiles, and a whole run on small stores."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from eval.__main__ import app
from eval.latency import latency, percentiles, recall
from eval.synthetic import Made, exact
from rag.config import load_settings
from tests.store.weaviate_stub import running_stub


def test_percentiles_are_by_nearest_rank() -> None:
    assert percentiles([3.0]) == {"p50": 3, "p95": 3, "p99": 3}
    assert percentiles(range(200, 0, -1)) == {"p50": 100, "p95": 190, "p99": 198}
    assert percentiles([1.0, 2.0]) == {"p50": 1, "p95": 2, "p99": 2}


def test_recall_counts_what_of_the_truth_was_found() -> None:
    truth = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    assert recall([[4, 3, 2, 1], [5, 6, 9, 10]], truth) == (4 / 4 + 2 / 4) / 2
    assert recall([[], []], truth) == 0


def test_chunks_are_the_same_however_they_are_asked_for() -> None:
    made = Made(2_300, 32, seed=5)
    parts = list(made.parts())
    assert [(part.start, len(part.vectors), len(part.words)) for part in parts] == [
        (0, 1000, 1000),
        (1000, 1000, 1000),
        (2000, 300, 300),
    ]
    again = Made(2_300, 32, seed=5).part(1)
    assert (again.vectors == parts[1].vectors).all()
    assert again.words == parts[1].words
    assert not np.allclose(Made(2_300, 32, seed=6).part(1).vectors, again.vectors)
    assert parts[0].vectors.dtype == np.float32
    assert np.linalg.norm(parts[0].vectors, axis=1) == pytest.approx(np.ones(1000), abs=1e-6)


def test_vectors_have_neighbours_as_real_ones_have() -> None:
    made = Made(6_000, 384)
    rows = np.concatenate([part.vectors for part in made.parts()])
    asked = np.random.default_rng(1).choice(len(rows), 200, replace=False)
    cosines = rows[asked] @ rows.T
    by_chance = np.median(cosines)
    cosines[np.arange(200), asked] = -2
    ranked = -np.sort(-cosines, axis=1)
    assert np.median(ranked[:, 0]) == pytest.approx(0.85, abs=0.06)
    assert np.median(ranked[:, 9]) == pytest.approx(0.57, abs=0.08)
    assert by_chance == pytest.approx(0.07, abs=0.05)


def test_topics_have_sizes_by_a_power_law() -> None:
    sizes = np.diff(Made(10_000, 8)._sizes, prepend=0)
    assert len(sizes) == 2 * 100
    assert sizes[0] / sizes[9] == pytest.approx(10)


def test_questions_are_near_a_chunk_and_in_its_words() -> None:
    made = Made(1_500, 64)
    asked = made.questions(20)
    nearest = exact(made, asked.vectors, 10)
    words = [word for part in made.parts() for word in part.words]
    assert all(len(question.split()) == 4 for question in asked.words)
    near = [
        any(set(question.split()) <= set(words[i].split()) for i in row)
        for question, row in zip(asked.words, nearest, strict=True)
    ]
    assert np.mean(near) > 0.8


def test_exact_looks_at_every_vector() -> None:
    made = Made(2_500, 16)
    queries = made.questions(7).vectors
    rows = np.concatenate([part.vectors for part in made.parts()])
    expected = np.argsort(-(queries @ rows.T), axis=1)[:, :10]
    assert (exact(made, queries, 10) == expected).all()


@pytest.mark.parametrize("store", ["memory", "lance"])
def test_a_small_run_finds_everything(store: str) -> None:
    seen: list[tuple[int, int]] = []
    result = latency(store, Made(1_200, 32), 12, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1000, 1200), (1200, 1200)]
    assert (result["chunks"], result["recall@10"]) == (1200, 1.0)
    assert all(0 < one["p50"] <= one["p95"] <= one["p99"] for one in result["ms"].values())
    assert (result["mib"]["disk"] is not None) == (store == "lance")
    json.dumps(result)


def test_a_server_is_asked_as_the_settings_say_and_left_empty() -> None:
    with running_stub() as stub:
        url = f"weaviate://127.0.0.1:{stub.port}?grpc={stub.grpc_port}"
        kept: list[set[int]] = []

        def look(done: int, total: int) -> None:
            vectors = [one.config["vectorConfig"]["text"] for one in stub.schema.collections.values()]
            kept.append({vector["vectorIndexConfig"]["dynamicEfMin"] for vector in vectors})

        result = latency(url, Made(150, 16), 2, load_settings(weaviate_ef=77, weaviate_tenant="ann"), on_progress=look)
        assert kept == [{77}]
        assert (result["chunks"], result["recall@10"]) == (150, 1.0)
        assert stub.schema.collections == stub.schema.aliases == {}


def test_the_command_prints_json_or_a_table() -> None:
    run = ["latency", "--store", "memory", "--n", "600", "--dim", "16", "--queries", "5"]
    assert json.loads(CliRunner().invoke(app, [*run, "--json"]).stdout)["chunks"] == 600
    shown = CliRunner().invoke(app, run).stdout
    assert "recall@10 1.000" in shown
    assert "hybrid" in shown
