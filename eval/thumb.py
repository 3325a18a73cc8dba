"""How long after "this was it" does the ranking change? Tier 0 in a running program, part by part.

The sample collection is the library, and so many marks were made before. Each new one is of a question whose right
passage stands too low: it is marked, tier 0 learns, the gate is asked, the candidate searches, the question is asked
again. Nothing is started anew in between, as in the program's own window.
"""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from eval.run import Progresses
from rag.build import open_library
from rag.config import load_settings
from rag.library import Library
from rag.records import Chunk
from rag.tune.records import ShownChunk, TuneOptions

_CORPUS = Path(__file__).parents[1] / "corpus"
_LISTED = 20  # passages of a list
_WORDS = 5  # of a passage, that a made-up question is
Spent = tuple[float, float]  # seconds by the clock, and of processors
_PARTS = ("mark", "learn", "swap", "search")  # the gate may be asked in between


def thumbs(marks: int, rounds: int, progress: Progresses) -> dict[str, Any]:
    """Seconds of every part, in each of `rounds`, where `marks` were made before; by the clock and of processors."""
    with TemporaryDirectory(prefix="commonplace-eval-") as folder:
        models = {"embedder": "starter", "generator": "none", "image_embedder": "none"}
        with closing(open_library(load_settings(home=Path(folder) / "home", **models))) as library:
            library.add([_CORPUS])
            chunks = [chunk for chunk in _chunks(library) if len(chunk.text.split()) >= 3 * _WORDS]
            chance = random.Random(0)  # noqa: S311  no secret is made of it
            for number in range(marks):
                _mark(library, _question(chunks[number % len(chunks)], chance), chunks[number % len(chunks)])
            show = progress("thumbs")
            measured = []
            _round(library, chunks, chance)  # the first one embeds all earlier questions, which are kept from then on
            for number in range(rounds):
                measured.append(_round(library, chunks, chance))
                show(number + 1, rounds)
            pairs = library.improver.status().pairs
            return {"marks": marks, "pairs": dict(pairs), "chunks": library.status().chunks, "rounds": measured}


def _round(library: Library, chunks: list[Chunk], chance: random.Random) -> dict[str, Any]:
    """One mark, from the click to the next list."""
    query, chunk, before = _low(library, chunks, chance)
    seconds: dict[str, Spent] = {}
    improver, never = library.improver, Event()
    with _timed(seconds, "mark"):
        _mark(library, query, chunk)
    with _timed(seconds, "learn"):
        candidate = improver.train("0", TuneOptions(), improver.begin("0"), lambda step: None, never)
    if candidate is None:
        raise RuntimeError("nothing stops it here")
    with _timed(seconds, "gate"):
        improver.judge(candidate.name, lambda step: None, never)
    with _timed(seconds, "swap"):
        improver.swap(candidate.name, force=True)
    with _timed(seconds, "search"):
        after = _place(library, query, chunk)
    return {"seconds": seconds, "before": before, "after": after}


@contextmanager
def _timed(seconds: dict[str, Spent], part: str) -> Iterator[None]:
    started, worked = time.perf_counter(), time.process_time()
    yield
    seconds[part] = time.perf_counter() - started, time.process_time() - worked


def _low(library: Library, chunks: list[Chunk], chance: random.Random) -> tuple[str, Chunk, int]:
    """A question whose passage is in the list, but not among its first three."""
    while True:
        chunk = chance.choice(chunks)
        query = _question(chunk, chance)
        place = _place(library, query, chunk)
        if 3 < place <= _LISTED:
            return query, chunk, place


def _place(library: Library, query: str, chunk: Chunk) -> int:
    """From 1; one more than the list is long where it is not there."""
    hits = library.search(query, k=_LISTED).hits
    return next((hit.rank for hit in hits if hit.chunk.id == chunk.id), _LISTED + 1)


def _mark(library: Library, query: str, chunk: Chunk) -> None:
    shown = library.feedback.show(query, "", "", [ShownChunk(chunk.id, chunk.document_id, 1)])
    library.feedback.choose(shown, "this", chunk.id)


def _question(chunk: Chunk, chance: random.Random) -> str:
    """A few words of the passage, in any order."""
    return " ".join(chance.sample(chunk.text.split(), _WORDS))


def _chunks(library: Library) -> list[Chunk]:
    return library._databases.store.chunks([info.id for info in library.documents()])


def print_thumbs(result: Mapping[str, Any], console: Console) -> None:
    """The median and the longest of each part, and of what lies between the mark and the next list."""
    rounds, pairs = result["rounds"], sum(result["pairs"].values())
    table = Table(f"{pairs} pairs, {result['chunks']} chunks", "median s", "longest s", "of processors", box=None)
    for name, parts in {**{part: (part,) for part in _PARTS}, "mark to list": _PARTS, "gate": ("gate",)}.items():
        spent = np.array([[each["seconds"][part] for part in parts] for each in rounds]).sum(axis=1)
        clock, processors = spent.T
        table.add_row(name, f"{np.median(clock):.2f}", f"{clock.max():.2f}", f"{np.median(processors):.2f}")
    console.print(table)
    moved = sum(each["after"] < each["before"] for each in rounds)
    console.print(f"{moved} of {len(rounds)} marked passages stand higher in the next list")
