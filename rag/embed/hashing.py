"""A model-free embedder: words hashed to random directions. For tests and for trying things without weights."""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag.protocols import TEXT_SPACE
from rag.records import ModelState

_WORD = re.compile(r"\w+")


class HashingEmbedder:
    """Texts that share words have a high cosine; every word counts the square root of how often it stands there."""

    space = TEXT_SPACE
    max_tokens = 254
    tokenizer_file: Path | None = None
    state = ModelState("embedder", "hashing", "cpu", "fp32", "no model: words are hashed", loaded=True)

    def __init__(self, dim: int = 64) -> None:
        self.dim = dim
        self.fingerprint = f"hashing-{dim}"

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        return np.stack([self._row(text) for text in texts])

    def count_tokens(self, text: str) -> int:
        return len(_WORD.findall(text))

    def load(self) -> None:
        """Nothing to load."""

    def _row(self, text: str) -> NDArray[np.float32]:
        words = _WORD.findall(text.casefold()) or [""]
        counts = {word: words.count(word) for word in set(words)}
        row = sum((np.sqrt(n) * _direction(word, self.dim) for word, n in sorted(counts.items())), np.zeros(self.dim))
        return (row / np.linalg.norm(row)).astype(np.float32)


@lru_cache(maxsize=65536)
def _direction(word: str, dim: int) -> NDArray[np.float64]:
    """A direction that depends on the word alone: float64[dim], of length 1."""
    seed = int.from_bytes(hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    row = np.random.default_rng(seed).standard_normal(dim)
    return row / np.linalg.norm(row)
