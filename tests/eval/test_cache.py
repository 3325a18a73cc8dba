"""Vectors remembered from run to run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.cache import CachedEmbedder, CachedImageEmbedder
from rag.embed.hashing import HashingEmbedder
from rag.records import ModelState


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


def test_pictures_and_their_texts_are_remembered(tmp_path: Path) -> None:
    class Seeing:
        """Counts what it is asked for; its rows are of no matter."""

        space, dim, fingerprint = "image", 3, "seeing"
        state = ModelState("image embedder", "seeing", "cpu", "fp32", "a test", loaded=True)

        def __init__(self) -> None:
            self.asked: list[bytes | str] = []

        def load(self) -> None:
            """Nothing to load."""

        def embed_images(self, pictures: Sequence[bytes]) -> NDArray[np.float32]:
            self.asked += pictures
            return np.ones((len(pictures), 3), np.float32)

        def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
            self.asked += texts
            return np.zeros((len(texts), 3), np.float32)

    model = Seeing()
    first = CachedImageEmbedder(model, tmp_path)
    first.embed_images([b"a", b"b"])
    first.embed_texts(["a"])
    first.save()
    second = CachedImageEmbedder(model, tmp_path)
    assert second.embed_images([b"b", b"a", b"c"]).tolist() == [[1] * 3] * 3
    assert second.embed_texts(["a"]).tolist() == [[0] * 3]
    assert model.asked == [b"a", b"b", "a", b"c"]
    assert second.hits == 3
    assert second.embed_images([]).shape == (0, 3)
