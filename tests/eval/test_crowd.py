"""The crowd of pictures on a small collection: its rows, what they say, and that a blindfold sees nothing."""

from pathlib import Path

import numpy as np
import pytest

from eval.cache import CachedEmbedder, CachedImageEmbedder
from eval.crowd import Blindfold, crowd
from eval.datasets import Dataset, Entry
from rag.config import Settings
from rag.embed.hashing import HashingEmbedder

TOPICS = ("bees", "boilers", "bridges", "cameras", "cheese", "clouds", "ferries", "gardens", "glaciers", "harps")


@pytest.fixture
def dataset() -> Dataset:
    entries = tuple(Entry(topic, "", f"A long article about {topic} and why {topic} matter.") for topic in TOPICS)
    asked = {f"q{i}": f"Why do {topic} matter?" for i, topic in enumerate(TOPICS)}
    return Dataset("topics", entries, asked, {f"q{i}": {topic: 1} for i, topic in enumerate(TOPICS)})


def test_a_blindfold_changes_nothing_behind_the_gate_and_is_in_every_list_without_it(
    dataset: Dataset, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, embedder="hashing")
    embedder, eyes = CachedEmbedder(HashingEmbedder(), None), CachedImageEmbedder(Blindfold(), None)
    result = crowd(dataset, embedder, eyes, settings, 120)
    rows = {(row["pictures"], row["fusion"]): row for row in result["rows"]}
    assert (result["queries"], result["pictures"], result["asked_for"]) == (10, 120, 100)
    assert len(rows) == 1 + 3 + 3
    assert rows["none", "gate"]["change"] == 0
    assert rows["none", "gate"]["ndcg@10"] == 1.0
    assert abs(rows["without words", "gate"]["change"]) < 0.005
    assert rows["without words", "gate"]["shown"] <= 0.2
    assert rows["without words", "no gate"]["shown"] == 1.0
    assert rows["without words", "gate"]["r@10"] < 0.3
    assert "r@1" not in rows["with captions", "gate"]


def test_a_blindfold_points_in_one_direction_for_one_thing() -> None:
    eyes = Blindfold(16)
    rows = eyes.embed_images([b"a", b"b", b"a"])
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert np.array_equal(rows[0], rows[2])
    assert not np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], eyes.embed_texts(["a"])[0])
    assert eyes.embed_texts([]).shape == (0, 16)
