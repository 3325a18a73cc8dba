"""Which model and which store answer now? Both belong to the live version of the index and change together.

So does the tuned retriever of that model, if there is one: it embeds queries, and the passages stay the model's.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

from rag.databases import Databases
from rag.errors import RagError
from rag.protocols import Embedder, Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Tuned:
    """A tuned retriever in use: the embedder with its queries, and what vectors weigh against words (None: as usual).

    `name` is that of its candidate, "" for an embedder as it came.
    """

    embedder: Embedder
    name: str = ""
    fusion_weight: float | None = None


@dataclass(frozen=True, eq=False)
class Index:
    """A version of the index in use: its store holds vectors of its embedder and no others.

    One that was live goes on answering those who hold it, for as long as the version is kept. `base` is the embedder
    as it came, `tuned` what searches with it.
    """

    version: str
    base: Embedder
    tuned: Tuned
    databases: Databases
    check: Callable[[str, Embedder], None]

    @property
    def embedder(self) -> Embedder:
        """Embeds queries as they are searched for now, and passages as they are in the store."""
        return self.tuned.embedder

    @cached_property
    def store(self) -> Store:
        """Opened at first use, once it is sure that the embedder is the one that wrote it."""
        self.check(self.version, self.base)
        return self.databases.opened(self.version)


class LiveIndex:
    """The live version of the index, whichever it is at the moment. Threads may share it.

    Args:
        open_embedder: the embedder of a version, by its name; its weights are loaded when they are needed.
        check: raises IndexMismatch where an embedder is not the one that wrote a version.
        retriever_of: the name of the tuned retriever that searches a version now, "" for none; cheap.
        open_tuned: the tuned retriever of that name, with an embedder.
    """

    def __init__(
        self,
        databases: Databases,
        open_embedder: Callable[[str], Embedder],
        check: Callable[[str, Embedder], None],
        retriever_of: Callable[[str], str],
        open_tuned: Callable[[str, Embedder], Tuned],
    ) -> None:
        self._databases = databases
        self._open_embedder = open_embedder
        self._check = check
        self._retriever_of = retriever_of
        self._open_tuned = open_tuned
        self._lock = Lock()
        self._index: Index | None = None
        self._wanted: tuple[str, str] = "", ""  # the version and the retriever that `_index` was made for
        self._loaded: tuple[str, Embedder] | None = None

    def now(self) -> Index:
        """The index to use for what is asked now; ask again for the next thing."""
        with self._lock:  # asked within it, so that nobody comes late with what was live before
            version = self._databases.live()
            wanted = version, self._retriever_of(version)
            if self._index is None or self._wanted != wanted:
                base = self._embedder(version)
                self._index = Index(version, base, self._tuned(wanted[1], base), self._databases, self._check)
                self._wanted = wanted
            return self._index

    def prepare(self, version: str, embedder: Embedder) -> None:
        """Have the embedder of a version that is about to become live: its weights need not be loaded again."""
        with self._lock:
            self._loaded = version, embedder

    def _embedder(self, version: str) -> Embedder:
        if self._index is not None and self._index.version == version:
            return self._index.base
        loaded, self._loaded = self._loaded, None
        return loaded[1] if loaded is not None and loaded[0] == version else self._open_embedder(version)

    def _tuned(self, name: str, base: Embedder) -> Tuned:
        """The tuned retriever; where it cannot be used the embedder as it came, for searching must go on."""
        if not name:
            return Tuned(base)
        try:
            return self._open_tuned(name, base)
        except RagError as exc:
            log.warning("the tuned retriever %r cannot be used, the embedder searches as it came: %s", name, exc)
            return Tuned(base)
