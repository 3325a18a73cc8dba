"""Which words for pictures search now: those of the image embedder as it came, or those that its owner taught it?"""

import logging
from collections.abc import Callable
from threading import Lock

from rag.errors import RagError
from rag.protocols import ImageEmbedder

log = logging.getLogger(__name__)


class LiveWords:
    """The image embedder that searches now. Threads may share it.

    Args:
        base: the image embedder as it came, None where there is none.
        live: the name of the candidate whose words search now, "" for none; cheap.
        open_words: `base` with the words of the candidate of that name.
    """

    def __init__(
        self, base: ImageEmbedder | None, live: Callable[[], str], open_words: Callable[[str], ImageEmbedder]
    ) -> None:
        self._base = base
        self._live = live
        self._open_words = open_words
        self._lock = Lock()
        self._opened: tuple[str, ImageEmbedder | None] = "", base

    def open(self, name: str) -> ImageEmbedder:
        """The image embedder with the words of a candidate; they are read at its first use.

        Raises:
            TuneError: there is no such candidate, or it is for pictures of another image embedder.
        """
        return self._open_words(name)

    def now(self) -> ImageEmbedder | None:
        """The one to use for what is asked now, the same object until another candidate searches."""
        if self._base is None:
            return None
        name = self._live()
        with self._lock:
            if self._opened[0] != name:
                self._opened = name, self._tuned(name)
            return self._opened[1]

    def _tuned(self, name: str) -> ImageEmbedder | None:
        """The tuned one; where it cannot be used the embedder as it came, for searching must go on."""
        if not name:
            return self._base
        try:
            return self._open_words(name)
        except RagError as exc:
            log.warning("the tuned words %r cannot be used, pictures are found by the model's own: %s", name, exc)
            return self._base
