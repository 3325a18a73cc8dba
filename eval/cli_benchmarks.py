"""`python -m eval benchmarks`: keeps results in the repository, and makes docs/benchmarks.md of all that are kept."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from eval.benchmarks import PAGE, write
from eval.results import keep


def register(app: typer.Typer, out: Console) -> None:
    """Add the command to `app`; it prints to `out`."""

    @app.command()
    def benchmarks(
        files: Annotated[
            list[Path] | None, typer.Argument(metavar="[RESULT.json...]", help="What --to wrote, to be kept.")
        ] = None,
    ) -> None:
        """Keep results in eval/results, without their single questions, and write docs/benchmarks.md of all there."""
        for file in files or ():
            for path in keep(file):
                out.print(f"kept {path.name}")
        write()
        out.print(f"wrote {PAGE.name}")
