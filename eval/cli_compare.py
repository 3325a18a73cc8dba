"""`python -m eval compare A.json B.json…`: which run is better, as far as anybody can tell."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eval.compare import NDCG, Run, compare
from eval.metrics import MEASURES
from eval.printing import show
from eval.saved import read_results


def register(app: typer.Typer, out: Console) -> None:
    """Add the command to `app`; it prints to `out`."""

    @app.command("compare")
    def compare_runs(
        files: Annotated[list[Path], typer.Argument(metavar="A.json B.json...", help="What `run` wrote or printed.")],
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
        retriever: Annotated[str | None, typer.Option(help="Compare this list alone, such as text or bm25.")] = None,
        measure: Annotated[str, typer.Option(help=f"What decides: {', '.join(MEASURES)}.")] = NDCG,
        seed: Annotated[int, typer.Option(min=0, help="Of the draws of the tests.")] = 0,
    ) -> None:
        """Compare each run with the first one of its data set: paired tests, corrected for how many there are."""
        runs = [run for file in files for run in read_runs(file)]
        show(compare(runs, retriever, measure, seed), as_json, out, print_comparison)


def read_runs(file: Path) -> list[Run]:
    """The runs in a file, named by it, and by their configuration where they have one.

    Raises:
        DatasetError: it is no file of `eval run`.
    """
    results = read_results(file)
    return [Run(f"{file.stem} {result.get('configuration', '')}".rstrip(), result) for result in results]


def print_comparison(result: Mapping[str, Any], console: Console) -> None:
    """What follows in words, the figures of every measure, and the questions that differ most."""
    for each in result["compared"]:
        console.print(escape(each["conclusion"]), highlight=False)
        console.print(_figures(each))
        row = each["measures"][result["measure"]]
        console.print(f"{result['measure']}: {row['better']} better, {row['worse']} worse, {row['same']} the same")
        for most in each["most"]:
            text = escape(most["text"] or most["question"])
            console.print(f"  {most['first']:.3f} → {most['other']:.3f}  {text}", highlight=False)


def _figures(compared: Mapping[str, Any]) -> Table:
    first, other = escape(compared["first"]), escape(compared["other"])
    table = Table("", first, other, "difference", "95 %", "p sign-flip (Holm)", "p t (Holm)", box=None)
    for name, row in compared["measures"].items():
        low, high = row["interval"]
        table.add_row(
            name,
            f"{row['first']:.3f}",
            f"{row['other']:.3f}",
            f"{row['difference']:+.3f}",
            f"{low:+.3f} to {high:+.3f}",
            f"{row['sign_flip']:.4f} ({row['sign_flip_holm']:.4f})",
            f"{row['t_test']:.4f} ({row['t_test_holm']:.4f})",
        )
    return table
