"""Teaching the retriever from the screen: one piece of work at a time in a process of its own, and what came of it.

Nothing about it is kept here: pages and servers that come later read the folders of the runs. What is begun here goes
on by itself to the verdict: a candidate that was trained is judged, after being embedded beside where it needs that.
"""

import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from rag.config import Settings
from rag.errors import RagError, TuneError
from rag.tune.process import PROGRAM, Run, Work, ask_to_stop, end, forget, look, look_all, start
from rag.tune.records import Candidate, Tier, TuneStatus, Verdict
from rag.tune.runs import CANDIDATE, MAPS, Runs
from ui.pulse import Pulse

_LOOK_AGAIN = 0.3  # seconds
_FRESH = 5.0  # seconds for which what was counted is believed


class Improving(Protocol):
    """What is asked of the library's improver."""

    @property
    def runs(self) -> Runs: ...
    def status(self) -> TuneStatus: ...
    def begin(self, tier: Tier | Literal["auto"]) -> Path: ...
    def candidates(self) -> list[Candidate]: ...
    def verdict(self, name: str) -> Verdict | None: ...
    def swap(self, name: str, *, force: bool = False) -> Candidate | None: ...
    def roll_back(self) -> Candidate | None: ...
    def watch(self) -> str | None: ...


class Taught(Protocol):
    """As much of the library as is needed here."""

    @property
    def settings(self) -> Settings: ...
    @property
    def improver(self) -> Improving: ...


@dataclass(frozen=True, slots=True)
class Change:
    """Another retriever is being put to use, "" as `name` for the one before; `error` is why that did not go."""

    name: str
    running: bool = False
    error: str = ""


def is_unfinished(run: Run) -> bool:
    """Whether it is a training that has made no candidate."""
    return run.work == "train" and not (run.folder / CANDIDATE).exists()


class Tuning:
    """The work on one library's retriever. Every change touches the pulse. `program` is what does the work."""

    def __init__(self, library: Taught, pulse: Pulse) -> None:
        self._library = library
        self._pulse = pulse
        self.program: Sequence[str] = PROGRAM
        self._lock = threading.Lock()
        self._following = False
        self._goes_on: set[str] = set()  # runs that go on to their verdict by themselves
        self._counting = threading.Lock()
        self._standing: tuple[float, TuneStatus, str | None] | None = None
        self.change: Change | None = None
        self.trouble = ""  # why work could not go on by itself

    @property
    def improver(self) -> Improving:
        return self._library.improver

    def runs(self) -> list[Run]:
        """The latest work in every run's folder, on a map and in the lab, newest first."""
        beside = [run for run in map(look, (self._maps, self.lab)) if run is not None]
        return sorted([*look_all(self.improver.runs.root), *beside], key=lambda run: -run.began)

    @property
    def lab(self) -> Path:
        """The folder of the lab's checkpoints, as `rag lab digits` names it."""
        return self._library.settings.home / "lab" / "digits"

    @property
    def report(self) -> Path:
        """What the lab makes."""
        return self.lab / "report.html"

    def map_of(self, name: str) -> Path | None:
        """The newest map of what became of the library with a candidate, None where none was drawn.

        Raises:
            TuneError: that is not the name of a run.
        """
        name = self.improver.runs.folder(name).name
        found = list(self._maps.glob(f"*--{name}.html"))
        return max(found, key=lambda path: path.stat().st_mtime, default=None)

    @property
    def _maps(self) -> Path:
        """The folder of maps, as `rag tune map` names it; one is drawn at a time."""
        return self._library.settings.home / "tuning" / MAPS

    def standing(self) -> tuple[TuneStatus, str | None]:
        """The improver's status and its proposal. Counting takes a while in a large library, so it is not done twice
        in a few seconds, unless what searches has changed."""
        with self._counting:
            if self._standing is None or time.monotonic() - self._standing[0] > _FRESH:
                self._standing = time.monotonic(), self.improver.status(), self.improver.watch()
            return self._standing[1:]

    # --- what is begun -------------------------------------------------------------------------------------------

    # All of it raises TuneError where it cannot be begun.

    def train(self, tier: Tier | Literal["auto"]) -> None:
        """Begin a training, which is judged when it is done."""
        self._refuse_two()
        folder = self.improver.begin(tier)
        self._begin(folder, "train", "tune", "train", "--run", folder.name, "--tier", tier)

    def go_on(self, name: str) -> None:
        """Go on with a training that was stopped or killed."""
        self._begin(self.improver.runs.folder(name), "train", "tune", "train", "--run", name, "--resume")

    def judge(self, name: str) -> None:
        """Put the gate's questions to a candidate; one with an embedder of its own is embedded beside first."""
        folder = self.improver.runs.folder(name)
        if self._candidate(name).embedder:
            self._begin(folder, "embed", "tune", "reembed", name)
        else:
            self._begin(folder, "judge", "tune", "gate", name)

    def draw_map(self, name: str) -> None:
        """Draw the library as it lies before and after."""
        self._candidate(name)
        self._begin(self._maps, "map", "tune", "map", name)

    def run_lab(self) -> None:
        """Begin the lab's demonstration, or go on with it."""
        self._begin(self.lab, "lab", "lab", "digits", "--loss", "all")

    def stop(self, name: str) -> None:
        """Ask for an orderly end; whoever asks again gets one at once."""
        run = next((each for each in self.runs() if each.name == name and each.live), None)
        if run is not None:
            self._goes_on.discard(name)
            if run.stopping:
                end(run.folder)
            else:
                ask_to_stop(run.folder)
            self._pulse.touch()

    def delete(self, name: str) -> None:
        """Delete what an unfinished run left; of other work only the word that it did not end well."""
        run = next((each for each in self.runs() if each.name == name and not each.live), None)
        if run is not None and is_unfinished(run):
            shutil.rmtree(run.folder, ignore_errors=True)
        elif run is not None:
            forget(run.folder)
        self._pulse.touch()

    def _begin(self, folder: Path, work: Work, *arguments: str) -> None:
        self._refuse_two()
        start(arguments, folder, work, self._library.settings.home, program=self.program)
        self._goes_on.add(folder.name)
        self._pulse.touch()
        self.follow()

    def _refuse_two(self) -> None:
        """Two trainings would only slow each other down, and everything else."""
        busy = next((run for run in self.runs() if run.live), None)
        if busy is not None:
            raise TuneError(f"{busy.name!r} is at work; wait until it is done, or stop it")

    def _candidate(self, name: str) -> Candidate:
        return self.improver.runs.candidate(name)

    # --- what searches -------------------------------------------------------------------------------------------

    def swap(self, name: str, *, force: bool = False) -> None:
        """Put a candidate to use, in the background."""
        self._change(name, force)

    def roll_back(self) -> None:
        """Put the retriever before to use again, in the background."""
        self._change("", force=False)

    def _change(self, name: str, force: bool) -> None:
        with self._lock:
            if self.change is not None and self.change.running:
                return
            self.change = Change(name, running=True)
        threading.Thread(target=self._put_to_use, args=(name, force), name="swapping", daemon=True).start()

    def _put_to_use(self, name: str, force: bool) -> None:
        error = ""
        with self._pulse:
            try:
                if name:
                    self.improver.swap(name, force=force)
                else:
                    self.improver.roll_back()
            except RagError as exc:
                error = str(exc)
            except Exception as exc:  # noqa: BLE001  the page must say it: nobody reads the terminal
                error = f"unexpected {type(exc).__name__}: {exc}"
            self._standing = None
            self.change = Change(name, error=error)

    # --- following -----------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Watch what works, whoever began it, so that pages are told; returns at once."""
        with self._lock:
            live = [] if self._following else [run for run in self.runs() if run.live]
            if not live:
                return
            self._following = True
        threading.Thread(target=self._follow, args=(live[0],), name="following", daemon=True).start()

    def _follow(self, run: Run) -> None:
        seen = run
        try:
            with self._pulse:
                while run.live:
                    if run != seen:
                        seen = run
                        self._pulse.touch()
                    time.sleep(_LOOK_AGAIN)
                    run = look(run.folder) or replace(run, state="killed")  # its folder was deleted
        finally:
            self._following = False
        self._go_on(run)
        self.follow()  # what was begun elsewhere meanwhile

    def _go_on(self, run: Run) -> None:
        """The next thing on the way to a verdict."""
        if run.state != "done" or run.name not in self._goes_on:
            return
        try:
            if run.work == "train":
                self.judge(run.name)
            elif run.work == "embed":
                self._begin(run.folder, "judge", "tune", "gate", run.name)
        except RagError as exc:
            self.trouble = str(exc)
            self._pulse.touch()
