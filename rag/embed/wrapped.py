"""An embedder around another one, whose space, fingerprint and passages it shares."""

from pathlib import Path

from rag.protocols import Embedder
from rag.records import ModelState


class WrappedEmbedder:
    """All of an Embedder but `embed`, as `base` has it."""

    def __init__(self, base: Embedder) -> None:
        self._base = base
        self.space, self.dim, self.max_tokens = base.space, base.dim, base.max_tokens

    @property
    def fingerprint(self) -> str:
        return self._base.fingerprint

    @property
    def tokenizer_file(self) -> Path | None:
        return self._base.tokenizer_file

    @property
    def state(self) -> ModelState:
        return self._base.state

    def load(self) -> None:
        self._base.load()

    def count_tokens(self, text: str) -> int:
        return self._base.count_tokens(text)
