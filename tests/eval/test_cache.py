"""Vectors remembered from run to run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.cache import CachedEmbedder
from rag.embed.hashing import HashingEmbedder


class Counting(HashingEmbedder):
    """The hashing embedder, with what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        self.asked += texts
        return super().embed(texts, kind)


def test_only_new_texts_reach_the_model(tmp_path: Path) -> None:
    model = Counting()
    first = CachedEmbedder(model, tmp_path)
    rows = first.embed(["a", "b", "a"], "passage")
    first.save()
    second = CachedEmbedder(model, tmp_path)
    assert np.array_equal(second.embed(["b", "c", "a", "a"], "passage")[[2, 0, 3]], rows)
    assert model.asked == ["a", "b", "c"]
    assert second.hits == 3


def test_queries_and_passages_are_kept_apart(tmp_path: Path) -> None:
    model = Counting()
    cached = CachedEmbedder(model, tmp_path)
    cached.embed(["a"], "passage")
    cached.embed(["a"], "query")
    assert model.asked == ["a", "a"]


def test_every_fingerprint_has_its_own_file(tmp_path: Path) -> None:
    for fingerprint in ("one", "two/../x"):
        model = Counting()
        model.fingerprint = fingerprint
        cached = CachedEmbedder(model, tmp_path)
        cached.embed(["a"], "query")
        cached.save()
        assert model.asked == ["a"]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_broken_file_is_written_anew(tmp_path: Path) -> None:
    cached = CachedEmbedder(HashingEmbedder(), tmp_path)
    cached.embed(["a"], "query")
    cached.save()
    (file,) = tmp_path.iterdir()
    for broken in (b"", b"not numpy", file.read_bytes()[:-10]):
        file.write_bytes(broken)
        model = Counting()
        again = CachedEmbedder(model, tmp_path)
        again.embed(["a"], "query")
        assert model.asked == ["a"]
        again.save()
    assert CachedEmbedder(Counting(), tmp_path).embed(["a"], "query").shape == (1, 64)


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    cached = CachedEmbedder(HashingEmbedder(), None)
    assert cached.embed([], "query").shape == (0, 64)
    cached.embed(["a"], "query")
    cached.save()
    assert list(tmp_path.iterdir()) == []
