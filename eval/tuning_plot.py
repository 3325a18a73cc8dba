"""The learning curve as a picture: what each tier gains by so many pairs, and what the canaries lose."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_COLOURS = {"1a": "#4a7fb5", "1b": "#b5764a", "2": "#4f8a5b"}
_NAMES = {"1a": "linear turn of queries", "1b": "queries by LoRA", "2": "both sides, whole model"}


def draw(result: Mapping[str, Any], to: Path) -> None:
    """Write the curve of `Curve.run` as SVG: the mean of the seeds, and each of them as a dot."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    home, away = figure.subplots(1, 2)
    for tier in sorted({cell["tier"] for cell in result["cells"]}):
        cells = [cell for cell in result["cells"] if cell["tier"] == tier]
        _line(home, cells, tier, lambda cell: 100 * cell["gain"])
        _line(away, cells, tier, lambda cell: 100 * min(cell["canaries"].values(), default=0.0))
    for axes, title in ((home, f"{result['dataset']}: all retrievers together"), (away, "the worst canary")):
        axes.axhline(0, color="#888888", linewidth=0.8)
        axes.set(title=title, xlabel="pairs", ylabel="points of nDCG@10", xscale="log")
        axes.spines[["top", "right"]].set_visible(False)
        counts = sorted({cell["taught"] for cell in result["cells"]})
        axes.set_xticks(counts, list(map(str, counts)))
        axes.minorticks_off()
    home.legend(frameon=False, fontsize=8)
    figure.savefig(to, format="svg", metadata={"Date": None})


def _line(axes: Any, cells: list[Mapping[str, Any]], tier: str, value: Any) -> None:
    counts = sorted({cell["taught"] for cell in cells})
    means = [np.mean([value(cell) for cell in cells if cell["taught"] == count]) for count in counts]
    axes.plot(counts, means, color=_COLOURS[tier], label=f"{tier}: {_NAMES[tier]}", marker="o", markersize=4)
    axes.scatter([cell["taught"] for cell in cells], list(map(value, cells)), s=8, color=_COLOURS[tier], alpha=0.5)
