"""The commands that move a library: to an archive, from one, and its index from one store to another.

No model is loaded for any of them, and nothing is embedded.
"""

import dataclasses
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rag.build import AUTO, build_embedder, open_folder, open_versions
from rag.config import Settings, load_settings
from rag.databases import Databases
from rag.errors import ConfigError, ModelError, StoreError
from rag.moving.copying import CopyReport, copy_index
from rag.moving.exporting import MoveReport, export_library
from rag.moving.importing import import_library
from rag.moving.staging import finish_cut_off_import
from rag.progress import progress_bar
from rag.store.catalogue import Catalogue
from rag.store.manifest import Manifest, index_spaces
from rag.terminal import counted, err, out, print_json

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

store_app = typer.Typer(help="Where the index is kept.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add `rag export`, `rag import` and `rag store copy`."""
    app.command("export")(export)
    app.command("import")(import_archive)
    app.add_typer(store_app, name="store")


def export(
    file: Annotated[Path, typer.Argument(help="The archive to write; a name that is not taken.")],
    originals: Annotated[
        bool, typer.Option(help="Take the files along that were indexed where they lie, if they are unchanged.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the whole library to one file: documents, passages, vectors, conversations, pictures, files, feedback."""
    settings = _settings()
    with progress_bar(err, "parts") as show:
        report = export_library(
            settings.home,
            partial(open_versions, settings),
            file.expanduser().absolute(),
            originals=originals,
            on_progress=show,
        )
    _print_moved("Exported", report, as_json)
    if report.left_out and not as_json:
        err.print(f"[yellow]{counted(len(report.left_out), 'file')} did not go along: gone or changed since[/yellow]")


def import_archive(
    file: Annotated[Path, typer.Argument(help="An archive that `rag export` wrote.")], as_json: AsJson = False
) -> None:
    """Make an archive the library of this RAG_HOME, which must be empty. Nothing is embedded again."""
    settings = _settings()
    with progress_bar(err, "parts") as show:
        report = import_library(
            file.expanduser().absolute(), settings.home, open_folder, _expected(settings), on_progress=show
        )
    for problem in report.problems:
        err.print(f"[yellow]note[/yellow]  {escape(problem)}")
    if settings.store != "lance" and report.documents:
        _copy_imported(settings)
    _print_moved("Imported", report, as_json)


@store_app.command()
def copy(
    to: Annotated[str, typer.Option("--to", help="'lance' (the library's folder), weaviate://host:port or https://…")],
    source: Annotated[str | None, typer.Option("--from", help="The same; left out: the store in use.")] = None,
    prune: Annotated[bool, typer.Option(help="Remove what the target has and the library has not.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy the index to another store. It goes on where it was cut off, and compares both at the end."""
    settings = _settings()
    report = _copy(settings, source or settings.store, to, prune)
    if as_json:
        print_json(dataclasses.asdict(report))
        return
    out.print(
        f"Copied {counted(report.documents, 'document')}, {counted(report.chunks, 'chunk')} in {report.seconds:.1f} s: "
        f"{report.written} written, {report.mended} mended, {report.removed} removed. Both hold the same."
    )
    if to != settings.store:
        out.print(f"To use the copy set RAG_STORE={escape(to)}")


def _copy_imported(settings: Settings) -> None:
    """Bring the index of a library that was just imported to the server that the settings name."""
    try:
        _copy(settings, "lance", settings.store, prune=False)
    except StoreError as exc:
        raise StoreError(
            f"the library is imported, but its index is not in {settings.store!r} yet: {exc}. "
            f"When that is mended, run: rag store copy --from lance --to {settings.store}"
        ) from exc


def _copy(settings: Settings, source: str, to: str, prune: bool) -> CopyReport:
    if source == to:
        raise ConfigError(f"the index is in {to!r} already; give another store as --to, or as --from")
    catalogue = Catalogue(settings.home / "catalogue.sqlite")
    here, there = (open_versions(settings.model_copy(update={"store": at}), catalogue) for at in (source, to))
    databases = Databases(settings.home, catalogue, here.live, here.open)
    with closing(databases), here.changing():
        version = here.live()
        manifest = here.manifest(version)
        if manifest is None:
            raise StoreError(f"the library in {str(settings.home)!r} has no index yet; add something first")
        with databases.writing(), progress_bar(err) as show, closing(there.open(version)) as target:
            spaces = list(index_spaces(manifest))
            report = copy_index(databases.store, target, spaces, prune=prune, on_progress=show)
            there.make_live(version, in_step=False)  # nobody kept up what was live there until now
        return report


def _settings() -> Settings:
    settings = load_settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    finish_cut_off_import(settings.home)
    return settings


def _expected(settings: Settings) -> Manifest | None:
    """What the embedder would write that the settings insist on; None where any will do, or it is not here."""
    if settings.embedder == AUTO:
        return None
    try:
        return Manifest.of(build_embedder(settings), reference=settings.embedder)
    except ModelError:
        return None


def _print_moved(done: str, report: MoveReport, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(report))
        return
    vectors = ", ".join(f"{count} vectors in {space!r}" for space, count in report.vectors.items()) or "no vectors"
    out.print(
        f"{done} {counted(report.documents, 'document')}, {counted(report.chunks, 'chunk')} ({vectors}), "
        f"{counted(report.conversations, 'conversation')}, {counted(report.pictures, 'asked picture')}, "
        f"{counted(report.originals, 'file')}, {counted(report.feedback, 'line')} of feedback and "
        f"{counted(report.questions, 'question')}: {report.bytes / 2**20:.1f} MiB in {report.seconds:.1f} s"
    )
