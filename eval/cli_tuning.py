"""`python -m eval tune DIR`: the learning curve of the retriever; `thumb`: how soon it learns from one mark."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from eval.printing import show
from eval.report import progress_bars

_TIERS = ("1a", "1b", "2")


def register(app: typer.Typer, out: Console, err: Console) -> None:
    """Add the command to `app`; it prints to `out`, and its progress to `err`."""

    @app.command()
    def tune(
        folder: Annotated[Path, typer.Argument(metavar="DIR", help="A BEIR folder with qrels/train.tsv and test.tsv.")],
        canary: Annotated[list[Path] | None, typer.Option(help="A BEIR folder that must not get worse.")] = None,
        tier: Annotated[list[str] | None, typer.Option(help="1a, 1b or 2; all where not given.")] = None,
        pairs: Annotated[list[int] | None, typer.Option(min=0, help="How many pairs; 0 for all of them.")] = None,
        seeds: Annotated[int, typer.Option(min=1, help="How often, each time with other pairs in another order.")] = 3,
        kept: Annotated[Path | None, typer.Option(help="Folder of what is finished, to go on from.")] = None,
        plot: Annotated[Path | None, typer.Option(help="Write the curve as an SVG file.")] = None,
        threads: Annotated[int | None, typer.Option(min=1, help="Threads to compute with.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """What 30, 100, 300 or all pairs teach the starter embedder, tier by tier, at home and elsewhere."""
        from eval.cache import CachedEmbedder
        from eval.datasets import DatasetError
        from eval.learning import ground
        from eval.tuning import Cell, Curve, with_threads
        from eval.tuning_plot import draw
        from rag.build import build_embedder
        from rag.config import load_settings
        from rag.environment import prepare_environment
        from rag.models.starter import embedder_folder

        for name in set(tier or ()) - set(_TIERS):
            raise DatasetError(f"there is no tier {name!r} to measure; there is {', '.join(_TIERS)}")
        prepare_environment()
        settings = load_settings(embedder="starter", image_embedder="none")
        cache = settings.home / "cache" / "eval"
        cells = [
            Cell(each, count, seed)  # type: ignore[arg-type]  # checked above
            for count in pairs or (30, 100, 300, 0)
            for seed in range(seeds)
            for each in tier or _TIERS
        ]
        with with_threads(threads), progress_bars(folder.name, err) as progress:
            embedder = CachedEmbedder(build_embedder(settings), cache)
            grounds = [ground(each, embedder, settings, progress) for each in (folder, *(canary or ()))]
            kept = kept or cache / "tune" / folder.resolve().name
            curve = Curve(folder, grounds[0], grounds[1:], embedder_folder(), kept, progress)
            result = curve.run(cells)
        if plot is not None:
            draw(result, plot)
        show(result, as_json, out, print_curve)

    @app.command()
    def thumb(
        marks: Annotated[int, typer.Option(min=10, help="Marks that were made before.")] = 1000,
        rounds: Annotated[int, typer.Option(min=1, help="New marks.")] = 5,
        threads: Annotated[int | None, typer.Option(min=1, help="Threads to compute with.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """How long after a mark the ranking changes (tier 0), in a running program with the sample collection."""
        from eval.thumb import print_thumbs, thumbs
        from eval.tuning import with_threads
        from rag.environment import prepare_environment

        prepare_environment()
        with with_threads(threads), progress_bars("thumb", err) as progress:
            result = thumbs(marks, rounds, progress)
        show(result, as_json, out, print_thumbs)


def print_curve(result: Mapping[str, Any], console: Console) -> None:
    """A line for each cell: what it learnt, and what became of the canaries."""
    before, canaries = result["before"], list(result["canaries_before"])
    console.print(f"{result['dataset']} before: vectors {before['text']:.3f}, all together {before['hybrid']:.3f}")
    table = Table(
        "tier",
        "pairs",
        "seed",
        "vectors",
        "together",
        "gain, 95 %",
        "p",
        f"on {result['unseen']} unseen",
        *canaries,
        "seconds",
        box=None,
    )
    for cell in result["cells"]:
        low, high = cell["interval"]
        table.add_row(
            cell["tier"],
            str(cell["taught"]),
            str(cell["seed"]),
            f"{cell['after']['text']:.3f}",
            f"{cell['after']['hybrid']:.3f}",
            f"{cell['gain']:+.3f} ({low:+.3f} to {high:+.3f})",
            f"{cell['p']:.3f}",
            "-" if cell["gain_unseen"] is None else f"{cell['gain_unseen']:+.3f}",
            *(f"{cell['canaries'][name]:+.4f}" for name in canaries),
            f"{cell['seconds']:.0f}",
        )
    console.print(table)
