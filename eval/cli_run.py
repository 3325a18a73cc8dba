"""`python -m eval run` and `report`: data sets by configurations, what came out, and reports of it."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from eval.cache import CachedEmbedder, CachedImageEmbedder
from eval.configurations import OURS, Configuration, configurations
from eval.datasets import Dataset, load
from eval.fusions import FUSIONS
from eval.html_report import html
from eval.markdown_report import markdown, title_of
from eval.printing import print_json
from eval.report import print_result, progress_bars
from eval.run import run as run_dataset
from eval.saved import SavedRuns, circumstances, key_of, read_results, write_json
from eval.stores import STORES
from rag.build import build_embedder, build_image_embedder, build_reranker
from rag.config import Settings
from rag.environment import prepare_environment

_CONFIGURATIONS = "A TOML file with a table of options for each configuration; see eval/configurations.py."
_CONFIGURATION = "A configuration more: NAME:KEY=VALUE,KEY=VALUE, such as short:chunk_tokens=100."
_TO = "Write run.json, run.md and run.html into this folder."


def register(app: typer.Typer, out: Console, err: Console) -> None:
    """Add the commands to `app`; they print to `out`, and show progress on `err`."""

    @app.command()
    def run(
        folders: Annotated[
            list[Path], typer.Argument(metavar="DIR...", help="BEIR folders, or one with questions.jsonl.")
        ],
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document; a list for several.")] = False,
        to: Annotated[Path | None, typer.Option(help=_TO)] = None,
        file: Annotated[Path | None, typer.Option("--configurations", help=_CONFIGURATIONS)] = None,
        said: Annotated[list[str] | None, typer.Option("--configuration", help=_CONFIGURATION)] = None,
        store: Annotated[str, typer.Option(help=STORES)] = "lance",
        k: Annotated[int, typer.Option(min=10, max=1000, help="Documents ranked per question.")] = 100,
        split: Annotated[str, typer.Option(help="The judgements: qrels/<split>.tsv.")] = "test",
        embedder: Annotated[str | None, typer.Option(help="As RAG_EMBEDDER.")] = None,
        image_embedder: Annotated[str | None, typer.Option(help="As RAG_IMAGE_EMBEDDER.")] = None,
        precision: Annotated[str | None, typer.Option(help="As RAG_PRECISION.")] = None,
        ocr: Annotated[bool | None, typer.Option(help="As RAG_OCR: read the text in pictures.")] = None,
        chunk_tokens: Annotated[int | None, typer.Option(help="As RAG_CHUNK_TOKENS.")] = None,
        reranker: Annotated[str | None, typer.Option(help="As RAG_RERANKER.")] = None,
        fusion: Annotated[str, typer.Option(help=f"How lists become one: {', '.join([OURS, *FUSIONS])}.")] = OURS,
        fusions: Annotated[bool, typer.Option("--fusions", help="Score other ways to fuse beside it.")] = False,
        cache: Annotated[bool, typer.Option(help="Go on from earlier runs; turn off to measure times.")] = True,
    ) -> None:
        """Index each DIR in a temporary folder, ask its questions, and tell nDCG, recall, MRR and MAP by retriever."""
        prepare_environment()
        base = Configuration(
            "",
            {
                "embedder": embedder,
                "image_embedder": image_embedder,
                "precision": precision,
                "ocr": ocr,
                "chunk_tokens": chunk_tokens,
                "reranker": reranker,
            },
            store,
            fusion,
        )
        chosen = configurations(base, file, said or ())
        datasets = [load(folder, split) for folder in folders]
        running = Running(k, tuple(FUSIONS) if fusions else (), cache, err)
        results = []
        for dataset in datasets:
            for configuration in chosen:
                found = running.result(dataset, configuration)
                results.append(found)
                if to is not None:
                    write_reports(results, to)  # after each, so that an interrupted run leaves what it has
                if not as_json:
                    print_result(found, out)
        if as_json:
            print_json(results if len(results) > 1 else results[0])

    @app.command()
    def report(
        files: Annotated[list[Path], typer.Argument(metavar="RUN.json...", help="What `run` wrote or printed.")],
        to: Annotated[Path, typer.Option(help=_TO)],
    ) -> None:
        """Make one report of saved runs: JSON, Markdown, and a page with plots that needs nothing else."""
        results = [result for file in files for result in read_results(file)]
        for path in write_reports(results, to):
            print(path)  # noqa: T201


class Running:
    """Runs data sets by configurations, and goes on where an earlier call was interrupted."""

    def __init__(self, depth: int, fusions: tuple[str, ...], cache: bool, err: Console) -> None:
        self._depth = depth
        self._fusions = fusions
        self._cache = cache
        self._err = err

    def result(self, dataset: Dataset, configuration: Configuration) -> dict[str, Any]:
        """The result of an earlier run of the same data, options and program, or else of one now."""
        settings = configuration.loaded()
        kept = settings.home / "cache" / "eval" if self._cache else None
        embedder, seeing = build_embedder(settings), build_image_embedder(settings)
        described = [
            *(configuration.name, configuration.store, configuration.fusion),
            *(self._depth, self._fusions, embedder.fingerprint, seeing.fingerprint if seeing else None),
            settings.model_dump(mode="json", exclude={"home"}),
        ]
        saved = SavedRuns(kept / "runs" if kept else None)
        key = key_of(dataset, {"described": described})
        earlier = saved.get(key)
        if earlier is not None:
            self._err.print(f"{title_of(earlier)}: from a run of {earlier['circumstances']['date']}, nothing changed")
            return earlier
        looks = CachedImageEmbedder(seeing, kept) if seeing else None
        found = self._measured(dataset, configuration, settings, CachedEmbedder(embedder, kept), looks)
        saved.put(key, found)
        return found

    def _measured(
        self,
        dataset: Dataset,
        configuration: Configuration,
        settings: Settings,
        vectors: CachedEmbedder,
        looks: CachedImageEmbedder | None,
    ) -> dict[str, Any]:
        with progress_bars(f"{dataset.name} {configuration.name}".rstrip(), self._err) as progress:
            found = run_dataset(
                dataset,
                vectors,
                settings,
                store=configuration.store,
                depth=self._depth,
                fusion=configuration.fusion,
                fusions=self._fusions,
                progress=progress,
                image_embedder=looks,
                reranker=build_reranker(settings),
            )
        return {**found, "configuration": configuration.name, "command": command(), "circumstances": circumstances()}


def command() -> str:
    """What was typed, with the last parts of paths alone: a report does not tell where somebody keeps things."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return shlex.join(["python", "-m", "eval", *words])


def write_reports(results: list[dict[str, Any]], to: Path) -> list[Path]:
    """The three forms of a report in the folder `to`."""
    to.mkdir(parents=True, exist_ok=True)
    forms: dict[str, Callable[[], str]] = {"run.md": lambda: markdown(results), "run.html": lambda: html(results)}
    write_json(to / "run.json", results if len(results) > 1 else results[0])
    for name, made in forms.items():
        (to / name).write_text(made(), "utf-8", "surrogatepass")
    return [to / "run.json", *(to / name for name in forms)]
