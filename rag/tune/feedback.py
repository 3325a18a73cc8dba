"""What was shown and what was chosen: `feedback.jsonl` of a library, which never leaves the machine by itself.

One JSON object per line, `"kind": "shown"` or `"choice"` and the fields of `rag.tune.records`; lines are only ever
appended. Several processes and threads may append at once. A line that was torn by a crash is passed over and counted.
"""

import errno
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from io import FileIO
from pathlib import Path
from threading import RLock

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from rag.errors import DiskFull, LibraryBusy, StoreError, TuneError
from rag.tune.forgetting import Record, without_documents, without_lists
from rag.tune.records import Act, Choice, Shown, ShownChunk
from rag.tune.standing import THUMBS, Marks, Standing

log = logging.getLogger(__name__)

FILE, _LOCK = "feedback.jsonl", "feedback.lock"
_WAIT_SECONDS = 10.0  # for another process; forgetting in a file of 100 MB takes it about as long
_PRIVATE = 0o600  # for its owner alone, where the platform knows that
_GLIMPSES = 64  # lists in memory that nobody has done anything with yet
_SHOWN, _CHOICE = TypeAdapter(Shown), TypeAdapter(Choice)


@dataclass(frozen=True, slots=True)
class Feedback:
    """A log as it was read: the lists by id, and the choices that stand (`rag.tune.standing`), oldest first.

    `unreadable` counts lines that could not be read: torn by a crash, or of a newer program.
    """

    shown: Mapping[str, Shown] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    unreadable: int = 0

    def chosen(self, choice: Choice) -> ShownChunk | None:
        """The chunk that a choice is about, None for one of a whole answer, or of a list that is not there."""
        shown = self.shown.get(choice.shown)
        return next((each for each in shown.chunks if each.chunk == choice.chunk), None) if shown else None


class FeedbackLog:
    """The log at `path`. With `enabled` False nothing new is written; what is there can be read and forgotten.

    Any thread may use it, and other processes the same file.
    """

    def __init__(self, path: Path, *, enabled: bool = True) -> None:
        self.path = path
        self.enabled = enabled
        self._mutex = RLock()
        self._lock = FileLock(path.with_name(_LOCK), timeout=_WAIT_SECONDS, thread_local=False)  # behind the mutex
        self._glimpsed: dict[str, Shown] = {}
        self._index = _Index()

    # --- writing ---

    def show(
        self, query: str, space: str, retriever: str, chunks: Sequence[ShownChunk], *, settled: bool = True
    ) -> str:
        """Log a list that somebody is shown; its id, "" where nothing is logged.

        That there is no room, or no right, to write must not break a search: it is a warning in the program's log.

        Args:
            query: the words that were looked for; without any nothing is logged.
            space: fingerprint of the embedder.
            retriever: name of the tuned retriever that is live, "" for none.
            chunks: what is shown, best first.
            settled: False for a search that is still being typed: it is logged once something is done with it.
        """
        if not (self.enabled and query.strip() and chunks):
            return ""
        shown = Shown(uuid.uuid4().hex, time.time(), query, space, retriever, tuple(chunks))
        if settled:
            return shown.id if self._append_quietly([shown]) else ""
        with self._mutex:
            self._glimpsed[shown.id] = shown
            while len(self._glimpsed) > _GLIMPSES:
                del self._glimpsed[next(iter(self._glimpsed))]
        return shown.id

    def cite(self, shown: str, chunks: Iterable[str]) -> None:
        """Log which chunks of a list an answer cites. They count as chosen once the answer is kept; never raises."""
        now = time.time()
        if self.enabled and shown:
            self._append_quietly([Choice(shown, now, "cited", chunk) for chunk in dict.fromkeys(chunks)])

    def choose(self, shown: str, act: Act, chunk: str = "", *, taken_back: bool = False) -> None:
        """Log what was done with a list or one of its chunks.

        Thumbs are for answers as a whole (`chunk` ""), a copy for either, everything else for a chunk.

        Raises:
            TuneError: feedback is switched off, there is no such list, or the act does not fit it.
            StoreError: it cannot be written; DiskFull and LibraryBusy are kinds of it.
        """
        if not self.enabled:
            raise TuneError("feedback is switched off; set feedback = true (RAG_FEEDBACK) to have it kept")
        if (act in THUMBS and chunk) or (act not in (*THUMBS, "copy") and not chunk):
            raise TuneError(f"{act!r} is said of {'an answer as a whole' if chunk else 'one of its sources'}")
        with self._mutex:
            glimpsed = self._glimpsed.get(shown)
            found = glimpsed or self._find(shown)
            if found is None:
                raise TuneError("nothing is known of that list any more; search again and mark what is found then")
            if chunk and chunk not in {each.chunk for each in found.chunks}:
                raise TuneError(f"the passage {chunk!r} was not in that list")
            choice = Choice(shown, time.time(), act, chunk, taken_back)
            self._append([glimpsed, choice] if glimpsed else [choice])
            self._glimpsed.pop(shown, None)

    # --- reading ---

    def read(self) -> Feedback:
        """All of it; nothing where there is no file yet.

        Raises:
            StoreError: it cannot be read.
        """
        shown: dict[str, Shown] = {}
        standing, unreadable = Standing(), 0
        for record in map(as_record, self._all_lines()):
            if isinstance(record, Shown):
                shown[record.id] = record
                standing.saw(record.id, record.query)
            elif isinstance(record, Choice):
                standing.add(record)
            else:
                unreadable += 1
        return Feedback(shown, tuple(standing.choices()), unreadable)

    def records(self) -> list[Record]:
        """Every line that can be read, as it was written, oldest first; raises as `read` does."""
        return [record for record in map(as_record, self._all_lines()) if record is not None]

    def marks(self, shown: str) -> Marks:
        """What is marked in a list, or in others that were shown for the same words; nothing where it cannot be read.

        It reads only what was appended since it was last asked.
        """
        if not (self.enabled and shown):
            return Marks()
        with self._mutex:
            try:
                self._catch_up()
            except StoreError as exc:
                log.warning("marks are not shown: %s", exc)
                return Marks()
            glimpsed = self._glimpsed.get(shown)
            return self._index.standing.marks(shown, glimpsed.query if glimpsed else None)

    # --- forgetting ---

    def forget(self, documents: Collection[str]) -> int:
        """Rewrite the log, whole or not at all, without what names these documents (by id); how many lines changed.

        What stays is told by `rag.tune.forgetting.without_documents`. Torn lines go, too: who knows what they name.

        Raises:
            StoreError: it cannot be rewritten, and is as it was.
        """
        names = frozenset(documents)
        with self._mutex:
            self._glimpsed.clear()  # a list on somebody's screen must not bring them back
        return self._rewrite(names, lambda records: without_documents(records, names))

    def forget_lists(self, lists: Collection[str]) -> int:
        """Rewrite the log without these lists (by id) and all that was chosen in them; raises as `forget` does."""
        names = frozenset(lists)
        return self._rewrite(names, lambda records: without_lists(records, names))

    def erase(self) -> None:
        """Delete the log; raises StoreError where that cannot be done."""
        with self._locked():
            self.path.unlink(missing_ok=True)
            self._glimpsed.clear()

    def export(self, to: Path) -> int:
        """Copy all lines that can be read to a new file; how many they are.

        Raises:
            StoreError: there is a file already, or it cannot be written.
        """
        kept = [line for line in self._all_lines() if as_record(line) is not None]
        with _translated(to), to.open("xb") as file:
            file.writelines(line + b"\n" for line in kept)
        return len(kept)

    # --- the file ---

    def _append_quietly(self, records: Sequence[Record]) -> bool:
        try:
            self._append(records)
        except StoreError as exc:
            log.warning("what was shown is not logged: %s", exc)
            return False
        return True

    def _append(self, records: Sequence[Record]) -> None:
        """Write whole lines at the end, or nothing. What a crash left of a line there is ended first."""
        data = b"".join(map(as_line, records))
        with self._locked():
            self.path.touch(_PRIVATE)
            with self.path.open("a+b", buffering=0) as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(end - 1, 0))
                torn = file.read(1) not in (b"", b"\n")
                try:
                    _write(file, b"\n" + data if torn else data)
                except OSError:
                    with suppress(OSError):
                        file.truncate(end)
                    raise

    def _all_lines(self) -> list[bytes]:
        if not self.path.exists():
            return []
        with self._locked():
            return self._lines()

    def _lines(self) -> list[bytes]:
        """Every line that is not empty; the last one may be torn."""
        return [line for line in self.path.read_bytes().split(b"\n") if line] if self.path.exists() else []

    def _rewrite(self, names: frozenset[str], change: Callable[[Sequence[Record]], list[Record | None]]) -> int:
        with self._locked():
            before = self._lines()
            records = [as_record(line) for line in before]
            changed = iter(change([record for record in records if record is not None]))
            after = [
                _kept(line, record, next(changed)) if record is not None else _unread(line, names)
                for line, record in zip(before, records, strict=True)
            ]
            differ = sum(old != new for old, new in zip(before, after, strict=True))
            if differ:
                self._replace(b"".join(line + b"\n" for line in after if line))
            return differ

    def _replace(self, data: bytes) -> None:
        beside = self.path.with_suffix(".new")
        try:
            beside.touch(_PRIVATE)
            with beside.open("wb", buffering=0) as file:
                _write(file, data)
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)

    def _find(self, shown: str) -> Shown | None:
        with self._locked():
            self._catch_up()
            at = self._index.lists.get(shown)
            if at is None:
                return None
            with self.path.open("rb") as file:
                file.seek(at)
                record = as_record(file.readline().rstrip(b"\n"))
        return record if isinstance(record, Shown) and record.id == shown else None

    def _catch_up(self) -> None:
        """Bring the index up to the end of the file; begin anew where the file is another one."""
        with self._locked():
            if not self.path.exists():
                self._index = _Index()
                return
            with self.path.open("rb") as file:
                there = os.fstat(file.fileno())
                if self._index.number != there.st_ino or self._index.end > there.st_size:
                    self._index = _Index(there.st_ino)
                file.seek(self._index.end)
                for line in file:
                    if line.endswith(b"\n") or as_record(line) is not None:
                        self._index.take(line)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone with the file: no other thread, and no other process."""
        with self._mutex, _translated(self.path), self._lock:
            yield


class _Index:
    """Where the lists of a file stand in it, and which choices stand, up to byte `end` of the file `number`."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.end = 0
        self.lists: dict[str, int] = {}
        self.standing = Standing()

    def take(self, line: bytes) -> None:
        """Go on by one whole line."""
        record = as_record(line)
        if isinstance(record, Shown):
            self.lists[record.id] = self.end
            self.standing.saw(record.id, record.query)
        elif record is not None:
            self.standing.add(record)
        self.end += len(line)


def as_line(record: Record) -> bytes:
    """A record as it stands in the file, with its end of line."""
    kind = "shown" if isinstance(record, Shown) else "choice"
    return json.dumps({"kind": kind, **asdict(record)}, separators=(",", ":")).encode("ascii") + b"\n"


def as_record(line: bytes) -> Record | None:
    """The record of a line; None where it is torn or not known here."""
    try:
        values = json.loads(line)
        kind = values.pop("kind")
        if kind == "shown":
            return _SHOWN.validate_python(values)
        return _CHOICE.validate_python(values) if kind == "choice" else None
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None


def _kept(line: bytes, record: Record, changed: Record | None) -> bytes:
    """The line as it was where nothing changed, so that what a newer program wrote into it stays."""
    if changed is record:
        return line
    return b"" if changed is None else as_line(changed).rstrip()


def _unread(line: bytes, names: Iterable[str]) -> bytes:
    """A whole line that is not known here may stay where it names nothing that is to go."""
    try:
        json.loads(line)
    except ValueError:
        return b""
    return b"" if any(name.encode() in line for name in names) else line


def _write(file: FileIO, data: bytes) -> None:
    """All of it, to the disk."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except Timeout as exc:
        raise LibraryBusy(f"another process is writing {str(path)!r}; try again in a moment") from exc
    except OSError as exc:
        if exc.errno == errno.ENOSPC:
            raise DiskFull(f"cannot write {str(path)!r}: the disk is full; make room and try again") from exc
        raise StoreError(f"cannot use {str(path)!r}: {exc}") from exc
