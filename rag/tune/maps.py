"""A library laid out in the plane, before and after its retriever learnt: what lies together, and what moved.

Where the documents stay and only queries are embedded in another way, queries are drawn as arrows. Where documents got
other vectors each side has a layout of its own, and the later one is turned onto the earlier one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rag.tune.layout import Points, aligned, plane, umap
from rag.tune.space import Figures, Vectors, alarms, figures

METHODS = ("PCA", "UMAP")


@dataclass(frozen=True, slots=True)
class Spot:
    """A chunk on the map: where it comes from, its kind, and the words that tell a person which one it is."""

    title: str
    folder: str
    kind: str
    words: str


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A retriever's vectors, unit rows: float32[N, D] of the chunks shown, float32[Q, D] of the queries."""

    name: str
    documents: Vectors = field(repr=False)
    queries: Vectors = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Where float32[N, 2] chunks and float32[Q, 2] queries are."""

    documents: Points
    queries: Points


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Both sides laid out by one method; `after` is None where there is one side only."""

    method: str
    before: Placed
    after: Placed | None


@dataclass(frozen=True, slots=True, eq=False)
class LibraryMap:
    """All that the page shows.

    Args:
        total: chunks of the library, of which `spots` may be a sample.
        queries: the queries of pairs, each answered by the chunk at `answers` among `spots`.
        moved: whether documents have other vectors after than before.
        figures: of each side; `alarms` says in plain words what got worse between them.
    """

    names: tuple[str, ...]
    total: int
    spots: tuple[Spot, ...]
    queries: tuple[str, ...]
    answers: tuple[int, ...]
    moved: bool
    layouts: tuple[Layout, ...]
    figures: tuple[Figures, ...]
    alarms: tuple[str, ...]


def lay_out(
    spots: Sequence[Spot],
    queries: Sequence[str],
    answers: Sequence[int],
    before: Side,
    after: Side | None,
    *,
    total: int | None = None,
    seed: int = 0,
    on_layout: Callable[[str], None] = lambda method: None,
) -> LibraryMap:
    """The map of N >= 1 chunks. The same vectors and seed give the same map, on one machine.

    Args:
        spots: of the N chunks, in the order of the rows of both sides.
        queries: Q >= 0 texts, of which `answers` names the row of the chunk that answers each.
        after: None where there is nothing to compare with. Its documents are the very array of `before` where only
            queries are embedded in another way.
        total: chunks of the library; None: all of them are here.
        on_layout: told each of METHODS before it is begun.
    """
    sides = (before,) if after is None else (before, after)
    layouts = []
    for method in METHODS:
        on_layout(method)
        layouts.append(_layout(method, before, after, seed))
    found = tuple(figures(side.documents, side.queries, side.documents[list(answers)]) for side in sides)
    return LibraryMap(
        names=tuple(side.name for side in sides),
        total=len(spots) if total is None else total,
        spots=tuple(spots),
        queries=tuple(queries),
        answers=tuple(answers),
        moved=after is not None and after.documents is not before.documents,
        layouts=tuple(layouts),
        figures=found,
        alarms=alarms(*found) if len(found) == 2 else (),
    )


def _layout(method: str, before: Side, after: Side | None, seed: int) -> Layout:
    if after is not None and after.documents is before.documents:
        both = _placed(method, before.documents, [before.queries, after.queries], seed)
        return Layout(method, both[0], both[1])
    (first,) = _placed(method, before.documents, [before.queries], seed)
    if after is None:
        return Layout(method, first, None)
    (second,) = _placed(method, after.documents, [after.queries], seed)
    onto = aligned(second.documents, first.documents)
    return Layout(method, first, Placed(onto(second.documents), onto(second.queries)))


def _placed(method: str, documents: Vectors, queries: Sequence[Vectors], seed: int) -> list[Placed]:
    """The documents once, with each set of queries among them."""
    if method == "PCA":
        laid = plane(documents, 2)
        places = laid(documents)
        return [Placed(places, laid(each)) for each in queries]
    points = umap(np.concatenate([documents, *queries]), 2, seed)
    ends: NDArray[np.int64] = np.cumsum([len(documents), *map(len, queries)])
    parts = np.split(points, ends[:-1])
    return [Placed(parts[0], part) for part in parts[1:]]
