"""The commands for models: what fits this machine, what is installed, and how to get or remove one."""

import typer

models_app = typer.Typer(help="The models: what fits, what is installed, get one, remove one.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add `rag models …`."""
    app.add_typer(models_app, name="models")
