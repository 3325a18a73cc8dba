"""`python -m eval regression`: is the search as good as on the day the collection in the repository was frozen?"""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from eval.printing import show
from eval.regression import changes, freeze, kept_scores, measure, print_changes
from rag.build import build_embedder
from rag.config import load_settings
from rag.environment import prepare_environment


def register(app: typer.Typer, out: Console) -> None:
    """Add the command to `app`; it prints to `out`."""

    @app.command()
    def regression(
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
        anew: Annotated[bool, typer.Option("--freeze", help="Keep today's scores for later changes.")] = False,
        precision: Annotated[str, typer.Option(help="As RAG_PRECISION.")] = "fp32",
    ) -> None:
        """Ask the frozen collection anew, and fail where a retriever is worse than it was, beyond noise."""
        prepare_environment()
        settings = load_settings(embedder="starter", device="cpu", precision=precision)
        with tempfile.TemporaryDirectory() as home:
            now = measure(build_embedder(settings), Path(home))
        if anew:
            freeze(now)
        found = changes(kept_scores(), now)
        rows = {change.retriever: {**asdict(change), "failed": change.failed} for change in found}
        show({"retrievers": rows}, as_json, out, print_changes)
        if any(change.failed for change in found):
            raise typer.Exit(1)
