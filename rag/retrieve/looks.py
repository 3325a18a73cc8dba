"""Which pictures look like what is asked, and how far each of them stands out from the others."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rag.filters import Filter, In, both
from rag.protocols import IMAGE_SPACE, ImageEmbedder, Store
from rag.records import Match
from rag.retrieve.chance import Background, background
from rag.retrieve.neutral import NEUTRAL

SAMPLE = 512  # pictures that make up a query's background: its centre is then known to a twentieth of its spread
_PEERS = 32  # of them that are compared with all others, to know what two unrelated pictures have in common


@dataclass(frozen=True, slots=True)
class Look:
    """The pictures nearest to `vector` (float32[D]) by exact cosine, and what cosines it gets by chance."""

    vector: NDArray[np.float32] = field(repr=False)
    matches: tuple[Match, ...]
    background: Background


class Looks:
    """Compares words and pictures with the library's pictures. Keep one: it remembers what is always the same."""

    def __init__(self, embedder: ImageEmbedder, store: Store) -> None:
        self._embedder = embedder
        self._store = store

    def load(self) -> None:
        """Load the weights ahead of the first query.

        Raises:
            ModelError: they cannot be used.
        """
        self._embedder.load()

    def sample(self) -> NDArray[np.float32]:
        """float32[N, D]: vectors of random pictures; N = 0 where none has been looked at yet."""
        return self._store.sample(IMAGE_SPACE, SAMPLE)

    def of_words(self, text: str, sample: NDArray[np.float32], k: int, where: Filter | None) -> Look:
        """The pictures that `text` describes best, judged beside what has nothing to do with pictures."""
        return self._look(self._embedder.embed_texts([text])[0], sample, self._neutral @ sample.T, k, where)

    def of_picture(self, picture: bytes, sample: NDArray[np.float32], k: int, where: Filter | None) -> Look:
        """The pictures that look like `picture`, encoded as any file is.

        Raises:
            UnreadableFile: it cannot be decoded.
        """
        return self.of_vector(self._embedder.embed_images([picture])[0], sample, k, where)

    def of_vector(self, vector: NDArray[np.float32], sample: NDArray[np.float32], k: int, where: Filter | None) -> Look:
        """The pictures that look like the one with this `vector`, judged beside other pictures."""
        peers = sample[:_PEERS] @ sample.T
        np.fill_diagonal(peers, np.nan)
        return self._look(vector, sample, peers, k, where)

    def _look(
        self,
        vector: NDArray[np.float32],
        sample: NDArray[np.float32],
        others: NDArray[np.float32],
        k: int,
        where: Filter | None,
    ) -> Look:
        population = self._store.count(both(where, In("modality", ("image",))))
        matches = self._store.search_vector(IMAGE_SPACE, vector, k, where)
        return Look(vector, tuple(matches), background(sample @ vector, others, max(population, 1)))

    @cached_property
    def _neutral(self) -> NDArray[np.float32]:
        return self._embedder.embed_texts(NEUTRAL)
