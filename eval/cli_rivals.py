"""`python -m eval rivals DIR...`: other programs on the same folders, with the same weights, in the same run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eval.cli_run import command
from eval.datasets import load
from eval.printing import print_json
from eval.rivals.arena import CONTESTANTS, OURS, contest
from eval.saved import circumstances, write_json
from rag.config import load_settings
from rag.environment import prepare_environment
from rag.errors import ConfigError
from rag.models.starter import embedder_folder


def register(app: typer.Typer, out: Console, err: Console) -> None:
    """Add the command to `app`; it prints to `out`, and says on `err` what is going on."""

    @app.command()
    def rivals(
        folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="BEIR folders of texts.")],
        only: Annotated[list[str] | None, typer.Option(help=f"Of {'; '.join(CONTESTANTS)}.")] = None,
        to: Annotated[Path | None, typer.Option(help="Write the results into this JSON file.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Install each rival into its own environment, and give all the same folders: quality, time, memory."""
        prepare_environment()
        names = only or list(CONTESTANTS)
        for name in names:
            if name not in CONTESTANTS:
                raise ConfigError(f"no contestant is called {name!r}; known are {'; '.join(CONTESTANTS)}")
        environments = load_settings().home / "cache" / "eval" / "rivals"
        results = []
        for dataset in [load(folder) for folder in folders]:
            found = contest(dataset, names, embedder_folder(), environments, lambda line: err.print(escape(line)))
            results.append({**found, "command": command(), "circumstances": circumstances()})
            if to is not None:
                write_json(to, results)
            if not as_json:
                print_contest(results[-1], out)
        if as_json:
            print_json(results)


def print_contest(result: Mapping[str, Any], console: Console) -> None:
    """A row for each contestant, and in words where a rival is better."""
    title = f"{result['dataset']}: {result['queries']} questions, {result['documents']} documents"
    columns = ("nDCG@10", "ours less it", "p", "ingest s", "cpu s", "question ms", "cpu ms", "peak MiB")
    table = Table("", *columns, title=title)
    for name, row in result["contestants"].items():
        if "failed" in row:
            table.add_row(name, f"failed: {escape(row['failed'])}")
            continue
        against = result["compared"].get(name, {})
        table.add_row(
            name,
            f"{row['ndcg@10']:.3f}",
            f"{against['ndcg@10']:+.3f}" if against else "",
            f"{against['p']:.4f}" if against else "",
            f"{row['seconds']['ingest']:.1f}",
            f"{row['cpu_seconds']['ingest']:.1f}",
            f"{row['ms']['p50']:.1f}",
            f"{1000 * row['cpu_seconds']['ask'] / result['queries']:.1f}",
            f"{row['mib']['peak']:.0f}" if row["mib"]["peak"] else "?",
            style="bold" if name == OURS else "",
        )
    console.print(table)
    for line in result["better"]:
        console.print(line)
