"""A SQLite file as the catalogue and the conversations use it: transactions, threads, versions, errors.

A Database has two connections, one that writes and one that reads, each behind its own lock. With the write-ahead
log a reader never waits for a writer, so the screen stays quick while files are being added; readers take turns,
since each of their questions is a matter of milliseconds.
"""

import json
import sqlite3
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import MappingProxyType

from rag.errors import DiskFull, StoreError

_WAIT_SECONDS = 30.0  # for another process that is writing to the same file


class Database:
    """The file at `path`, begun with the statements of `schema` when it is new.

    `version` is the schema's number (from 1); `migrations[n]` are the statements that make a file of version n one
    of version n + 1, and a file is brought up to date in one transaction. Raises StoreError for a file that a newer
    program wrote, or that is not ours.
    """

    def __init__(
        self,
        path: Path,
        schema: Sequence[str],
        version: int,
        migrations: Mapping[int, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self._path = path
        self._write_lock, self._read_lock = Lock(), Lock()
        with self._translated():
            self._writer = self._connect()
            self._begin(schema, version, migrations)
            self._reader = self._connect()
            self._reader.execute("PRAGMA query_only = ON")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to ask with, for this thread alone while it is in the block."""
        with self._read_lock, self._translated():
            yield self._reader

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one transaction: kept, on disk, when the block ends; undone when it raises."""
        with self._write_lock, self._translated(), _transaction(self._writer):
            yield self._writer

    def close(self) -> None:
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, _WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")  # a transaction that has ended survives a power cut
        return connection

    def _begin(self, schema: Sequence[str], version: int, migrations: Mapping[int, Sequence[str]]) -> None:
        _use_write_ahead_log(self._writer)
        with _transaction(self._writer):
            found = self._writer.execute("PRAGMA user_version").fetchone()[0]
            if found > version:
                raise StoreError(f"{str(self._path)!r} was written by a newer Commonplace; update the program")
            steps = [schema] if found == 0 else [migrations[number] for number in range(found, version)]
            for statement in (statement for step in steps for statement in step):
                self._writer.execute(statement)
            if found != version:
                self._writer.execute(f"PRAGMA user_version = {version:d}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            if getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise DiskFull(f"cannot write {str(self._path)!r}: the disk is full; make room and try again") from exc
            raise StoreError(f"cannot use {str(self._path)!r}: {exc}") from exc


def listed(values: Iterable[str]) -> str:
    """Values for `IN (SELECT value FROM json_each(?))`: as many as there are, in one parameter."""
    return json.dumps(list(values))


def folded(text: str) -> str:
    """`text` for searching: case and ways of writing the same character (NFKC) do not count."""
    return unicodedata.normalize("NFKC", text).casefold()


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """SQLite itself does not wait here while another process does the same to a new file."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:  # whatever it was, an interrupt too: nothing of the block is kept
        if connection.in_transaction:  # SQLite itself may have undone it, e.g. on a full disk
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
