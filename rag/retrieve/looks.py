"""Which pictures look like what is asked, and how far each of them stands out from the others."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rag.filters import Filter, In, both
from rag.protocols import IMAGE_SPACE, ImageEmbedder, Store
from rag.records import Match
from rag.retrieve.chance import PRIOR, Background, background
from rag.retrieve.neutral import NEUTRAL

SAMPLE = 1024  # pictures that make up a query's background; 512 gave way to chance more than the questions did


@dataclass(frozen=True, slots=True)
class Look:
    """The pictures nearest to `vector` (float32[D]) by exact cosine, and the cosines that it usually gets.

    For words these are a `background`, for a picture the one cosine `usual`.
    """

    vector: NDArray[np.float32] = field(repr=False)
    matches: tuple[Match, ...]
    background: Background | None = None
    usual: float = 0.0


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
        """The pictures that `text` describes best, judged beside texts that have nothing to do with pictures."""
        vector = self._embedder.embed_texts([text])[0]
        population = max(self._store.count(both(where, In("modality", ("image",)))), 1)
        found = background(sample @ vector, self._neutral @ sample.T, population)
        return Look(vector, self._nearest(vector, k, where), background=found)

    def of_picture(self, picture: bytes, sample: NDArray[np.float32], k: int, where: Filter | None) -> Look:
        """The pictures that look like `picture`, encoded as any file is.

        Raises:
            UnreadableFile: it cannot be decoded.
        """
        return self.of_vector(self._embedder.embed_images([picture])[0], sample, k, where)

    def of_vector(self, vector: NDArray[np.float32], sample: NDArray[np.float32], k: int, where: Filter | None) -> Look:
        """The pictures that look like the one with this `vector`.

        What they usually have in common is the sample's median, or less where the sample is small: in a library of
        two, every picture is half of what is usual.
        """
        usual = float(np.median(sample @ vector)) * len(sample) / (len(sample) + PRIOR)
        return Look(vector, self._nearest(vector, k, where), usual=usual)

    def _nearest(self, vector: NDArray[np.float32], k: int, where: Filter | None) -> tuple[Match, ...]:
        return tuple(self._store.search_vector(IMAGE_SPACE, vector, k, where))

    @cached_property
    def _neutral(self) -> NDArray[np.float32]:
        return self._embedder.embed_texts(NEUTRAL)
