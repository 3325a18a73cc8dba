"""The kept questions, and their being asked in the background: once at a time, whatever the browser does."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from rag.errors import RagError
from rag.evaluating import FILE as EVALUATIONS
from rag.evaluating import Evaluation, Searching, evaluate_own, history
from rag.tune.questions import FILE as QUESTIONS
from rag.tune.questions import Questions, question
from rag.tune.records import Question
from ui.pulse import Pulse


@dataclass(frozen=True, slots=True)
class Asking:
    """How far it has come. `began` is on the monotonic clock; `error` is why it ended before its time."""

    done: int = 0
    total: int = 0
    began: float = 0.0
    running: bool = False
    error: str = ""
    stop: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)

    @property
    def seconds_left(self) -> float | None:
        """None until there is a rate to judge by."""
        return (time.monotonic() - self.began) / self.done * (self.total - self.done) if self.done else None


class OwnQuestions:
    """The questions of one library and what came of asking them. Every change touches the pulse."""

    def __init__(self, library: Searching, pulse: Pulse) -> None:
        self._library = library
        self._pulse = pulse
        self._lock = threading.Lock()
        self._read: tuple[tuple[int, int], list[Evaluation]] = (0, 0), []
        self.now = Asking()

    # --- keeping them ---

    def all(self) -> list[Question]:
        """Newest first."""
        return sorted(self._questions.all(), key=lambda each: (-each.time, each.text))

    def keep(self, text: str, right: Iterable[str]) -> Question:
        """Keep a question whose right documents are these; they are added to those it has."""
        kept = question(text, right)
        self._questions.add([kept])
        self._pulse.touch()
        return kept

    def change(self, name: str, text: str) -> None:
        """Put a question in other words."""
        before = self._questions.find(name)
        after = replace(question(text, before.right), right=before.right, pinned=before.pinned, source=before.source)
        self._questions.remove([before.id])
        self._questions.add([after])
        self._pulse.touch()

    def leave_out(self, name: str, document: str) -> None:
        """A document is right for a question no longer; the last one stays."""
        before = self._questions.find(name)
        right = {each: grade for each, grade in before.right.items() if each != document}
        if right and right != before.right:
            self._questions.remove([before.id])
            self._questions.add([replace(before, right=right)])
            self._pulse.touch()

    def pin(self, name: str, pinned: bool) -> None:
        """Have a question that must never be lost, or no longer."""
        self._questions.pin(name, pinned)
        self._pulse.touch()

    def remove(self, name: str) -> None:
        """Keep a question no longer."""
        self._questions.remove([name])
        self._pulse.touch()

    # --- asking them ---

    def ask(self) -> None:
        """Ask them all in the background, unless that is going on."""
        with self._lock:
            if self.now.running:
                return
            self.now = Asking(began=time.monotonic(), running=True)
        threading.Thread(target=self._ask, name="evaluating", daemon=True).start()

    def stop(self) -> None:
        """Stop after the question in work; nothing is kept of it."""
        self.now.stop.set()
        self._pulse.touch()

    def history(self) -> list[Evaluation]:
        """What came of it so far, oldest first; the file is only read again when it has changed."""
        path: Path = self._library.settings.home / EVALUATIONS
        try:
            found = path.stat()
        except OSError:
            return []
        state = (found.st_mtime_ns, found.st_size)
        if self._read[0] != state:
            self._read = state, history(self._library.settings.home)
        return self._read[1]

    def _ask(self) -> None:
        error = ""
        with self._pulse:
            try:
                evaluate_own(self._library, self._tell, self.now.stop)
            except RagError as exc:
                error = str(exc)
            except Exception as exc:  # noqa: BLE001  the page must say it: nobody reads the terminal
                error = f"unexpected {type(exc).__name__}: {exc}"
            self.now = Asking(error=error)

    def _tell(self, done: int, total: int) -> None:
        self.now = replace(self.now, done=done, total=total)
        self._pulse.touch()

    @property
    def _questions(self) -> Questions:
        return Questions(self._library.settings.home / QUESTIONS)
