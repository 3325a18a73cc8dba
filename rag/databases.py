"""The databases of a library: opened when they are needed, written by one at a time, mended after a crash.

Which version of the index is the live one may change at any moment, by another process too. So it is asked at every
use; a store that was live goes on answering those who hold it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from rag.errors import LibraryBusy
from rag.protocols import Store
from rag.store.catalogue import Catalogue
from rag.store.lock import write_lock
from rag.store.recover import recover

_OPEN = 2  # stores: of the live version, and of the one before, which may still be answering


class Databases:
    """The catalogue of the library in `home` and the store of its chunks. Threads may share it.

    `live` tells which version of the index is live, `open_store` opens the store of one.
    """

    def __init__(
        self, home: Path, catalogue: Catalogue, live: Callable[[], str], open_store: Callable[[str], Store]
    ) -> None:
        self.catalogue = catalogue
        self.live = live
        self._home = home
        self._open_store = open_store
        self._opened: dict[str, Store] = {}
        self._opening = Lock()

    @property
    def store(self) -> Store:
        """That of the live version. Opened at first use: listing and unchanged files need no vector database."""
        return self.opened(self.live())

    def opened(self, version: str) -> Store:
        """The store of a version that is live, or was a moment ago."""
        with self._opening:
            if version not in self._opened:
                self._opened[version] = self._open_store(version)
                self._mend(version)
                while len(self._opened) > _OPEN:
                    self._opened.pop(next(iter(self._opened))).close()
            return self._opened[version]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The write lock, and what a killed writer left behind put right first.

        Raises:
            LibraryBusy: another writer holds the lock.
        """
        with write_lock(self._home):
            if self.catalogue.pending():
                recover(self.catalogue, self.store)
            yield

    def close(self) -> None:
        for store in self._opened.values():
            store.close()
        self.catalogue.close()

    def _mend(self, version: str) -> None:
        """Put right what a killed writer left, unless another writer is at work: then it is what that one does."""
        with suppress(LibraryBusy):
            if self.catalogue.pending():
                with write_lock(self._home, wait=0):
                    if version == self.live():  # only that one can tell what the writer had done
                        recover(self.catalogue, self._opened[version])
