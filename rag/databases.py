"""The databases of a library: opened when they are needed, written by one at a time, mended after a crash."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from rag.errors import LibraryBusy
from rag.protocols import Store
from rag.store.catalogue import Catalogue
from rag.store.lock import write_lock
from rag.store.recover import recover


class Databases:
    """The catalogue of the library in `home` and the store of its chunks. Threads may share it."""

    def __init__(self, home: Path, catalogue: Catalogue, open_store: Callable[[], Store]) -> None:
        self.catalogue = catalogue
        self._home = home
        self._open_store = open_store
        self._opened: Store | None = None
        self._opening = Lock()

    @property
    def store(self) -> Store:
        """Opened at first use: listing and unchanged files need no vector database."""
        with self._opening:
            if self._opened is None:
                self._opened = self._open_store()
                self._mend(self._opened)
            return self._opened

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
        if self._opened is not None:
            self._opened.close()
        self.catalogue.close()

    def _mend(self, store: Store) -> None:
        """Put right what a killed writer left, unless another writer is at work: then it is what that one does."""
        with suppress(LibraryBusy):
            if self.catalogue.pending():
                with write_lock(self._home, wait=0):
                    recover(self.catalogue, store)
