"""The panel that tells the truth about this machine: what each model runs on, what it takes and how fast it is."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rag.errors import RagError
from rag.models.findings import Check
from ui.controls import button, problem
from ui.html import Html, join, tag

_WHAT = (
    "Loads the models, lets each work for about a second, and says where it runs, what it takes of memory, how fast it "
    "is, and what to change."
)
_LOOK_AGAIN = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class Examined:
    """How far an examination has come. `error` is why it ended before its time."""

    checks: tuple[Check, ...] = ()
    running: bool = False
    error: str = ""


class Examination:
    """Examines in a thread of its own, once at a time. `examine` gives one check after another."""

    def __init__(self, examine: Callable[[], Iterator[Check]]) -> None:
        self._examine = examine
        self._lock = threading.Lock()
        self._now = Examined()

    @property
    def now(self) -> Examined:
        return self._now

    def follow(self) -> Iterator[Examined]:
        """Begin, unless it is going on already, and tell how it goes until it is done."""
        self._begin()
        shown = None
        while shown is None or shown.running:
            if self._now is not shown:
                shown = self._now
                yield shown
            else:
                time.sleep(_LOOK_AGAIN)

    def _begin(self) -> None:
        with self._lock:
            if self._now.running:
                return
            self._now = Examined(running=True)
        threading.Thread(target=self._run, name="examining", daemon=True).start()

    def _run(self) -> None:
        checks: tuple[Check, ...] = ()
        error = ""
        try:
            for check in self._examine():
                checks = (*checks, check)
                self._now = Examined(checks, running=True)
        except RagError as exc:
            error = str(exc)
        except Exception as exc:  # noqa: BLE001  the page must say it: nobody reads the terminal
            error = f"unexpected {type(exc).__name__}: {exc}"
        self._now = Examined(checks, running=False, error=error)


def render_doctor(examined: Examined) -> Html:
    """The panel: a button, and below it what was found so far."""
    checks = (join([tag("dt", _titled(check.name)), tag("dd", *_told(check))]) for check in examined.checks)
    return tag(
        "section",
        tag("h2", "How it runs here"),
        tag("p", _WHAT, class_="aside"),
        tag("p", "Examining …", class_="loading", role="status") if examined.running else button("Examine", "examine"),
        tag("dl", *checks) if examined.checks else None,
        problem(examined.error) if examined.error else None,
        tag("p", _summary(examined), class_="small-print", role="status") if _is_done(examined) else None,
        class_="models doctor",
    )


def _told(check: Check) -> Iterator[Html]:
    yield tag("span", check.finding)
    if check.remedy:
        yield problem(check.remedy)


def _titled(name: str) -> str:
    """A name as a heading, but for those of programs."""
    return name if "." in name else name.capitalize()


def _is_done(examined: Examined) -> bool:
    return bool(examined.checks) and not examined.running and not examined.error


def _summary(examined: Examined) -> str:
    faults = sum(not check.ok for check in examined.checks)
    return "All is well." if not faults else "One thing to change." if faults == 1 else f"{faults} things to change."
