"""The commands that judge candidates and let them search: gate, reembed, swap, rollback, list."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Event
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rag.build import open_library
from rag.config import load_settings
from rag.errors import ConfigError
from rag.improving import Improver
from rag.progress import progress_bar, stoppable
from rag.records import Progress
from rag.terminal import counted, err, out, print_json
from rag.text import one_line
from rag.tune.process import Work, at_work
from rag.tune.records import Example, Outcome, Step, Verdict

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A candidate, as `rag tune list` shows them.")]

_COLOURS: dict[Outcome, str] = {"PASS": "green", "FAIL": "red", "INCONCLUSIVE": "yellow"}
_SHOWN = 80  # characters of a question


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("gate")(gate)
    app.command("reembed")(reembed)
    app.command("swap")(swap)
    app.command("rollback")(roll_back)
    app.command("list")(list_candidates)


def gate(name: Name, as_json: AsJson = False) -> None:
    """Ask questions of what searches now and of a candidate, and say whether it may search: PASS, or why not.

    Exit status 0 is PASS, 1 FAIL or INCONCLUSIVE. What searches now stays as it is.
    """
    with _followed(name, "judge", "questions") as (improver, on_step, stop):
        verdict = improver.judge(name, on_step, stop)
    if verdict is None:
        err.print("[yellow]stopped, and nothing was decided; the same command begins anew[/yellow]")
        raise typer.Exit(1)
    if as_json:
        print_json(dataclasses.asdict(verdict))
    else:
        _print_verdict(verdict)
    if verdict.outcome != "PASS":
        raise typer.Exit(1)


def reembed(name: Name, as_json: AsJson = False) -> None:
    """Embed the library with a candidate of tier 2 beside what searches now, which stays. The same command goes on."""
    with _followed(name, "embed", "chunks") as (improver, on_step, stop):
        report = improver.embed_beside(name, lambda progress: on_step(_embedding(progress)), stop)
    if as_json:
        print_json(dataclasses.asdict(report))
    elif report.ready:
        out.print(
            f"{counted(report.chunks, 'chunk')} are there as {escape(name)} embeds them, {report.embedded} of them "
            f"since now, in {report.seconds:.1f} s. To have it judged: rag tune gate {escape(name)}"
        )
    else:
        err.print(f"[yellow]stopped after {report.embedded} more; the same command goes on[/yellow]")
    if not report.ready:
        raise typer.Exit(1)


def swap(
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Whatever the gate says, or if it was not asked.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a candidate search from now on. It takes a PASS of the gate on the library as it is now, or --force."""
    with _working(name) as (improver, stop), progress_bar(err) as show:
        swapped = improver.swap(name, force=force, on_progress=show, stop=stop)
    if swapped is None:
        err.print("[yellow]stopped: the library is searched as before; the same command goes on[/yellow]")
        raise typer.Exit(1)
    if as_json:
        print_json({"live": swapped.name})
    else:
        out.print(f"{escape(swapped.name)} searches the library now. To go back: rag tune rollback")


def roll_back(as_json: AsJson = False) -> None:
    """Let search again what did so before the last swap."""
    with closing(open_library(load_settings())) as library, stoppable(err) as stop, progress_bar(err) as show:
        live = library.improver.roll_back(show, stop)
    if as_json:
        print_json({"live": live.name if live else ""})
    else:
        out.print(f"{escape(live.name) if live else 'The model as it came'} searches the library now.")


def list_candidates(as_json: AsJson = False) -> None:
    """The candidates, newest first: what the gate says of each, and which searches now."""
    with closing(open_library(load_settings())) as library:
        improver, live = library.improver, library.improver.live()
        proposal = improver.watch()
        rows = [(each, improver.verdict(each.name), improver.why_not(each.name)) for each in improver.candidates()]
    if as_json:
        found = [
            {**dataclasses.asdict(each), "verdict": verdict and dataclasses.asdict(verdict), "why_not": why_not}
            for each, verdict, why_not in rows
        ]
        print_json({"live": live.name if live else "", "proposal": proposal, "candidates": found})
        return
    table = Table("candidate", "pairs", "gate", "gain", "", box=None, header_style="bold")
    for each, verdict, why_not in rows:
        searches = live is not None and live.name == each.name
        outcome = _outcome(verdict.outcome) if verdict else ""
        gain = f"{100 * verdict.gain:+.1f}" if verdict else ""
        note = "searches now" if searches else "may be swapped in" if not why_not else escape(why_not)
        table.add_row(each.name, str(each.pairs), outcome, gain, note)
    out.print(table if rows else "There is no candidate yet. To train one: rag tune train")
    if proposal:
        err.print(f"[yellow]{escape(proposal)}[/yellow]")


# --- helpers ---------------------------------------------------------------------------------------------------------


@contextmanager
def _working(name: str) -> Iterator[tuple[Improver, Event]]:
    """The library's improver, and what Ctrl-C sets. A name that no candidate has is a wrong call."""
    with closing(open_library(load_settings())) as library, stoppable(err) as stop:
        names = [each.name for each in library.improver.candidates()]
        if name not in names:
            known = f"there is {', '.join(names)}" if names else "there is none yet: rag tune train"
            raise ConfigError(f"there is no candidate {name!r}; {known}")
        yield library.improver, stop


@contextmanager
def _followed(name: str, work: Work, unit: str) -> Iterator[tuple[Improver, Callable[[Step], None], Event]]:
    """The library's improver, what takes steps, and what stops: steps are written down for whoever follows the run."""
    started = time.monotonic()
    with (
        _working(name) as (improver, interrupted),
        progress_bar(err, unit) as show,
        at_work(improver.runs.folder(name), work) as (write, stop),
    ):

        def on_step(step: Step) -> None:
            write(step)
            show(Progress(step.done, step.total, step.text, step.done, time.monotonic() - started, None))
            if interrupted.is_set():
                stop.set()

        yield improver, on_step, stop


def _embedding(progress: Progress) -> Step:
    return Step("embed", progress.done, progress.total, time.time(), text=progress.path)


def _print_verdict(verdict: Verdict) -> None:
    """The outcome, each reason, and the questions that changed most."""
    out.print(f"{_outcome(verdict.outcome)}  {escape(verdict.candidate)}")
    for reason in verdict.reasons:
        out.print(f"  {escape(reason)}")
    for title, examples in (("better", verdict.better), ("worse", verdict.worse)):
        for example in examples:
            out.print(f"[dim]{title}[/dim]  {_place(example)}  {escape(one_line(example.question, _SHOWN))}")
    if verdict.outcome == "PASS":
        out.print(f"To have it search: rag tune swap {escape(verdict.candidate)}")
    else:
        out.print("What searches now stays.")


def _outcome(outcome: Outcome) -> str:
    return f"[{_COLOURS[outcome]}]{outcome}[/{_COLOURS[outcome]}]"


def _place(example: Example) -> str:
    before, after = (str(at) if at else "not found" for at in (example.before, example.after))
    return f"{before} → {after}"
