"""Which model and which store answer now? Both belong to the live version of the index and change together."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

from rag.databases import Databases
from rag.protocols import Embedder, Store


@dataclass(frozen=True, eq=False)
class Index:
    """A version of the index in use: its store holds vectors of its embedder and no others.

    One that was live goes on answering those who hold it, for as long as the version is kept.
    """

    version: str
    embedder: Embedder
    databases: Databases
    check: Callable[[str, Embedder], None]

    @cached_property
    def store(self) -> Store:
        """Opened at first use, once it is sure that the embedder is the one that wrote it."""
        self.check(self.version, self.embedder)
        return self.databases.opened(self.version)


class LiveIndex:
    """The live version of the index, whichever it is at the moment. Threads may share it.

    `open_embedder` gives the embedder of a version, by its name; its weights are loaded when they are needed. `check`
    raises IndexMismatch where an embedder is not the one that wrote a version.
    """

    def __init__(
        self,
        databases: Databases,
        open_embedder: Callable[[str], Embedder],
        check: Callable[[str, Embedder], None],
    ) -> None:
        self._databases = databases
        self._open_embedder = open_embedder
        self._check = check
        self._lock = Lock()
        self._index: Index | None = None
        self._loaded: tuple[str, Embedder] | None = None

    def now(self) -> Index:
        """The index to use for what is asked now; ask again for the next thing."""
        version = self._databases.live()
        with self._lock:
            if self._index is None or self._index.version != version:
                self._index = Index(version, self._embedder(version), self._databases, self._check)
            return self._index

    def prepare(self, version: str, embedder: Embedder) -> None:
        """Have the embedder of a version that is about to become live: its weights need not be loaded again."""
        with self._lock:
            self._loaded = version, embedder

    def _embedder(self, version: str) -> Embedder:
        loaded, self._loaded = self._loaded, None
        return loaded[1] if loaded is not None and loaded[0] == version else self._open_embedder(version)
