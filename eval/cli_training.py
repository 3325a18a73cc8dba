"""`python -m eval training-steps`: what a step of text training costs."""

from typing import Annotated

import typer
from rich.console import Console

from eval.printing import show


def register(app: typer.Typer, out: Console) -> None:
    """Add the command to `app`; it prints to `out`."""

    @app.command("training-steps")
    def training_steps(
        steps: Annotated[int, typer.Option(min=1, help="Of each variant; the median counts.")] = 3,
        device: Annotated[str, typer.Option(help="As RAG_DEVICE.")] = "cpu",
        threads: Annotated[int | None, typer.Option(min=1, help="Of the CPU.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """What a step of text training costs with this or that arithmetic, against a bare loop."""
        from rag.environment import prepare_environment

        prepare_environment()
        import torch

        from eval.training_steps import as_result, measure, print_costs
        from rag.models.starter import embedder_folder

        if threads:
            torch.set_num_threads(threads)
        show(as_result(measure(embedder_folder(), steps, device)), as_json, out, print_costs)
