"""Who works in a run's folder, how far is it, and did it end well? Training and judging in processes of their own.

A process that works registers itself in the folder with its number and its start, and appends a line to progress.jsonl
for every step. Whoever wants to know reads these files: a page that was loaded again, a server that was started again,
a terminal. A number that the system has given to another process meanwhile is told by its start.
"""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Event, Thread
from typing import Literal

import psutil

from rag.errors import RagError, TuneError
from rag.tune.records import Step

Work = Literal["train", "embed", "judge", "map", "synth", "lab"]
State = Literal["running", "done", "failed", "stopped", "killed"]
OnStep = Callable[[Step], None]

PROGRAM = (sys.executable, "-m", "rag.cli")
PROGRESS, STOP, OUTPUT = "progress.jsonl", "stop", "output.log"
_PROCESS = "process.json"
_ENDS: dict[str, State] = {"done": "done", "failed": "failed", "stopped": "stopped"}
_SAME_START = 2.0  # seconds by which the start of a process may be told differently after the clock was set
_LISTEN = 0.2  # seconds between two looks for the file that asks to stop
_NICE = 10  # of 0, as everybody else, to 19
_LAST_WORDS = 2000  # bytes of what a process printed at last


@dataclass(frozen=True, slots=True)
class Run:
    """The latest work in a folder. `steps` are its own only; `trouble` is why it failed, or what was printed last."""

    folder: Path
    work: Work
    state: State
    began: float  # Unix seconds
    steps: tuple[Step, ...] = ()
    trouble: str = ""
    stopping: bool = False  # it was asked to stop and has not yet

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def live(self) -> bool:
        return self.state == "running"

    @property
    def last(self) -> Step | None:
        return self.steps[-1] if self.steps else None


@dataclass(frozen=True, slots=True)
class _Worker:
    """What stands in process.json. `since` is where its steps begin in progress.jsonl, in bytes."""

    pid: int
    start: float
    work: Work
    since: int
    began: float


# --- those who watch -----------------------------------------------------------------------------------------------


def start(arguments: Sequence[str], folder: Path, work: Work, home: Path, *, program: Sequence[str] = PROGRAM) -> Run:
    """Begin `rag ARGUMENTS` in a process of its own that outlives this one, at a lower priority.

    What it prints goes to output.log in `folder`, which is made if it is not there. It has to register its steps there
    with `at_work`.

    Args:
        home: the library's folder, given to it as RAG_HOME.
        program: what runs the arguments; this program.

    Raises:
        TuneError: something works in that folder already, or the process cannot be started.
    """
    running = look(folder)
    if running is not None and running.live:
        raise TuneError(f"{folder.name!r} is being worked on; wait until that is done, or stop it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STOP).unlink(missing_ok=True)
        since = _size(folder)  # before it writes its first step
        with (folder / OUTPUT).open("wb") as output:
            child = subprocess.Popen(
                [*program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "RAG_HOME": str(home), "PYTHONUNBUFFERED": "1", "PYTHONPATH": _path()},
                start_new_session=True,  # Ctrl-C for the server is not for it
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
            )
        _register(folder, work, child.pid, since)
    except OSError as exc:
        raise TuneError(f"cannot begin to work in {str(folder)!r}: {exc}") from exc
    _step_back(child.pid)
    Thread(target=child.wait, name="reaping", daemon=True).start()  # else it would stay in the system's table
    return look(folder) or Run(folder, work, "running", time.time())


def look(folder: Path) -> Run | None:
    """How the latest work in `folder` stands; None where nothing was ever begun."""
    worker = _worker(folder)
    if worker is None:
        return None
    alive = _is_alive(worker)  # asked first: it may end between the two, and then its last step is there
    steps = read_steps(folder, worker.since)
    state = _ENDS.get(steps[-1].stage) if steps else None
    if state is None:
        state = "running" if alive else "killed"
    trouble = ""
    if state == "failed":
        trouble = steps[-1].text
    elif state == "killed":
        trouble = _last_words(folder)
    return Run(folder, worker.work, state, worker.began, steps, trouble, alive and (folder / STOP).exists())


def look_all(root: Path) -> list[Run]:
    """The latest work in every folder under `root`, newest first."""
    try:
        folders = [path for path in root.iterdir() if path.is_dir()]
    except FileNotFoundError:
        return []
    found = [run for run in map(look, folders) if run is not None]
    return sorted(found, key=lambda run: (-run.began, run.name))


def read_steps(folder: Path, since: int = 0) -> tuple[Step, ...]:
    """The steps of `folder` from byte `since` on. A line that is not whole (yet) is passed over."""
    return _steps(folder / PROGRESS, since, _size(folder))


@lru_cache(maxsize=64)
def _steps(path: Path, since: int, size: int) -> tuple[Step, ...]:
    """What stands there between two places; nothing but new lines is ever written, so it can be remembered."""
    try:
        with path.open("rb") as file:
            file.seek(since)
            lines = file.read(max(size - since, 0)).splitlines()
    except FileNotFoundError:
        return ()
    steps = []
    for line in lines:
        with suppress(ValueError, TypeError):
            steps.append(Step(**json.loads(line)))
    return tuple(steps)


def ask_to_stop(folder: Path) -> None:
    """Ask whoever works in `folder` for an orderly end."""
    (folder / STOP).touch()


def end(folder: Path) -> None:
    """End at once what works in `folder`, and all that it has begun, without asking."""
    worker = _worker(folder)
    if worker is None or worker.pid == os.getpid() or not _is_alive(worker):
        return
    with suppress(psutil.Error):
        process = psutil.Process(worker.pid)
        for each in [*process.children(recursive=True), process]:
            with suppress(psutil.Error):
                each.kill()


def forget(folder: Path) -> None:
    """Know nothing more of the latest work in `folder`, unless it goes on; what it made stays."""
    run = look(folder)
    if run is not None and not run.live:
        (folder / _PROCESS).unlink(missing_ok=True)


# --- those who work --------------------------------------------------------------------------------------------------


@contextmanager
def at_work(folder: Path, work: Work) -> Iterator[tuple[OnStep, Event]]:
    """For a command that works in `folder`: what to call for every step, and an event that asks it to stop.

    Registers this process. The last step is written here, where the work itself did not: "done", "stopped", or
    "failed" with the reason, which is raised again.

    Raises:
        TuneError: another process works there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = _worker(folder)
    if known is None or not _is_alive(known):
        (folder / STOP).unlink(missing_ok=True)
    elif known.pid not in (os.getpid(), os.getppid()):  # on Windows an environment's python.exe begins another one
        raise TuneError(
            f"{folder.name!r} is being worked on by process {known.pid}; wait until that is done, or end it"
        )
    if known is None or known.pid != os.getpid() or not _is_alive(known):
        _register(folder, work, os.getpid(), _size(folder))
    stop, over, ended = Event(), Event(), Event()

    def on_step(step: Step) -> None:
        append_step(folder, step)
        if step.stage in _ENDS:
            ended.set()

    def finish(stage: Literal["done", "failed", "stopped"], words: str = "") -> None:
        if not ended.is_set():
            on_step(Step(stage, 0, 0, time.time(), text=words))

    listening = Thread(target=_listen, args=(folder / STOP, stop, over), name="listening", daemon=True)
    listening.start()
    try:
        yield on_step, stop
        finish("stopped" if stop.is_set() else "done")
    except (KeyboardInterrupt, GeneratorExit):
        finish("stopped")
        raise
    except RagError as exc:
        finish("failed", str(exc))
        raise
    except Exception as exc:
        finish("failed", f"unexpected {type(exc).__name__}: {exc}")
        raise
    finally:
        over.set()
        (folder / STOP).unlink(missing_ok=True)


def append_step(folder: Path, step: Step) -> None:
    """Add a line to progress.jsonl; numbers that are none become null, so that every line is JSON."""
    clean = replace(step, loss=_finite(step.loss), score=_finite(step.score))
    with (folder / PROGRESS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(clean), ensure_ascii=False) + "\n")


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _listen(path: Path, stop: Event, over: Event) -> None:
    while not over.wait(_LISTEN):
        if path.exists():
            stop.set()
            return


# --- processes -------------------------------------------------------------------------------------------------------


def _register(folder: Path, work: Work, pid: int, since: int) -> None:
    try:
        begun = psutil.Process(pid).create_time()
    except psutil.Error:  # it has ended already
        begun = 0.0
    part = folder / f"{_PROCESS}.{pid}.part"
    part.write_text(json.dumps(asdict(_Worker(pid, begun, work, since, time.time()))), "utf-8")
    part.replace(folder / _PROCESS)


def _size(folder: Path) -> int:
    """Bytes of what was written about earlier work."""
    try:
        return (folder / PROGRESS).stat().st_size
    except FileNotFoundError:
        return 0


def _worker(folder: Path) -> _Worker | None:
    try:
        return _Worker(**json.loads((folder / _PROCESS).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _is_alive(worker: _Worker) -> bool:
    try:
        process = psutil.Process(worker.pid)
        same = abs(process.create_time() - worker.start) < _SAME_START
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _path() -> str:
    """Where Python finds this program, which may not be installed, from whatever folder this process was begun in."""
    before = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(Path(__file__).parents[2]), *([before] if before else [])])


def _step_back(pid: int) -> None:
    """Let everything else on this machine go first."""
    with suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        if sys.platform == "win32":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            process.nice(_NICE)


def _last_words(folder: Path) -> str:
    """The last line that was printed; "" where nothing was."""
    try:
        said = (folder / OUTPUT).read_bytes()[-_LAST_WORDS:].decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else ""
