"""`rag tune …`: the retriever learns its owner's words. One module for each part of the loop."""

import typer

from rag.cli_tune import data, judging, maps, questions, training

tune_app = typer.Typer(help="The retriever learns your words, and is judged before it is used.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add `rag tune …`."""
    app.add_typer(tune_app, name="tune")


data.register(tune_app)
questions.register(tune_app)
training.register(tune_app)
judging.register(tune_app)
maps.register(tune_app)
