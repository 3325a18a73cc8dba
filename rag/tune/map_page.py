"""A map as one HTML file: nothing is loaded from elsewhere, and words from documents are data, never markup.

The browser is told to run the one script that is written here, known by its digest, and nothing else.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from rag.text import one_line, visible
from rag.tune.layout import Points
from rag.tune.maps import Layout, LibraryMap, Placed

_TITLE, _WORDS, _QUERY = 120, 200, 200  # characters that are shown of each
_GRAIN = 9999  # places along a side: finer than a screen

_FIGURES = (
    ("Alignment", "how far queries lie from what answers them, squared; low is good"),
    ("Uniformity", "how evenly documents are spread; low is good"),
    ("Effective rank", "in how many directions documents spread"),
    ("Hubness", "how unevenly documents come up among the nearest; 0 is even"),
)


def render(shown: LibraryMap, title: str) -> str:
    """The page, a whole HTML document."""
    style, script = _part("map.css"), _part("map.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>{escape(_said(shown))}</p>
<noscript><p>Without scripts the map cannot be drawn; the figures below can be read.</p></noscript>
<main>
<form id="choices"></form>
<div id="frame">
<canvas id="map" tabindex="0" role="application" aria-describedby="how"></canvas>
<div id="tip" hidden></div>
</div>
<p id="how">Point at a dot, or press the arrow keys to go from dot to dot. Scroll, pinch, or press + and - to come
closer, drag to move, 0 for all.</p>
<p id="told" aria-live="polite"></p>
<div id="legend" role="group" aria-label="What is shown"></div>
</main>
<h2>Figures</h2>
{_alarms(shown.alarms)}
{_table(shown)}
<script type="application/json" id="data">{_data(shown)}</script>
<script>{script}</script>
</body>
</html>
"""


def _said(shown: LibraryMap) -> str:
    count = len(shown.spots)
    chunks = f"{count:,} of {shown.total:,} passages, drawn evenly" if count < shown.total else f"{count:,} passages"
    words = f"{chunks}, each a dot; what lies close together is alike to {shown.names[0]!r}."
    if len(shown.names) == 1:
        return words
    if shown.moved:
        return f"{words} After: to {shown.names[1]!r}, turned onto the first as well as it goes."
    return f"{words} Arrows are queries: from where they were to where {shown.names[1]!r} puts them."


def _alarms(alarms: Sequence[str]) -> str:
    if not alarms:
        return ""
    items = "".join(f"<li>{escape(words)}</li>" for words in alarms)
    return f"<p>To be looked at; whether search is better only questions can tell:</p><ul>{items}</ul>"


def _table(shown: LibraryMap) -> str:
    columns = [(each.alignment, each.uniformity, each.rank, each.hubness) for each in shown.figures]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in shown.names)
    rows = "".join(
        f'<tr><th scope="row">{name}<small>{words}</small></th>'
        + "".join(f"<td>{_number(values[at])}</td>" for values in columns)
        + "</tr>"
        for at, (name, words) in enumerate(_FIGURES)
    )
    return f'<div class="scroll"><table><tr><td></td>{head}</tr>{rows}</table></div>'


def _number(value: float | None) -> str:
    return "no pairs" if value is None else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _data(shown: LibraryMap) -> str:
    """What the script draws, as JSON in which nothing can end the element that it stands in."""
    folders = {name: at for at, name in enumerate(sorted({spot.folder for spot in shown.spots}))}
    kinds = {name: at for at, name in enumerate(sorted({spot.kind for spot in shown.spots}))}
    values: dict[str, Any] = {
        "names": [_shown(name, _TITLE) for name in shown.names],
        "moved": shown.moved,
        "folders": [_shown(folder, _TITLE) for folder in folders],
        "kinds": list(kinds),
        "spots": [
            [_shown(s.title, _TITLE), _shown(s.words, _WORDS), folders[s.folder], kinds[s.kind]] for s in shown.spots
        ],
        "queries": [_shown(query, _QUERY) for query in shown.queries],
        "answers": list(shown.answers),
        "layouts": [_placed(layout) for layout in shown.layouts],
    }
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _placed(layout: Layout) -> dict[str, Any]:
    """Places in whole numbers from 0 to _GRAIN around the middle, of one scale for both directions and both sides."""
    sides = [layout.before] if layout.after is None else [layout.before, layout.after]
    every = np.concatenate([part for side in sides for part in (side.documents, side.queries)])
    middle, size = (every.min(axis=0) + every.max(axis=0)) / 2, float(np.ptp(every, axis=0).max()) or 1.0

    def grid(points: Points) -> list[list[int]]:
        places: list[list[int]] = np.rint(((points - middle) / size + 0.5) * _GRAIN).astype(int).tolist()
        return places

    def side_of(side: Placed) -> dict[str, Any]:
        return {"spots": grid(side.documents), "queries": grid(side.queries)}

    return {"method": layout.method, "sides": [side_of(side) for side in sides]}


def _shown(text: str, limit: int) -> str:
    return one_line(visible(text), limit)


def _part(name: str) -> str:
    return files("rag.tune").joinpath(name).read_text("utf-8")


def _digest(part: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
