"""What the live version of the index has and another one has not is brought over: copied, its texts embedded anew.

Words, chunks and the vectors of pictures are copied as they are; a chunk gets a text vector if it has one in the live
version. Nothing is read or cut again: of a chunk that was cut for an embedder of longer texts the beginning is
embedded, all of its words are found, and it is counted. What a version has is noted after each step.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from threading import Event

from rag.errors import StoreError
from rag.filters import In
from rag.ingest.chunk import embedding_text
from rag.protocols import IMAGE_SPACE, TEXT_SPACE, Embedder, Store
from rag.records import EmbeddedChunk, Progress, Vector
from rag.store.index_versions import IndexVersions
from rag.store.ledger import Stamp

OnProgress = Callable[[Progress], None]

EMBED_CHUNKS = 128  # progress is told after so many
READ_CHUNKS = 512  # of the live version at a time
WRITE_CHUNKS, WRITE_SECONDS = 2048, 5.0  # what is lost when it is killed, or the one document that took longer
_PICTURES = 1024  # whose vectors are copied in one step
_LOOKS = In("modality", ("image",))


class Stopped(Exception):
    """The person asked to stop."""


class Carrier:
    """Brings `version` up to date. `embedded` chunks were embedded so far, of `cut` of them only the beginning."""

    def __init__(
        self,
        versions: IndexVersions,
        version: str,
        embedder: Embedder,
        on_progress: OnProgress | None,
        stop: Event,
    ) -> None:
        self.version = version
        self.embedder = embedder
        self.embedded = self.cut = 0
        self._versions = versions
        self._on_progress = on_progress
        self._stop = stop
        self._started = self._written = time.monotonic()
        self._done = self._total = 0  # chunks
        self._waiting: dict[str, list[EmbeddedChunk]] = {}  # documents on their way to the store
        self._taken: dict[str, str] = {}  # when each of them was read into the library
        self._untidy = version in versions.begun()
        self._settled = False

    def catch_up(self, source: Store, target: Store, *, at_rest: bool = False) -> None:
        """Make `target`, the store of the version, hold what `source` holds, the store of the live one.

        While somebody may be adding it gets as close as that allows. With the write lock held call it `at_rest`: both
        hold the same when it returns.

        Raises:
            Stopped: `stop` was set; what is embedded is written.
            StoreError: at rest, and the live version does not hold what the catalogue says.
        """
        if not self._settled:
            self._settle(target)
        while behind := self._behind(target):
            if not self._bring(behind, source, target):
                break  # each of those documents is being written to the live version at this moment
        self._copy_looks(source, target)
        if at_rest:
            self._check(target)
        if self._untidy:
            target.maintain()
            self._untidy = False

    def _settle(self, target: Store) -> None:
        """Make what is noted agree with what the store holds: a kill may have come in between."""
        stamps, noted = self._versions.stamps(), self._versions.carried(self.version)
        current = {name: stamp for name, stamp in stamps.items() if noted.get(name) == stamp.indexed}
        if target.count() != sum(stamp.chunks for stamp in current.values()):
            held = target.versions()
            wrong = [name for name, stamp in current.items() if held.get(name) != _as_held(stamp)]
            self._versions.forget(self.version, wrong)
            self._remove(target, held.keys() - stamps.keys())
        self._settled = True

    def _behind(self, target: Store) -> dict[str, Stamp]:
        """The documents that are to be brought over; those that went are removed."""
        stamps, noted = self._versions.stamps(), self._versions.carried(self.version)
        self._remove(target, noted.keys() - stamps.keys())
        behind = {name: stamp for name, stamp in stamps.items() if noted.get(name) != stamp.indexed}
        self._total = sum(stamp.chunks for stamp in stamps.values())
        self._done = self._total - sum(stamp.chunks for stamp in behind.values())
        return behind

    def _remove(self, target: Store, documents: Iterable[str]) -> None:
        if gone := sorted(documents):
            target.replace_documents(dict.fromkeys(gone, ()))
            self._versions.forget(self.version, gone)
            self._untidy = True

    def _bring(self, behind: Mapping[str, Stamp], source: Store, target: Store) -> bool:
        """Bring documents over; whether any of them could be."""
        brought = False
        for group in _groups(behind, READ_CHUNKS):
            found: dict[str, list[EmbeddedChunk]] = {name: [] for name in group}
            for each in source.embedded(list(group)):
                found[each.chunk.document_id].append(each)
            whole = {name: stamp for name, stamp in group.items() if _held(found[name]) == _as_held(stamp)}
            for part in _groups(whole, EMBED_CHUNKS):
                self._take({name: found[name] for name in part}, target)
                self._taken |= {name: stamp.indexed for name, stamp in part.items()}
                if self._is_due():
                    self._write(target)
            brought = brought or bool(whole)
        self._write(target)
        return brought

    def _take(self, documents: Mapping[str, Sequence[EmbeddedChunk]], target: Store) -> None:
        embedded = self._embedded([each for chunks in documents.values() for each in chunks], target)
        for name, chunks in documents.items():
            self._waiting[name] = [embedded[each.chunk.id] for each in chunks]

    def _is_due(self) -> bool:
        waiting = sum(map(len, self._waiting.values()))
        return waiting >= WRITE_CHUNKS or time.monotonic() - self._written >= WRITE_SECONDS

    def _embedded(self, chunks: Sequence[EmbeddedChunk], target: Store) -> dict[str, EmbeddedChunk]:
        """The chunks by id, those that have a text vector with one of the new embedder."""
        found = {each.chunk.id: each for each in chunks}
        todo = [each for each in chunks if any(vector.space == TEXT_SPACE for vector in each.vectors)]
        self._done += len(chunks) - len(todo)
        self._tell(chunks[0].chunk.path if chunks else "")
        for start in range(0, len(todo), EMBED_CHUNKS):
            if self._stop.is_set():
                self._write(target)
                raise Stopped
            part = todo[start : start + EMBED_CHUNKS]
            texts = [embedding_text(each.chunk) for each in part]
            self.cut += sum(self.embedder.count_tokens(text) > self.embedder.max_tokens for text in texts)
            for each, row in zip(part, self.embedder.embed(texts, "passage"), strict=True):
                others = (vector for vector in each.vectors if vector.space != TEXT_SPACE)
                found[each.chunk.id] = replace(each, vectors=(Vector(TEXT_SPACE, row), *others))
            self.embedded += len(part)
            self._done += len(part)
            self._tell(part[-1].chunk.path)
        return found

    def _write(self, target: Store) -> None:
        if self._waiting:
            target.replace_documents(self._waiting)
            self._versions.carry(self.version, self._taken)
            self._untidy = True
        self._waiting, self._taken = {}, {}
        self._written = time.monotonic()

    def _copy_looks(self, source: Store, target: Store) -> None:
        """Copy what pictures look like, where that became known after they were brought over."""
        if IMAGE_SPACE not in self._versions.spaces(self.version):
            return
        pictures = target.count(_LOOKS, without=IMAGE_SPACE)
        lacking = [chunk.id for chunk in target.without_vector(IMAGE_SPACE, pictures, _LOOKS)]
        for start in range(0, len(lacking), _PICTURES):
            if vectors := source.vectors(IMAGE_SPACE, lacking[start : start + _PICTURES]):
                target.add_vectors(IMAGE_SPACE, vectors)
                self._untidy = True

    def _check(self, target: Store) -> None:
        if behind := self._behind(target):
            path = next(iter(behind.values())).path
            raise StoreError(f"the index does not hold {path!r} as it was read; run `rag verify`, and add it again")
        if (found := target.count()) != self._total:
            raise StoreError(
                f"version {self.version!r} of the index holds {found} of {self._total} chunks; is another program "
                "writing to it? Try again"
            )

    def _tell(self, path: str) -> None:
        if self._on_progress is None:
            return
        seconds = time.monotonic() - self._started
        left = seconds * (self._total - self._done) / self.embedded if self.embedded else None
        self._on_progress(Progress(self._done, self._total, path, self.embedded, seconds, left, "switch"))


def _as_held(stamp: Stamp) -> tuple[str, int] | None:
    """What `Store.versions` says of a document: nothing where it has no chunks."""
    return (stamp.sha256, stamp.chunks) if stamp.chunks else None


def _held(chunks: Sequence[EmbeddedChunk]) -> tuple[str, int] | None:
    return (chunks[0].chunk.version, len(chunks)) if chunks else None


def _groups(documents: Mapping[str, Stamp], most: int) -> Iterator[dict[str, Stamp]]:
    """Documents with `most` chunks together, a larger one by itself."""
    group: dict[str, Stamp] = {}
    chunks = 0
    for name, stamp in documents.items():
        if group and chunks + stamp.chunks > most:
            yield group
            group, chunks = {}, 0
        group[name] = stamp
        chunks += stamp.chunks
    if group:
        yield group
