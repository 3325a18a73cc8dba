"""`python -m eval latency` and `throughput`: what searching and taking in cost, against plain baselines."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from eval.cli_run import command
from eval.datasets import load
from eval.latency import latency as run_latency
from eval.latency import print_latency
from eval.printing import print_json, show
from eval.report import progress_bars
from eval.saved import circumstances, write_json
from eval.stores import STORES
from eval.synthetic import Made
from eval.throughput import print_throughput
from eval.throughput import throughput as run_throughput
from rag.config import load_settings
from rag.environment import prepare_environment

_TO = "Write the result into this JSON file."


def register(app: typer.Typer, out: Console, err: Console) -> None:
    """Add the commands to `app`; they print to `out`, and show progress on `err`."""

    @app.command()
    def latency(
        store: Annotated[str, typer.Option(help=STORES)] = "lance",
        counts: Annotated[list[int] | None, typer.Option("--n", min=100, help="Chunks to make up; may repeat.")] = None,
        dim: Annotated[int, typer.Option(min=2, help="Numbers in a vector.")] = 384,
        queries: Annotated[int, typer.Option(min=1, help="Questions of each kind.")] = 200,
        seed: Annotated[int, typer.Option(help="Of everything that is made up.")] = 0,
        to: Annotated[Path | None, typer.Option(help=_TO)] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document; a list for several.")] = False,
    ) -> None:
        """How fast a store answers and how much it misses, by made-up vectors that have neighbours as real ones."""
        prepare_environment()
        results = []
        for count in counts or [100_000]:
            with progress_bars(f"{store}, {count}", err) as progress:
                found = run_latency(store, Made(count, dim, seed), queries, load_settings(), progress("index"))
            results.append({**found, "command": command(), "circumstances": circumstances()})
            if to is not None:
                write_json(to, results)
            if not as_json:
                print_latency(found, out)
        if as_json:
            print_json(results if len(results) > 1 else results[0])

    @app.command()
    def throughput(
        folder: Annotated[Path, typer.Argument(metavar="DIR", help="A BEIR folder of texts.")],
        limit: Annotated[int | None, typer.Option(min=1, help="Take so many documents; all where not given.")] = None,
        to: Annotated[Path | None, typer.Option(help=_TO)] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """What taking documents in costs: time, memory, disk and start-up, against sentence-transformers alone."""
        prepare_environment()
        found = run_throughput(load(folder), limit, load_settings().chunk_tokens)
        result = {**found, "command": command(), "circumstances": circumstances()}
        if to is not None:
            write_json(to, result)
        show(result, as_json, out, print_throughput)
