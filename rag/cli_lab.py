"""The commands of the lab."""

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from rag.config import load_settings
from rag.errors import ConfigError
from rag.terminal import err, out, print_json
from rag.tune.process import at_work
from rag.tune.records import Step

if TYPE_CHECKING:
    from rag.lab.train import Epoch

lab_app = typer.Typer(help="Contrastive learning shown whole, on small pictures.", no_args_is_help=True)

_CLASSIC = "cosine-mse"


def register(app: typer.Typer) -> None:
    """Add `rag lab digits`."""
    app.add_typer(lab_app, name="lab")


@lab_app.callback()
def main() -> None:
    """Contrastive learning shown whole, on small pictures."""


@lab_app.command()
def digits(
    data: Annotated[
        Path | None,
        typer.Option(help="MNIST as Kaggle's train.csv, or a folder of its IDX files; none: scikit-learn's digits."),
    ] = None,
    loss: Annotated[
        list[str] | None,
        typer.Option(help="cosine-mse, margin, triplet, cosent or infonce; several times to compare; 'all' for all."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, max=1000)] = 10,
    to: Annotated[Path | None, typer.Option(help="Folder of checkpoints and the report.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Pairs of digits, alike or not, teach a small network a space in which alike ones lie together.

    A checkpoint is kept after every epoch: the same command again goes on, or only shows the result.
    """
    from rag.lab.digits import demonstrate
    from rag.lab.objectives import OBJECTIVES
    from rag.lab.report import render

    names = list(OBJECTIVES) if "all" in (loss or ()) else list(dict.fromkeys(loss or [_CLASSIC]))
    for name in set(names) - set(OBJECTIVES):
        raise ConfigError(f"there is no loss {name!r}; there is {', '.join(OBJECTIVES)}, or all of them with 'all'")
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"there is no device {device!r}; choose auto, cpu or cuda")
    folder = (to or load_settings().home / "lab" / "digits").expanduser().absolute()
    report = folder / "report.html"
    with at_work(folder, "lab") as (on_step, stop):

        def tell(objective: str, epoch: "Epoch") -> None:
            err.print(
                f"{objective}  epoch {epoch.number} of {epochs}  loss {epoch.loss:.4f}  "
                f"{epoch.pairs / epoch.seconds:,.0f} pairs/s  {(epochs - epoch.number) * epoch.seconds:.0f} s left"
            )
            done = names.index(objective) * epochs + epoch.number
            on_step(Step("train", done, epochs * len(names), time.time(), loss=epoch.loss, text=objective))
            if stop.is_set():
                raise KeyboardInterrupt  # it was asked to stop from elsewhere: as if by Ctrl-C

        result = demonstrate(data, names, epochs, folder, seed=seed, device=device, on_epoch=tell)
        report.write_text(render(result), encoding="utf-8")
    spaces = [dataclasses.asdict(space) for space in result.spaces]
    if as_json:
        print_json({"report": str(report), "device": result.device, "spaces": spaces})
        return
    table = Table("", "neighbours", "alignment", "uniformity")
    for space in result.spaces:
        q = space.quality
        table.add_row(space.name, f"{q.neighbours:.3f}", f"{q.alignment:.3f}", f"{q.uniformity:.3f}")
    out.print(table)
    out.print(f"The report: {report}", soft_wrap=True)
