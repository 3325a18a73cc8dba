"""Vectors of an earlier run: only what is new is embedded, and nothing foreign or broken is believed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.embed.hashing import HashingEmbedder
from rag.embed.remembering import RememberingEmbedder


class Counting(HashingEmbedder):
    def __init__(self, dim: int = 8) -> None:
        super().__init__(dim)
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str], kind: Any) -> Any:
        self.asked += texts
        return super().embed(texts, kind)


def test_what_was_saved_is_not_embedded_again_and_what_was_not_asked_for_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "tuning" / "vectors.npz"
    first = RememberingEmbedder(Counting(), path)
    rows = first.embed(["a", "b", "a"], "query")
    first.save()
    base = Counting()
    again = RememberingEmbedder(base, path)
    assert (again.embed(["a", "b"], "query") == rows[:2]).all()
    assert base.asked == []
    again.embed(["a"], "passage")
    assert base.asked == ["a"], "a passage is not a query"
    third = RememberingEmbedder(Counting(), path)
    third.embed(["b"], "query")
    third.save()
    base = Counting()
    RememberingEmbedder(base, path).embed(["a", "b"], "query")
    assert base.asked == ["a"]
    assert b"bees" not in path.read_bytes()


@pytest.mark.parametrize("broken", [b"", b"nonsense", None])
def test_a_file_of_another_model_or_a_broken_one_counts_as_empty(tmp_path: Path, broken: bytes | None) -> None:
    path = tmp_path / "vectors.npz"
    other = RememberingEmbedder(HashingEmbedder(16), path)
    other.embed(["a"], "query")
    other.save()
    if broken is not None:
        path.write_bytes(broken)
    base = Counting()
    rows = RememberingEmbedder(base, path).embed(["a"], "query")
    assert base.asked == ["a"]
    assert np.allclose(rows, HashingEmbedder(8).embed(["a"], "query"))


def test_that_it_cannot_be_written_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    embedder = RememberingEmbedder(Counting(), tmp_path / "file" / "vectors.npz")
    embedder.embed(["a"], "query")
    embedder.save()
