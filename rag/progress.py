"""Long work on a terminal: a bar with rate and time left on standard error, and Ctrl-C for an orderly end."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bar

from rag.records import Progress
from rag.text import duration, visible


@contextmanager
def progress_bar(console: Console, unit: str = "chunks") -> Iterator[Callable[[Progress], None]]:
    """A function to give to `Library.add` as `on_progress`; the bar goes when the work ends."""
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}  {task.fields[left]}  {task.description}"),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, rate="", left="")

        def show(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.done,
                total=progress.total,
                description=_short(progress.path),
                rate=f"{progress.chunks / progress.seconds:.0f} {unit}/s" if progress.seconds else "",
                left="" if progress.seconds_left is None else f"{duration(progress.seconds_left)} left",
            )

        yield show


@contextmanager
def stoppable(console: Console) -> Iterator[Event]:
    """The first Ctrl-C asks for an orderly end, the second one kills."""
    stop = Event()

    def first(*_: object) -> None:
        console.print("[yellow]stopping after what is in work; press Ctrl-C again to end at once[/yellow]")
        signal.signal(signal.SIGINT, before)
        stop.set()

    before = signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _short(path: str, width: int = 40) -> str:
    path = visible(path)
    return escape(path if len(path) <= width else "…" + path[-(width - 1) :])
