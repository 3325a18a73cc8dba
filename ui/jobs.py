"""Indexing that goes on whatever the browser does: a queue on the server, one job at a time, each with its state.

A page that is reloaded, closed or opened twice sees the same jobs, because it only reads them.
"""

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Queue
from typing import Literal, Protocol

from rag.errors import RagError
from rag.records import AddReport, Progress
from ui.pulse import Pulse

State = Literal["waiting", "running", "done", "stopped", "failed"]
Work = Literal["adopt", "add", "look"]
_KEPT = 8  # finished jobs that stay listed


class Indexer(Protocol):
    """The calls of the library that a job makes."""

    def add(
        self,
        paths: Sequence[Path | str],
        *,
        prune: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> AddReport: ...

    def adopt(
        self,
        files: Sequence[Path | str],
        *,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> AddReport: ...

    def look(
        self,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> int: ...


@dataclass(frozen=True, slots=True)
class Job:
    """One request to index files or to look at pictures, as the screen shows it."""

    number: int
    paths: tuple[str, ...]
    work: Work  # "adopt": copied into the library first, because the browser handed over a copy
    state: State = "waiting"
    progress: Progress | None = None
    report: AddReport | None = None
    looked: int | None = None  # pictures, in the end
    error: str | None = None
    stop: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)

    @property
    def live(self) -> bool:
        return self.state in ("waiting", "running")


class Jobs:
    """The queue. Every change touches the pulse.

    Looking at pictures may take hours and makes way for files: it is stopped when some are added and goes on after.
    """

    def __init__(self, library: Indexer, pulse: Pulse) -> None:
        self._library = library
        self._pulse = pulse
        self._jobs: dict[int, Job] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._queue: Queue[int | None] = Queue()
        self._made_way = False  # looking was stopped by us, not by the person
        self._worker = threading.Thread(target=self._work, name="indexing", daemon=True)
        self._worker.start()

    def all(self) -> list[Job]:
        """Newest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: -job.number)

    def adopt(self, files: Sequence[str]) -> Job:
        """Queue files that the browser handed over."""
        return self._put(Job(next(self._numbers), tuple(files), "adopt"))

    def add(self, paths: Sequence[str]) -> Job:
        """Queue files where they are, e.g. one that failed before."""
        return self._put(Job(next(self._numbers), tuple(paths), "add"))

    def look(self) -> Job:
        """Queue the pictures that the image embedder has yet to look at."""
        return self._put(Job(next(self._numbers), (), "look"))

    def looking(self) -> Progress | None:
        """How far the looking at pictures has come, None where none is going on."""
        running = (job.progress for job in self.all() if job.state == "running")
        return next((progress for progress in running if progress is not None and progress.stage == "look"), None)

    def stop(self, number: int) -> None:
        """Stop a job at the next file; what is indexed stays."""
        with self._lock:
            job = self._jobs.get(number)
        if job is not None:
            job.stop.set()
            self._pulse.touch()

    def dismiss(self, number: int) -> None:
        """Take a finished job off the list."""
        with self._lock:
            if number in self._jobs and not self._jobs[number].live:
                del self._jobs[number]
        self._pulse.touch()

    def close(self, seconds: float) -> None:
        """Stop everything at the next file and wait that long for it."""
        for job in self.all():
            job.stop.set()
        self._queue.put(None)
        self._worker.join(seconds)

    def _put(self, job: Job) -> Job:
        if job.work != "look":
            self._make_way()
        self._set(job)
        self._queue.put(job.number)
        return job

    def _make_way(self) -> None:
        for job in self.all():
            if job.work == "look" and job.live and not job.stop.is_set():
                self._made_way = True
                job.stop.set()

    def _set(self, job: Job) -> None:
        with self._lock:
            self._jobs[job.number] = job
            finished = [number for number, other in self._jobs.items() if not other.live]
            for number in finished[:-_KEPT]:
                del self._jobs[number]
        self._pulse.touch()

    def _work(self) -> None:
        while (number := self._queue.get()) is not None:
            with self._pulse:
                self._run(self._jobs[number])
            if self._made_way and self._queue.empty():
                self._made_way = False
                self.look()

    def _run(self, job: Job) -> None:
        if job.stop.is_set():
            self._set(replace(job, state="stopped"))
            return
        job = replace(job, state="running")
        self._set(job)

        def show(progress: Progress) -> None:
            nonlocal job
            job = replace(job, progress=progress)
            self._set(job)

        try:
            if job.work == "look":
                job = replace(job, looked=self._library.look(on_progress=show, stop=job.stop))
            else:
                call = self._library.adopt if job.work == "adopt" else self._library.add
                job = replace(job, report=call(job.paths, on_progress=show, stop=job.stop))
            self._set(replace(job, state="stopped" if job.stop.is_set() else "done"))
        except RagError as error:
            self._set(replace(job, state="failed", error=str(error)))
        except Exception as error:  # noqa: BLE001  a defect in one job must not end the queue, and must be seen
            self._set(replace(job, state="failed", error=f"unexpected {type(error).__name__}: {error}"))
