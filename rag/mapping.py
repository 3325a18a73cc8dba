"""A map of the library: which passages are drawn, whose vectors they have, and which queries are drawn among them.

It is of versions of the index and of candidates, by name: "v2" is a version with the model that wrote it,
"1a-20261121-154501" the live version with queries as that candidate embeds them.
"""

import random
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from threading import Event

import numpy as np
from numpy.typing import NDArray

from rag.errors import IndexMismatch, TuneError
from rag.files import write_whole
from rag.live import LiveIndex
from rag.protocols import Embedder, Store
from rag.records import Chunk
from rag.store.index_versions import IndexVersions
from rag.store.manifest import Manifest, is_same_space
from rag.tune.map_page import render
from rag.tune.maps import METHODS, LibraryMap, Side, Spot, lay_out
from rag.tune.records import Pair, Step
from rag.tune.runs import MAPS
from rag.tune.space import Figures

POINTS = 3000  # passages on a map: UMAP takes seconds for so many, minutes for ten times that
_QUERIES = 150  # arrows that a person can still follow
_AT_ONCE = 200  # documents whose passages are read together
_WORDS = 400  # characters of a passage; the page shows fewer
_FIRST = ("feedback", "import", "synthetic", "structure")  # whose queries are drawn before others

OnStep = Callable[[Step], None]
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MadeMap:
    """A map on disk, and its figures: of one side, or before and after. `shown` of `total` passages are on it."""

    path: Path
    names: tuple[str, ...]
    shown: int
    total: int
    queries: int
    figures: tuple[Figures, ...]
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """One side of a map before it is drawn: a version of the index, and what embeds queries for it."""

    name: str
    title: str
    store: Store
    embedder: Embedder


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query of a pair and the chunk that answers it."""

    query: str
    chunk: str


class Mapper:
    """Draws maps of the library in `home`.

    Args:
        index: the live version of its index.
        versions: all of them.
        build_embedder: the embedder that a reference means.
        tuned: the embedder with the queries of the candidate of that name; None where there is no such candidate.
        live: the name of the candidate that searches now, "" where none does.
        pairs: everything there is to learn from.
    """

    def __init__(
        self,
        home: Path,
        index: LiveIndex,
        versions: IndexVersions,
        build_embedder: Callable[[str], Embedder],
        tuned: Callable[[str], Embedder | None],
        live: Callable[[], str],
        pairs: Callable[[], Sequence[Pair]],
    ) -> None:
        self._folder = home / "tuning" / MAPS
        self._index = index
        self._versions = versions
        self._build_embedder = build_embedder
        self._tuned = tuned
        self._live = live
        self._pairs = pairs

    def make_map(
        self,
        a: str = "",
        b: str = "",
        *,
        points: int = POINTS,
        on_step: OnStep = lambda step: None,
        stop: Event | None = None,
    ) -> MadeMap | None:
        """Draw what `a` is and what became of it in `b`, as RAG_HOME/tuning/maps/<a>--<b>.html; None: it was stopped.

        Args:
            a: a version of the index or a candidate; "": the live version with queries as its model embeds them. One
                name alone is what that became.
            b: likewise; "" is the candidate that searches now, or nothing where none does.
            points: passages on the map; of a larger library so many are drawn evenly.
            on_step: told what is begun, in words, with how many such steps there are.

        Raises:
            TuneError: there is no such version or candidate, or nothing to draw.
            ModelError: an embedder that is needed cannot be used.
        """
        if a and not b:
            a, b = "", a
        with ExitStack() as opened:
            before = self._place(a, opened)
            name = b or self._live()
            after = self._place(name, opened) if name and name != before.name else None
            places = [before] if after is None else [before, after]
            steps = iter(_steps(len(places)))

            def go_on() -> bool:
                on_step(next(steps))
                return stop is None or not stop.is_set()

            if not go_on():
                return None
            asked = self._asked(before.store)
            chunks, total = _sample(before.store, points, [each.chunk for each in asked])
            chunks, documents = _with_vectors(chunks, places)
            row = {chunk.id: at for at, chunk in enumerate(chunks)}
            asked = [each for each in asked if each.chunk in row]
            sides = []
            for place, vectors in zip(places, documents, strict=True):
                if not go_on():
                    return None
                sides.append(Side(place.title, vectors, _embedded(place.embedder, asked)))
            drawn = lay_out(
                spots_of(chunks),
                [each.query for each in asked],
                [row[each.chunk] for each in asked],
                sides[0],
                sides[1] if len(sides) == 2 else None,
                total=total if total > points else None,  # those without words have no dot
                on_layout=lambda method: on_step(next(steps)),
            )
            if not go_on():
                return None
        return self._written(drawn, "--".join(place.name for place in places))

    def _place(self, name: str, opened: ExitStack) -> _Place:
        """A version or candidate made ready; stores that are not the live one's are closed with `opened`."""
        live = self._index.now()
        if name in ("", live.version):
            return _Place(live.version, live.embedder.state.name, live.store, live.embedder)
        manifest = self._versions.manifest(name) if name in self._known() else None
        if manifest is not None:
            embedder = self._build_embedder(manifest.reference or manifest.embedder)
            if not is_same_space(manifest, Manifest.of(embedder)):
                raise IndexMismatch(
                    f"version {name!r} of the index was written by another model than {embedder.state.name!r} is now; "
                    "its queries cannot be drawn"
                )
            store = self._versions.open(name)
            opened.callback(store.close)
            return _Place(name, f"{manifest.embedder} ({name})", store, embedder)
        tuned = self._tuned(name)
        if tuned is None:
            raise TuneError(
                f"there is no version of the index and no candidate called {name!r}; see `rag index versions` and "
                "`rag tune status`"
            )
        if tuned.fingerprint != live.embedder.fingerprint:
            raise TuneError(
                f"candidate {name!r} has vectors of its own for passages; embed them first: rag tune reembed {name}"
            )
        return _Place(name, name, live.store, tuned)

    def _known(self) -> set[str]:
        return {self._versions.live(), *self._versions.kept(), *self._versions.begun()}

    def _asked(self, store: Store) -> list[_Asked]:
        """Queries of pairs whose answers are in the library, those that people asked first, then the newest."""
        pairs = sorted(self._pairs(), key=lambda pair: (_FIRST.index(pair.source), -pair.time, pair.id))
        there = {chunk.id for chunk in store.get([pair.positive.id for pair in pairs])}
        queries = {pair.query: _Asked(pair.query, pair.positive.id) for pair in pairs if pair.positive.id in there}
        return list(queries.values())[:_QUERIES]

    def _written(self, drawn: LibraryMap, name: str) -> MadeMap:
        path = self._folder / f"{name}.html"
        page = render(drawn, f"Map of the library: {' and '.join(drawn.names)}")
        write_whole(path, page.encode(), TuneError)
        return MadeMap(
            path, drawn.names, len(drawn.spots), drawn.total, len(drawn.queries), drawn.figures, drawn.alarms
        )


def spots_of(chunks: Sequence[Chunk]) -> list[Spot]:
    """What is shown of chunks: folders are told from the one that all of them lie in."""
    folders = [_folder(chunk.path) for chunk in chunks]
    common = _common(folders)
    return [
        Spot(
            chunk.title,
            "/".join(folder[common:]),
            chunk.kind,
            " ".join(filter(None, (chunk.caption, chunk.text)))[:_WORDS],
        )
        for chunk, folder in zip(chunks, folders, strict=True)
    ]


def _folder(path: str) -> list[str]:
    """The folders of a file on any system; an attachment lies where its mail does."""
    return path.split("!/", 1)[0].replace("\\", "/").split("/")[:-1]


def _common(folders: Sequence[Sequence[str]]) -> int:
    """How many folders all of them begin with."""
    same = 0
    for names in zip(*folders, strict=False):
        if len(set(names)) > 1:
            break
        same += 1
    return same


def _steps(places: int) -> list[Step]:
    words = ["reading passages", *["embedding queries"] * places, *(f"laying out by {name}" for name in METHODS)]
    words.append("writing the page")
    return [Step("draw", done, len(words), time.time(), text=text) for done, text in enumerate(words)]


def _sample(store: Store, points: int, wanted: Sequence[str]) -> tuple[list[Chunk], int]:
    """The `wanted` chunks, and others drawn evenly from all, up to `points` together; and how many there are.

    The same library gives the same sample.
    """
    counts = {document: count for document, (_, count) in sorted(store.versions().items())}
    documents, ends = list(counts), list(accumulate(counts.values()))
    total = ends[-1] if ends else 0
    found = {chunk.id: chunk for chunk in store.get(list(wanted))}
    drawn = sorted(random.Random(0).sample(range(total), min(points, total)))  # noqa: S311  nothing here is secret
    by_document: dict[str, list[int]] = {}
    for at in drawn:
        number = bisect_right(ends, at)
        by_document.setdefault(documents[number], []).append(at - ends[number] + counts[documents[number]])
    names = list(by_document)
    for at in range(0, len(names), _AT_ONCE):
        part = names[at : at + _AT_ONCE]
        chunks: dict[str, list[Chunk]] = {name: [] for name in part}
        for chunk in store.chunks(part):
            chunks[chunk.document_id].append(chunk)
        for name in part:
            places = [place for place in by_document[name] if place < len(chunks[name])]
            found.update((chunks[name][place].id, chunks[name][place]) for place in places)
    return list(found.values())[: max(points, len(wanted))], total


def _with_vectors(chunks: Sequence[Chunk], places: Sequence[_Place]) -> tuple[list[Chunk], list[Vectors]]:
    """Those of `chunks` that have a vector everywhere, and these vectors; the very same array where the store is."""
    ids = [chunk.id for chunk in chunks]
    stores = {id(place.store): place for place in places}
    found = {key: place.store.vectors(place.embedder.space, ids) for key, place in stores.items()}
    shared = [chunk for chunk in chunks if all(chunk.id in vectors for vectors in found.values())]
    if not shared:
        raise TuneError("there is no passage to draw: add something first, or name versions that share passages")
    stacked = {key: np.stack([vectors[chunk.id] for chunk in shared]) for key, vectors in found.items()}
    return shared, [stacked[id(place.store)] for place in places]


def _embedded(embedder: Embedder, asked: Sequence[_Asked]) -> Vectors:
    """float32[Q, D]; the model is not loaded for nothing."""
    if not asked:
        return np.zeros((0, embedder.dim), np.float32)
    return embedder.embed([each.query for each in asked], "query")
