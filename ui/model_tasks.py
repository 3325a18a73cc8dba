"""Getting models and changing the embedder in the background: one task at a time, whatever the browser does.

It is a queue of its own, apart from that of files: files can be added while a model comes or the library is embedded.
"""

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Queue
from typing import Literal, Protocol

from rag.errors import RagError
from rag.models.installed import Installed
from rag.models.pull import Transfer, pull
from rag.records import Progress, SwitchReport
from ui.pulse import Pulse

Work = Literal["pull", "use", "back"]
State = Literal["waiting", "running", "done", "stopped", "failed"]
_KEPT = 4  # finished tasks that stay listed

Report = Callable[[Progress], None]


class Switching(Protocol):
    """The calls of the library that a task makes."""

    def switch_embedder(
        self, reference: str, on_progress: Report | None = None, stop: threading.Event | None = None
    ) -> SwitchReport: ...

    def roll_back(self, on_progress: Report | None = None, stop: threading.Event | None = None) -> SwitchReport: ...


@dataclass(frozen=True, slots=True)
class Task:
    """One request, as the screen shows it. `model` is "" for going back."""

    number: int
    work: Work
    model: str
    state: State = "waiting"
    told: Transfer | Progress | None = None  # how far it has come
    report: SwitchReport | None = None
    error: str | None = None
    stop: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)

    @property
    def live(self) -> bool:
        return self.state in ("waiting", "running")


class ModelTasks:
    """The queue for one library. Every change touches the pulse."""

    def __init__(self, library: Switching, home: Path, pulse: Pulse) -> None:
        self._library = library
        self._home = home
        self._pulse = pulse
        self._tasks: dict[int, Task] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._queue: Queue[int | None] = Queue()
        self._worker = threading.Thread(target=self._work, name="models", daemon=True)
        self._worker.start()

    def all(self) -> list[Task]:
        """Newest first."""
        with self._lock:
            return sorted(self._tasks.values(), key=lambda task: -task.number)

    def pull(self, model: str) -> None:
        """Queue a model of the catalogue to be got."""
        self._put("pull", model)

    def use(self, embedder: str) -> None:
        """Queue the library to be embedded with another embedder."""
        self._put("use", embedder)

    def roll_back(self) -> None:
        """Queue going back to the embedder before."""
        self._put("back", "")

    def stop(self, number: int) -> None:
        """Stop a task; what it has done so far is kept, and the same request goes on."""
        with self._lock:
            task = self._tasks.get(number)
        if task is not None:
            task.stop.set()
            self._pulse.touch()

    def dismiss(self, number: int) -> None:
        """Take a finished task off the list."""
        with self._lock:
            if number in self._tasks and not self._tasks[number].live:
                del self._tasks[number]
        self._pulse.touch()

    def close(self, seconds: float) -> None:
        """Stop everything and wait that long for it."""
        for task in self.all():
            task.stop.set()
        self._queue.put(None)
        self._worker.join(seconds)

    def _put(self, work: Work, model: str) -> None:
        """Queue a task, unless the same is waiting or running."""
        if not any(task.live and (task.work, task.model) == (work, model) for task in self.all()):
            task = Task(next(self._numbers), work, model)
            self._set(task)
            self._queue.put(task.number)

    def _set(self, task: Task) -> None:
        with self._lock:
            self._tasks[task.number] = task
            finished = [number for number, other in self._tasks.items() if not other.live]
            for number in finished[:-_KEPT]:
                del self._tasks[number]
        self._pulse.touch()

    def _work(self) -> None:
        while (number := self._queue.get()) is not None:
            with self._pulse:
                self._run(self._tasks[number])

    def _run(self, task: Task) -> None:
        if task.stop.is_set():
            self._set(replace(task, state="stopped"))
            return
        task = replace(task, state="running")
        self._set(task)

        def show(told: Transfer | Progress) -> None:
            nonlocal task
            task = replace(task, told=told)
            self._set(task)

        try:
            done = self._carry_out(task, show)
            report = done if isinstance(done, SwitchReport) else None
            is_done = report.live if report else done is not None
            self._set(replace(task, report=report, state="done" if is_done else "stopped"))
        except RagError as error:
            self._set(replace(task, state="failed", error=str(error)))
        except Exception as error:  # noqa: BLE001  a defect in one task must not end the queue, and must be seen
            self._set(replace(task, state="failed", error=f"unexpected {type(error).__name__}: {error}"))

    def _carry_out(self, task: Task, show: Callable[[Transfer | Progress], None]) -> Installed | SwitchReport | None:
        if task.work == "pull":
            return pull(task.model, self._home, on_progress=show, stop=task.stop)
        if task.work == "use":
            return self._library.switch_embedder(task.model, show, task.stop)
        return self._library.roll_back(show, task.stop)
