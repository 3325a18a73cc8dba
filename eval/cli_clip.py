"""`python -m eval clip-words`: what a CLIP gains from its owner's words for pictures."""

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console

from eval.printing import show


def register(app: typer.Typer, out: Console, err: Console) -> None:
    """Add the command to `app`; it prints to `out`, and its progress to `err`."""

    @app.command("clip-words")
    def clip_words(
        clip: Annotated[
            Path | None, typer.Option(help="The clip folder that `shapes` writes; none: it is trained first.")
        ] = None,
        pairs: Annotated[
            list[int] | None, typer.Option(min=10, help="How many pairs; several times for several.")
        ] = None,
        seeds: Annotated[int, typer.Option(min=1, help="How often, each time with other pairs.")] = 3,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Teach the small CLIP another person's words for drawn shapes; no picture is looked at again."""
        from eval.clip_words import PAIRS, measure, print_learnt
        from eval.small_clip import train_small_clip, with_other_words
        from rag.environment import prepare_environment

        prepare_environment()
        with TemporaryDirectory(prefix="commonplace-clip-") as folder:
            if clip is None:
                clip = Path(folder) / "clip"
                err.print("training the small CLIP, which takes about a minute")
                train_small_clip(clip)
            with_other_words(clip, Path(folder) / "spelling")
            learnt = measure(Path(folder) / "spelling", pairs or PAIRS, seeds)
        show({"learnt": [asdict(each) for each in learnt]}, as_json, out, print_learnt)
