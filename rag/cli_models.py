"""The commands for models: what fits this machine, what is installed, and how to get or remove one."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from rag import cli_servers
from rag.build import open_versions
from rag.config import Settings, load_settings
from rag.environment import prepare_environment
from rag.errors import ConfigError
from rag.models.choice import SETTINGS
from rag.models.installed import ModelKind, installed_models
from rag.models.machine import Machine, this_machine
from rag.models.overview import ModelRow, names_in_use, overview
from rag.models.pull import Transfer, pull, remove
from rag.store.catalogue import Catalogue
from rag.terminal import err, out, print_json
from rag.text import gigabytes

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

_FITS = {"gpu": "on the GPU", "cpu": "on the CPU", "slow": "slowly", "no": "too large"}

models_app = typer.Typer(help="The models: what fits, what is installed, get one, remove one.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add `rag models …`."""
    cli_servers.register(models_app)
    app.add_typer(models_app, name="models")


@models_app.command("list")
def list_models(
    all_: Annotated[bool, typer.Option("--all", help="Also those that are too large for this machine.")] = False,
    as_json: AsJson = False,
) -> None:
    """The models that are installed, and those that are suggested for this machine."""
    settings, machine = load_settings(), this_machine()
    rows = overview(installed_models(settings.home), machine, _in_use(settings))
    if as_json:
        print_json({"machine": dataclasses.asdict(machine), "models": [dataclasses.asdict(row) for row in rows]})
        return
    shown = [row for row in rows if all_ or row.installed or row.fit != "no"]
    _print_models(shown)
    out.print(_told(machine))
    if len(shown) < len(rows):
        out.print(f"{len(rows) - len(shown)} more are too large for it: rag models list --all")
    out.print("Where none is chosen the starter models serve, which are always there. Get one: rag models pull NAME")


@models_app.command("pull")
def pull_model(
    model: Annotated[str, typer.Argument(help="A name from `rag models list`, hf:owner/name[@revision], or a path.")],
    name: Annotated[str, typer.Option(help="What it is to be called here.")] = "",
    file: Annotated[
        list[str] | None, typer.Option(help="Which weights, where there are several: a pattern such as '*Q4_K_M*'.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Get a model: from the model hub, the one command that goes out to the network, or from a folder or file here."""
    prepare_environment()
    settings = load_settings()
    try:
        with _transfer_bar() as show:
            found = pull(model, settings.home, name=name, patterns=file or (), on_progress=show)
    except KeyboardInterrupt:
        err.print("[yellow]stopped; the same command goes on where it was[/yellow]")
        raise typer.Exit(1) from None
    if found is None:  # nobody can stop it here but by Ctrl-C
        raise typer.Exit(1)
    if as_json:
        print_json(dataclasses.asdict(found))
        return
    out.print(f"{escape(found.name)} is installed: {gigabytes(found.bytes)} in {escape(str(found.folder))}")
    out.print(f"Use it: {escape(_how_to_use(found.name, found.kind))}")


@models_app.command("remove")
def remove_model(
    name: Annotated[str, typer.Argument(help="A name from `rag models list`.")], as_json: AsJson = False
) -> None:
    """Delete a model, or what came of one that was cut off. Not while it is in use."""
    settings = load_settings()
    if name in _in_use(settings):
        raise ConfigError(
            f"{name!r} is in use: the settings name it, or a version of the index was made with it. Choose another "
            "first (`rag models list` shows what is in use; `rag index versions`, `rag index prune`)"
        )
    freed = remove(name, settings.home)
    if as_json:
        print_json({"removed": name, "freed": freed})
    else:
        out.print(f"Removed {escape(name)}: {gigabytes(freed)} are free again.")


def _in_use(settings: Settings) -> frozenset[str]:
    """The models that the settings name and those that made the versions of the index. No model is loaded."""
    path = settings.home / "catalogue.sqlite"
    if not path.is_file():
        return names_in_use(settings)
    catalogue = Catalogue(path)
    try:
        versions = open_versions(settings, catalogue).all()
    finally:
        catalogue.close()
    return names_in_use(settings, [version.reference or version.embedder for version in versions])


def _how_to_use(name: str, kind: ModelKind) -> str:
    return f"set RAG_{SETTINGS[kind].upper()}={name}" if kind in SETTINGS else f"rag models use {name}"


def _told(machine: Machine) -> str:
    card = f"{machine.card_name} with {gigabytes(machine.card)}" if machine.card else "no graphics card for models"
    return f"This machine: {gigabytes(machine.memory)} of memory, {card}."


def _print_models(rows: Sequence[ModelRow]) -> None:
    table = Table("", "name", "for", "size", "memory", "here", "licence", "languages", box=None, header_style="bold")
    table.add_column("published quality", overflow="fold")
    for row in rows:
        mark = "in use" if row.used else "installed" if row.installed else "suggested" if row.suggested else ""
        role = f"{row.kind}, sees" if row.sees else row.kind
        facts = (gigabytes(row.bytes), gigabytes(row.memory), _FITS[row.fit], row.licence, row.languages, row.quality)
        table.add_row(mark, escape(row.name), role, *map(escape, facts))
    out.print(table)


@contextmanager
def _transfer_bar() -> Iterator[Callable[[Transfer], None]]:
    """A bar on standard error with the rate and the time left; it goes when the work ends."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("asking…", total=None)
        yield lambda told: bar.update(task, description=escape(told.file), completed=told.done, total=told.total)
