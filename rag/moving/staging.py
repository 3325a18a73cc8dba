"""Where is a library built that is to appear whole? In a folder of its home, which is then moved into place.

`importing` is a library in the making: whoever finds one may delete it. One that is ready is renamed to `imported`,
and that is the commit: from then on, however often it is cut off, its parts are moved to where they belong.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag.errors import ArchiveError, LibraryBusy
from rag.moving.originals import kept_files
from rag.store.catalogue import Catalogue
from rag.store.conversations import Conversations
from rag.store.lock import write_lock
from rag.tune.feedback import FILE as FEEDBACK
from rag.tune.questions import FILE as QUESTIONS

_MAKING, _READY = "importing", "imported"


@contextmanager
def staged(home: Path) -> Iterator[Path]:
    """A folder to build a library in, which becomes that of `home` when the block ends, and goes when it raises.

    Call it with the write lock of `home` held.

    Raises:
        ArchiveError: there is a library in `home` that is not empty.
        LibraryBusy: another program has it open.
    """
    finish_import(home)
    refuse_unless_empty(home)
    making = home / _MAKING
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    try:
        yield making
        making.rename(home / _READY)
    except BaseException:  # whatever it was, an interrupt too: nothing of it is kept
        shutil.rmtree(making, ignore_errors=True)
        raise
    finish_import(home)


def finish_import(home: Path) -> None:
    """Move the parts of a library that is ready into place; nothing to move is fine. Needs the write lock."""
    ready = home / _READY
    if not ready.is_dir():
        return
    for part in sorted(ready.iterdir()):
        _remove(home / part.name)
        part.rename(home / part.name)
    ready.rmdir()


def finish_cut_off_import(home: Path) -> None:
    """Finish an import that was killed after its commit: to be called before the library in `home` is opened.

    Raises:
        LibraryBusy: another process is writing to the library.
    """
    if (home / _READY).is_dir():
        with write_lock(home):
            finish_import(home)


def refuse_unless_empty(home: Path) -> None:
    """Make sure that an import takes the place of nothing in `home`.

    Raises:
        ArchiveError: there are documents, conversations, kept files, feedback or kept questions.
        LibraryBusy: another program has the library open, and would go on with the databases of before.
    """
    held = [f"{len(kept_files(home))} files"] if kept_files(home) else []
    if (path := home / "catalogue.sqlite").exists():
        catalogue = Catalogue(path)
        documents = sum(catalogue.kinds().values()) + len(catalogue.pending())
        catalogue.close()
        held += [f"{documents} documents"] if documents else []
        _refuse_if_open(path)
    if (path := home / "conversations.sqlite").exists():
        conversations = Conversations(path)
        count = len(conversations.list())
        conversations.close()
        held += [f"{count} conversations"] if count else []
    held += [f"{name!r}" for name in (FEEDBACK, QUESTIONS) if _has_bytes(home / name)]
    if held:
        raise ArchiveError(
            f"the library in {str(home)!r} is not empty: it has {' and '.join(held)}; "
            "set RAG_HOME to a new folder and import there, or move what is in this one away"
        )


def _has_bytes(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _refuse_if_open(path: Path) -> None:
    """SQLite itself tells: a database with a write-ahead log goes back to having none only for its one user."""
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None)
    try:
        mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
    except sqlite3.OperationalError:
        mode = "wal"
    finally:
        connection.close()
    if mode != "delete":
        raise LibraryBusy(f"another program has the library in {str(path.parent)!r} open; end it and import again")


def _remove(path: Path) -> None:
    """Delete what is in the way: parts of an empty library, with what SQLite keeps beside a file."""
    if path.is_dir():
        shutil.rmtree(path)
        return
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
