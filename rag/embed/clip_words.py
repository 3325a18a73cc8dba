"""A CLIP whose words were tuned, beside the picture side as it is: no picture has to be looked at again."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rag.embed.clip import ClipEmbedder, read_texts
from rag.errors import ModelCorrupt
from rag.records import ModelState

if TYPE_CHECKING:
    from torch import Tensor

    from rag.embed.clip_model import ClipModel
    from rag.embed.device import Placement

CLIP_TEXT = "clip_text"  # what such a part of a candidate is called
CLIP_TEXT_FILE = f"{CLIP_TEXT}.safetensors"
BASE = "base"  # in the file's metadata: fingerprint of the image embedder whose text side it takes the place of


class TunedWordsEmbedder:
    """`base` with the text side in the file `words`, as an ImageEmbedder. Safe to call from several threads.

    The fingerprint is that of `base`: vectors of pictures are its own, and words stay comparable with them. The first
    use raises ModelCorrupt where the file is damaged or of another model.
    """

    def __init__(self, base: ClipEmbedder, words: Path) -> None:
        self._base = base
        self._path = words
        self._loading = threading.Lock()
        self._working = threading.Lock()
        self._ready: tuple[ClipModel, Placement] | None = None

    @property
    def space(self) -> str:
        return self._base.space

    @property
    def dim(self) -> int:
        return self._base.dim

    @property
    def fingerprint(self) -> str:
        return self._base.fingerprint

    @property
    def state(self) -> ModelState:
        state = self._base.state
        return replace(state, name=f"{state.name}, words tuned", loaded=self._ready is not None)

    def load(self) -> None:
        """Load the weights now instead of at the first query."""
        self._loaded()

    def embed_images(self, pictures: Sequence[bytes]) -> NDArray[np.float32]:
        """As `base` does."""
        return self._base.embed_images(pictures)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `ImageEmbedder.embed_texts`: float32[N, dim], unit rows, by the tuned words."""
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        model, placement = self._loaded()
        with self._working:
            return read_texts(model, texts, placement.batch)

    def _loaded(self) -> "tuple[ClipModel, Placement]":
        with self._loading:
            if self._ready is None:
                model, placement = self._base.model()
                self._ready = model.with_words(self._weights()), placement
            return self._ready

    def _weights(self) -> "dict[str, Tensor]":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._path, framework="pt") as file:
                base = (file.metadata() or {}).get(BASE)
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is not a dict
        except (OSError, SafetensorError) as exc:
            raise ModelCorrupt(f"the tuned words {str(self._path)!r} cannot be read ({exc}); tune them again") from exc
        if base != self.fingerprint:
            raise ModelCorrupt(
                f"the tuned words {str(self._path)!r} belong to another image embedder than {self._base.state.name!r}; "
                "tune them again"
            )
        return weights
