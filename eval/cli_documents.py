"""`python -m eval documents`, `receipts` and `labels`: how well documents and pictures are read and found."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from eval.cli_run import Running, command
from eval.configurations import Configuration
from eval.documents import documents as run_documents
from eval.documents import print_documents
from eval.labels import labels as run_labels
from eval.labels import print_labels
from eval.made_documents import write_documents
from eval.metrics import DEPTH
from eval.printing import show
from eval.receipts import by_kind, print_receipts
from eval.receipts import receipts as receipts_of
from eval.report import progress_bars
from eval.saved import circumstances, write_json
from rag.build import build_image_embedder
from rag.config import load_settings
from rag.environment import prepare_environment
from rag.errors import ConfigError

_TO = "Write the result into this JSON file."


def register(app: typer.Typer, out: Console, err: Console) -> None:
    """Add the commands to `app`; they print to `out`, and show progress on `err`."""

    @app.command()
    def documents(
        folder: Annotated[
            Path | None, typer.Argument(metavar="DIR", help="See eval/documents.py; without one a set is made.")
        ] = None,
        generator: Annotated[str, typer.Option(help="As RAG_GENERATOR; 'none' quotes.")] = "none",
        embedder: Annotated[str | None, typer.Option(help="As RAG_EMBEDDER.")] = None,
        to: Annotated[Path | None, typer.Option(help=_TO)] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """The right page of a PDF in search and citations, the body of web pages, the fields of mails."""
        prepare_environment()
        with tempfile.TemporaryDirectory(prefix="commonplace-documents-") as temporary:
            if folder is None:
                folder = Path(temporary) / "made"
                write_documents(folder)
            home = Path(temporary) / "home"
            settings = load_settings(home=home, generator=generator, embedder=embedder, image_embedder="none")
            with progress_bars(folder.name, err) as progress:
                found = run_documents(folder, settings, progress("ask"))
        result = {**found, "command": command(), "circumstances": circumstances()}
        if to is not None:
            write_json(to, result)
        show(result, as_json, out, print_documents)

    @app.command()
    def receipts(
        folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder in the layout of SROIE.")],
        image_embedder: Annotated[str | None, typer.Option(help="As RAG_IMAGE_EMBEDDER.")] = None,
        embedder: Annotated[str | None, typer.Option(help="As RAG_EMBEDDER.")] = None,
        cache: Annotated[bool, typer.Option(help="Show an earlier result where nothing has changed since.")] = True,
        to: Annotated[Path | None, typer.Option(help=_TO)] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Find scanned receipts by their company, date and total, which stand only in the picture."""
        prepare_environment()
        chosen = Configuration("", {"image_embedder": image_embedder, "embedder": embedder}, store="memory")
        found = Running(DEPTH, (), cache=cache, err=err).result(receipts_of(folder), chosen)
        result = {**found, "by_kind": by_kind(found)}
        if to is not None:
            write_json(to, result)
        show(result, as_json, out, print_receipts)

    @app.command()
    def labels(
        folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of pictures for each label.")],
        image_embedder: Annotated[str | None, typer.Option(help="As RAG_IMAGE_EMBEDDER.")] = None,
        to: Annotated[Path | None, typer.Option(help=_TO)] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Name pictures by the labels of their folders, which the image embedder was never trained on."""
        prepare_environment()
        seeing = build_image_embedder(load_settings(image_embedder=image_embedder))
        if seeing is None:
            raise ConfigError("no image embedder is installed; run: rag models pull clip-vit-b-32")
        with progress_bars(folder.name, err) as progress:
            found = run_labels(folder, seeing, progress("look"))
        result = {**found, "command": command(), "circumstances": circumstances()}
        if to is not None:
            write_json(to, result)
        show(result, as_json, out, print_labels)
