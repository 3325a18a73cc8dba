"""`python -m eval …`: how well the program finds things and answers, how fast, and what it takes."""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from eval import (
    cli_benchmarks,
    cli_clip,
    cli_compare,
    cli_cost,
    cli_documents,
    cli_gate,
    cli_own,
    cli_regression,
    cli_rivals,
    cli_run,
    cli_training,
    cli_tuning,
)
from eval.answers import Asking
from eval.answers import answers as run_answers
from eval.answers_report import print_answers
from eval.cache import CachedEmbedder, CachedImageEmbedder
from eval.crowd import Blindfold, print_crowd
from eval.crowd import crowd as run_crowd
from eval.datasets import DatasetError, load
from eval.followups import followups as run_followups
from eval.followups import print_followups
from eval.generation import generation as run_generation
from eval.generation import print_generation
from eval.grounding import grounding as run_grounding
from eval.grounding import print_grounding
from eval.labels import write_labels
from eval.moving import moving as run_moving
from eval.moving import print_moving
from eval.pictures import print_throughput, throughput
from eval.printing import show
from eval.reading import print_reading
from eval.reading import reading as run_reading
from eval.report import progress_bars
from eval.saved import circumstances, write_json
from eval.shapes import held_out_scenes, write_datasets
from eval.stores import STORES
from eval.stress import variants, write
from rag.build import build_embedder, build_generator, build_image_embedder, build_reranker
from rag.config import load_settings
from rag.environment import prepare_environment
from rag.errors import ConfigError, RagError
from rag.models.starter import generator_file

_EACH = 25  # pictures of a label

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
out = Console()
err = Console(stderr=True)
cli_run.register(app, out, err)
cli_benchmarks.register(app, out)
cli_compare.register(app, out)
cli_cost.register(app, out, err)
cli_gate.register(app, out, err)
cli_documents.register(app, out, err)
cli_own.register(app, out, err)
cli_regression.register(app, out)
cli_rivals.register(app, out, err)
cli_training.register(app, out)
cli_tuning.register(app, out, err)
cli_clip.register(app, out, err)


def _show(
    result: dict[str, Any],
    as_json: bool,
    print_table: Callable[[dict[str, Any], Console], None],
    to: Path | None = None,
) -> None:
    """Show a result, and write it into the file `to` with where and when it was measured."""
    if to is not None:
        write_json(to, {**result, "command": cli_run.command(), "circumstances": circumstances()})
    show(result, as_json, out, print_table)


@app.callback()
def main() -> None:
    """Benchmarks of retrieval. No question or document leaves this machine."""


@app.command()
def answers(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A data set with answers.jsonl, or questions.jsonl.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    generator: Annotated[str | None, typer.Option(help="As RAG_GENERATOR; 'none' quotes.")] = None,
    embedder: Annotated[str | None, typer.Option(help="As RAG_EMBEDDER.")] = None,
    reranker: Annotated[str | None, typer.Option(help="As RAG_RERANKER.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask so many questions; all where not given.")] = None,
    seed: Annotated[int, typer.Option(help="Of the draw of those.")] = 0,
    cache: Annotated[bool, typer.Option(help="Go on with an earlier run; turn off to measure times.")] = True,
    to: Annotated[Path | None, typer.Option(help="Write the result into this JSON file.")] = None,
) -> None:
    """Ask each question with its document in the index and without it, and measure what is said, cited, held back."""
    prepare_environment()
    settings = load_settings(generator=generator, embedder=embedder, reranker=reranker)
    kept = settings.home / "cache" / "eval" if cache else None
    vectors = CachedEmbedder(build_embedder(settings), kept)
    asking = Asking(settings, vectors, build_generator(settings), build_reranker(settings))
    with progress_bars(folder.name, err) as progress:
        result = run_answers(folder, asking, limit=limit, seed=seed, kept=kept, progress=progress)
    _show(result, as_json, print_answers, to)


@app.command()
def grounding(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A BEIR folder with answers.jsonl.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    embedder: Annotated[str | None, typer.Option(help="As RAG_EMBEDDER.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take so many questions; all where not given.")] = None,
    seed: Annotated[int, typer.Option(help="Of the draw, and of what is made wrong.")] = 0,
    to: Annotated[Path | None, typer.Option(help="Write the result into this JSON file.")] = None,
) -> None:
    """Make true sentences wrong, and count how many the check of an answer's sentences finds."""
    prepare_environment()
    settings = load_settings(embedder=embedder)
    asking = Asking(settings, CachedEmbedder(build_embedder(settings), settings.home / "cache" / "eval"), None)
    with progress_bars(folder.name, err) as progress:
        result = run_grounding(folder, asking, limit=limit, seed=seed, progress=progress)
    _show(result, as_json, print_grounding, to)


@app.command()
def followups(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Files, with followups.jsonl beside them.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    generator: Annotated[str, typer.Option(help="As RAG_GENERATOR: it rewrites, if it is large enough.")] = "none",
    embedder: Annotated[str | None, typer.Option(help="As RAG_EMBEDDER.")] = None,
) -> None:
    """How well questions that lean on earlier ones are told and answered."""
    prepare_environment()
    settings = load_settings(generator=generator, embedder=embedder, image_embedder="none")
    with progress_bars(folder.name, err) as progress:
        result = run_followups(folder, settings, progress)
    _show(result, as_json, print_followups)


@app.command()
def stress(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A BEIR folder.")],
    to: Annotated[Path, typer.Argument(metavar="TO", help="Where to write the folders <name>-<variant>.")],
    split: Annotated[str, typer.Option(help="The judgements: qrels/<split>.tsv.")] = "test",
) -> None:
    """Write variants of DIR on which words or vectors fail, and print their paths, to be given to `run`."""
    dataset = load(folder, split)
    if dataset.folder is not None or dataset.pictures or any(entry.image for entry in dataset.entries):
        raise DatasetError(f"{str(folder)!r} holds files; variants are made of texts in BEIR layout")
    for name, variant in variants(dataset).items():
        target = to / f"{dataset.name}-{name}"
        write(variant, target)
        print(target)  # noqa: T201


@app.command()
def crowd(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A BEIR folder of texts.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    count: Annotated[int, typer.Option("--pictures", min=1, help="Unrelated pictures put beside the texts.")] = 1000,
    store: Annotated[str, typer.Option(help=STORES)] = "memory",
    image_embedder: Annotated[str | None, typer.Option(help="As RAG_IMAGE_EMBEDDER; none sees at random.")] = None,
) -> None:
    """What a thousand unrelated pictures change in the answers to questions about texts."""
    prepare_environment()
    settings = load_settings(image_embedder=image_embedder)
    dataset, kept = load(folder), settings.home / "cache" / "eval"
    vectors = CachedEmbedder(build_embedder(settings), kept)
    looks = CachedImageEmbedder(build_image_embedder(settings) or Blindfold(), kept)
    with progress_bars(dataset.name, err) as progress:
        result = run_crowd(dataset, vectors, looks, settings, count, store=store, progress=progress)
    _show(result, as_json, print_crowd)


@app.command()
def pictures(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Pictures, in any folders below it too.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    copies: Annotated[int, typer.Option(min=1, help="Take each picture so often, each time a little different.")] = 1,
    image_embedder: Annotated[str | None, typer.Option(help="As RAG_IMAGE_EMBEDDER.")] = None,
    ocr: Annotated[bool | None, typer.Option(help="As RAG_OCR: read the text in pictures.")] = None,
) -> None:
    """How long decoding, OCR and CLIP take per picture, and how much the program adds to them."""
    prepare_environment()
    result = throughput(folder, load_settings(image_embedder=image_embedder, ocr=ocr), copies)
    _show(result, as_json, print_throughput)


@app.command()
def reading(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Pictures, or a folder in the layout of SROIE.")],
    to: Annotated[Path | None, typer.Option(help="Write the result into this JSON file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads that read one picture.")] = 1,
) -> None:
    """How well the text in pictures is read, where it is known, and how fast."""
    prepare_environment()
    with progress_bars(folder.name, err) as progress:
        result = run_reading(folder, threads, progress("read"))
    _show(result, as_json, print_reading, to)


@app.command()
def generation(
    model: Annotated[Path | None, typer.Option(help="A GGUF file; without one the starter model.")] = None,
    sources: Annotated[int, typer.Option(min=1, max=50, help="Sources in a prompt.")] = 6,
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured; medians are told.")] = 3,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of everyone; 1 where other programs run too. None: as each comes.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Write the result into this JSON file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Time to the first token, cold, warm and in a second turn, and tokens per second, against plain llama.cpp."""
    prepare_environment()
    with progress_bars("generation", err) as progress:
        result = run_generation(model or generator_file(), sources, rounds, threads, progress("ask"))
    _show(result, as_json, print_generation, to)


@app.command()
def shapes(
    to: Annotated[Path, typer.Argument(metavar="TO", help="Where to write the model and the three data sets.")],
    count: Annotated[
        int, typer.Option(min=2, help="Pictures, each of a composition that training never showed.")
    ] = 100,
) -> None:
    """Train a small CLIP on drawn shapes, and write what `run` and `labels --image-embedder TO/clip` measure it on."""
    prepare_environment()
    from eval.small_clip import train_small_clip  # imports torch, which reads the environment then

    started = time.process_time()
    with Progress(console=err) as bars:
        task = bars.add_task("training", total=None)
        train_small_clip(to / "clip", lambda step: bars.update(task, completed=step.number, total=step.total))
    err.print(f"trained in {time.process_time() - started:.0f} s of processor time")
    for path in (to / "clip", *write_datasets(to, held_out_scenes(count)), write_labels(to / "labels", _EACH)):
        print(path)  # noqa: T201


@app.command()
def moving(
    chunks: Annotated[
        int, typer.Option(min=100, help="Chunks of the made-up library, a hundred to a document.")
    ] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """How long a library takes to an archive, from it, and to another store, and how much memory."""
    with tempfile.TemporaryDirectory() as folder:
        result = run_moving(chunks, Path(folder))
    _show(result, as_json, print_moving)


if __name__ == "__main__":
    try:
        app()
    except RagError as exc:
        err.print(f"[red]error:[/red] {escape(str(exc))}")
        sys.exit(2 if isinstance(exc, ConfigError | DatasetError) else 1)
