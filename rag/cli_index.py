"""The commands for versions of the index: another text embedder, which versions there are, back, and fewer of them."""

import dataclasses
from collections.abc import Callable
from contextlib import closing
from threading import Event
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rag.build import open_library
from rag.cli_models import models_app
from rag.config import load_settings
from rag.errors import ConfigError
from rag.library import Library
from rag.models.installed import installed_model
from rag.progress import progress_bar, stoppable
from rag.records import IndexVersion, Progress, SwitchReport
from rag.terminal import counted, err, out, print_json

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

Change = Callable[[Library, Callable[[Progress], None], Event], SwitchReport]

index_app = typer.Typer(
    help="The versions of the index: which there are, back to one, fewer of them.", no_args_is_help=True
)

_STATES = {"live": "live", "kept": "kept", "begun": "not finished"}
_SETTINGS = {"generator": "RAG_GENERATOR", "image embedder": "RAG_IMAGE_EMBEDDER"}


def register(app: typer.Typer) -> None:
    """Add `rag index …` and `rag models use`."""
    models_app.command("use")(use)
    app.add_typer(index_app, name="index")


def use(
    model: Annotated[str, typer.Argument(help="'starter', the name or folder of a text embedder, or a server's.")],
    as_json: AsJson = False,
) -> None:
    """Embed the library with another text embedder. Searching goes on with the old one until the new one has it all.

    It may be interrupted at any moment; the same command goes on. Nothing is read again.
    """
    settings = load_settings()
    installed = installed_model(model, settings.home)
    if installed is not None and installed.kind != "embedder":
        setting = _SETTINGS.get(installed.kind)
        remedy = f"to use it set {setting}={model}" if setting else "it is used where it is installed"
        raise ConfigError(f"{model!r} is no text embedder but a {installed.kind}: {remedy}")
    _carry_out(lambda library, show, stop: library.switch_embedder(model, show, stop), as_json)


@index_app.command("versions")
def list_versions(as_json: AsJson = False) -> None:
    """The live version, those that one can go back to, and those that are not finished."""
    with closing(open_library(load_settings())) as library:
        found = library.versions()
    if as_json:
        print_json([dataclasses.asdict(version) for version in found])
    elif found:
        _print_versions(found)
    else:
        out.print("The library has no index yet. Add something: rag add ~/notes")


@index_app.command("rollback")
def roll_back(as_json: AsJson = False) -> None:
    """Make the version live again that was so before. What changed since is embedded first, with its model."""
    _carry_out(lambda library, show, stop: library.roll_back(show, stop), as_json)


@index_app.command("prune")
def prune(as_json: AsJson = False) -> None:
    """Delete every version but the live one, also those that are not finished: there is no way back then."""
    with closing(open_library(load_settings())) as library:
        dropped = library.prune_versions()
    if as_json:
        print_json({"dropped": list(dropped)})
    else:
        out.print(f"Deleted {', '.join(dropped)}." if dropped else "There is only the live version.")


def _carry_out(change: Change, as_json: bool) -> None:
    with closing(open_library(load_settings())) as library, stoppable(err) as stop, progress_bar(err) as show:
        report = change(library, show, stop)
    if as_json:
        print_json(dataclasses.asdict(report))
    else:
        _print_report(report)
    if not report.live:
        raise typer.Exit(1)


def _print_report(report: SwitchReport) -> None:
    if not report.live:
        err.print(
            f"[yellow]stopped: {counted(report.embedded, 'chunk')} more are embedded, the library is searched as "
            "before; the same command goes on[/yellow]"
        )
        return
    out.print(
        f"{escape(report.embedder)} searches the library now: version {report.version}, "
        f"{counted(report.chunks, 'chunk')}, {report.embedded} of them embedded now, in {report.seconds:.1f} s"
    )
    if report.cut:
        err.print(
            f"[yellow]{counted(report.cut, 'chunk')} were cut for a model that reads longer texts: of these the "
            "beginning is compared by meaning, all of it by words. To have them cut anew remove and add their files"
            "[/yellow]"
        )
    if report.dropped:
        out.print(f"Deleted, as two versions are kept: {', '.join(report.dropped)}")


def _print_versions(versions: list[IndexVersion]) -> None:
    table = Table("version", "state", "embedder", "numbers", "made", "documents", box=None, header_style="bold")
    for each in versions:
        missing = f"{each.documents}, {each.missing} to be embedded" if each.missing else str(each.documents)
        state, embedder = _STATES[each.state], escape(each.embedder)
        table.add_row(each.version, state, embedder, str(each.dim), each.created, missing)
    out.print(table)
