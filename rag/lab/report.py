"""The demonstration as one static HTML file: no script, nothing loaded from elsewhere, readable in the dark."""

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from rag.lab.digits import Demonstration, Layout, Neighbours, Space

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --paper: #fbfaf7; --line: #d9d5cb; --wrong: #b3261e }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e1; --paper: #171a1f; --line: #3a3f47; --wrong: #ff8a80 } }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif }
img { max-width: 100%; background: #fff; border-radius: 6px }
.maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem; margin: 0 0 1rem }
figure { margin: 0 } figcaption { font-size: .9rem }
.scroll { overflow-x: auto } table { border-collapse: collapse }
th, td { padding: .35rem .8rem; border-bottom: 1px solid var(--line); text-align: right }
th:first-child { text-align: left }
.row { display: flex; flex-wrap: wrap; gap: .4rem; align-items: center; margin: .4rem 0 }
.row img { width: 3rem; image-rendering: pixelated } .wrong { outline: 3px solid var(--wrong) }
"""
_COLOURS = mpl.colormaps["tab10"]


def render(shown: Demonstration) -> str:
    """The report, a whole HTML document."""
    trained = [space for space in shown.spaces if space.epochs]
    parts = [
        f"<p>{shown.trained_on:,} images to learn from, {shown.tested_on:,} others to test on; trained on "
        f"{escape(shown.device)}.</p>",
        "<h2>The losses compared</h2>",
        _table(shown.spaces),
        "<p>Neighbours: how often the five nearest known images vote for the right label (higher is better). "
        "Alignment: how far apart images of one label are, squared. Uniformity: how evenly all are spread (both: lower "
        "is better).</p>",
        _image(_curves(trained), "The loss after each epoch, as a share of the first one"),
        f"<h2>The space before and after {escape(trained[0].name)}</h2>",
        *(_maps(layout, shown.labels) for layout in shown.layouts),
        f"<h2>Nearest neighbours after {escape(trained[0].name)}</h2>",
        "<p>A test image, then the known images nearest to it; those of another label are outlined.</p>",
        *(_row(each) for each in shown.neighbours),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The lab: digits</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>Contrastive learning on digits</h1>{''.join(parts)}</body></html>"
    )


def _table(spaces: Sequence[Space]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("", "neighbours", "alignment", "uniformity", "epochs", "pairs/s"))
    rows = "".join(_line(space) for space in spaces)
    return f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'


def _line(space: Space) -> str:
    q, seconds = space.quality, sum(epoch.seconds for epoch in space.epochs)
    speed = f"{sum(epoch.pairs for epoch in space.epochs) / seconds:,.0f}" if seconds else ""
    cells = (f"{q.neighbours:.3f}", f"{q.alignment:.3f}", f"{q.uniformity:.3f}", str(len(space.epochs) or ""), speed)
    return f"<tr><th>{escape(space.name)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _curves(trained: Sequence[Space]) -> Figure:
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    for space in trained:
        losses = [epoch.loss for epoch in space.epochs]
        axes.plot(
            range(1, len(losses) + 1), [loss / (losses[0] or 1.0) for loss in losses], marker="o", label=space.name
        )
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss / first loss")
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def _maps(layout: Layout, labels: NDArray[np.int64]) -> str:
    both = (("before", layout.before), ("after", layout.after))
    figures = "".join(_image(_scatter(points, labels), f"{layout.method}, {when}") for when, points in both)
    return f'<div class="maps">{figures}</div>'


def _scatter(points: NDArray[np.float32], labels: NDArray[np.int64]) -> Figure:
    figure = Figure(figsize=(5, 4.4), layout="constrained")
    axes: Any = figure.add_subplot(projection="3d" if points.shape[1] == 3 else None)
    for label in np.unique(labels):
        chosen = points[labels == label].T
        axes.scatter(*chosen, marker=".", color=_COLOURS(int(label) % 10), label=str(label))
    for axis in ("x", "y", "z")[: points.shape[1]]:
        axes.set(**{f"{axis}ticks": []})
    axes.legend(fontsize=7, markerscale=2, loc="upper right")
    return figure


def _row(example: Neighbours) -> str:
    found = "".join(_small(image, right) for image, right in zip(example.found, example.right, strict=True))
    return f'<div class="row">{_small(example.asked, True)}<span>→</span>{found}</div>'


def _small(image: NDArray[np.float32], right: bool) -> str:
    file = io.BytesIO()
    Image.fromarray((image * 255).astype(np.uint8)).save(file, "PNG")
    what = ("", "same label") if right else ("wrong", "another label")
    return f'<img class="{what[0]}" alt="{what[1]}" src="{_data(file.getvalue())}">'


def _image(figure: Figure, caption: str) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    words = escape(caption)
    return f'<figure><img alt="{words}" src="{_data(file.getvalue())}"><figcaption>{words}</figcaption></figure>'


def _data(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
