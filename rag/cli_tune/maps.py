"""The command that draws the library: what lies together, and what moved when the retriever learnt."""

import dataclasses
from contextlib import closing
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rag.build import open_library
from rag.config import load_settings
from rag.mapping import POINTS, MadeMap
from rag.terminal import err, out, print_json
from rag.tune.process import at_work
from rag.tune.records import Step
from rag.tune.runs import MAPS


def register(app: typer.Typer) -> None:
    """Add `rag tune map`."""
    app.command("map")(draw_map)


def draw_map(
    a: Annotated[str, typer.Argument(help="A version of the index or a candidate; none: the live version.")] = "",
    b: Annotated[str, typer.Argument(help="What became of it; none: the candidate that searches now, if any.")] = "",
    points: Annotated[
        int, typer.Option(min=20, max=20_000, help="Passages on the map; of more, so many evenly.")
    ] = POINTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Draw the library as a page to be opened in a browser: passages as dots, queries that moved as arrows.

    With one name: from the live version to that one. The figures beside it are alarms; only the gate judges.
    """
    settings = load_settings()
    with (
        closing(open_library(settings)) as library,
        at_work(settings.home / "tuning" / MAPS, "map") as (on_step, stop),
    ):

        def show(step: Step) -> None:
            on_step(step)
            err.print(f"{step.done + 1} of {step.total}: {step.text}")

        made = library.improver.make_map(a, b, points=points, on_step=show, stop=stop)
    if made is None:
        err.print("[yellow]stopped; nothing was drawn[/yellow]")
        raise typer.Exit(1)
    if as_json:
        print_json(dataclasses.asdict(made))
    else:
        _print(made)


def _print(made: MadeMap) -> None:
    table = Table("", *map(escape, made.names), box=None, header_style="bold")
    for name in ("alignment", "uniformity", "rank", "hubness"):
        values = [getattr(figures, name) for figures in made.figures]
        table.add_row(name, *("" if value is None else f"{value:.2f}" for value in values))
    out.print(table)
    for words in made.alarms:
        err.print(f"[yellow]to be looked at[/yellow]  {escape(words)}")
    of = f" of {made.total}" if made.shown < made.total else ""
    out.print(f"{made.shown}{of} passages, {made.queries} queries: {made.path}", soft_wrap=True)
