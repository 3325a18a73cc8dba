"""Adding files: scan, skip what is unchanged, read in other processes, embed in batches, write wholly or not at all.

A document is written in three steps that survive being killed between any two of them: the catalogue notes it as
pending, the store replaces its chunks in one commit, the catalogue makes it current. `rag.store.recover` tells from
what the store holds which step was the last.
"""

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from rag.config import Settings
from rag.errors import UnreadableFile
from rag.ingest import media
from rag.ingest.attachments import MARK
from rag.ingest.chunk import embedding_text, says_something
from rag.ingest.options import ParseOptions, ReadOptions
from rag.ingest.parse import Parsed, ReadTask, parse_all
from rag.ingest.scan import FoundFile, scan
from rag.pictures import PREVIEW_SIDE
from rag.protocols import Embedder, Store
from rag.records import AddReport, EmbeddedChunk, Failure, Progress, Vector
from rag.store.catalogue import Catalogue
from rag.thumbnails import Thumbnails

WRITE_CHUNKS = 512  # a batch is written when it holds this many: about ten seconds of embedding on two cores
WRITE_SECONDS = 10.0  # or when the last was written so long ago: reading the text in pictures takes its time
EMBED_CHUNKS = 128  # progress is told after this many
_PICTURE_BYTES = 40_000  # of text are embedded in about the time that one picture takes to read, whatever its size

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What reading one file may take: its size in MiB, its time in seconds; how many processes read, and how."""

    max_file_mb: int
    seconds: int
    workers: int
    chunk_tokens: int
    options: ReadOptions

    @classmethod
    def of(cls, settings: Settings) -> "ReadLimits":
        return cls(
            max_file_mb=settings.max_file_mb,
            seconds=settings.read_seconds,
            workers=settings.workers,
            chunk_tokens=settings.chunk_tokens,
            options=ReadOptions(settings.ocr, settings.picture_location, settings.max_megapixels),
        )


@dataclass
class Tally:
    """The report in the making."""

    started: float = field(default_factory=time.monotonic)
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    warnings: list[Failure] = field(default_factory=list)
    chunks: int = 0

    def report(self) -> AddReport:
        return AddReport(
            added=tuple(self.added),
            updated=tuple(self.updated),
            unchanged=tuple(self.unchanged),
            removed=tuple(self.removed),
            vanished=tuple(self.vanished),
            skipped=tuple(self.skipped),
            failed=tuple(self.failed),
            warnings=tuple(self.warnings),
            chunks=self.chunks,
            seconds=time.monotonic() - self.started,
        )


class Indexer:
    """One run of `add`. Use it once, holding the library's write lock."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: Callable[[], Store],
        embedder: Embedder,
        limits: ReadLimits,
        on_progress: OnProgress | None = None,
        stop: Event | None = None,
        thumbnails: Thumbnails | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._store = store
        self._embedder = embedder
        self._limits = limits
        self._thumbnails = thumbnails
        self._on_progress = on_progress
        self._stop = stop or Event()
        self._tally = Tally()
        self._batch: list[Parsed] = []
        self._hashes: dict[str, str | None] = {}
        self._again: set[str] = set()  # notes that are read again though their own bytes are the same
        self._sizes: dict[str, int] = {}  # bytes of each file to be read: what the time left is judged by
        self._done = 0  # files that are written or have failed
        self._done_bytes = 0
        self._written = False
        self._write_due = time.monotonic() + WRITE_SECONDS

    def run(self, paths: Sequence[Path | str], prune: bool = False) -> AddReport:
        """Index files and folders; see `Library.add`."""
        found = scan(paths)
        self._tally.skipped += found.skipped
        self._tally.failed += found.failed
        self._forget_vanished(paths, {file.path for file in found.files}, prune)
        self._index(self._changed(found.files), [_folder(path) for path in paths])
        self._catalogue.record_failures(self._tally.failed)
        if self._written:
            self._store().maintain()  # BM25 is exact again, and old versions are given back
        return self._tally.report()

    def _changed(self, files: Sequence[FoundFile]) -> list[FoundFile]:
        """The files whose content is not what is indexed; the others are tallied as unchanged."""
        known, outdated = self._catalogue.states(), self._catalogue.outdated() | self._unwanted_places()
        self._again = self._notes_to_read_again(files, known.keys()) - outdated
        changed = []
        for file in files:
            same = file.path in known and self._hash(file.path) == known[file.path][1]
            if same and file.path not in self._again and file.path not in outdated:
                self._tally.unchanged.append(file.path)
            else:
                changed.append(file)
        return changed

    def _unwanted_places(self) -> set[str]:
        """Files kept with places where photos were taken, though the settings no longer want them."""
        if self._limits.options.location:
            return set()
        return {path.split(MARK)[0] for path in self._catalogue.placed()}

    def _notes_to_read_again(self, files: Sequence[FoundFile], known: Collection[str]) -> set[str]:
        """Notes that show a picture which has changed or gone, or that may have missed one which is there now."""
        again = {
            note
            for note, shown in self._catalogue.shown().items()
            if any(self._hash(path) != digest for path, digest in shown.items())
        }
        if any(file.media_type in media.IMAGES and file.path not in known for file in files):
            again.update(info.path for info in self._catalogue.infos(kinds=["note"]) if info.warnings)
        return again

    def _hash(self, path: str) -> str | None:
        """None when it cannot be read: the reader will say why."""
        if path not in self._hashes:
            try:
                with Path(path).open("rb") as opened:
                    self._hashes[path] = hashlib.file_digest(opened, "sha256").hexdigest()
            except OSError:
                self._hashes[path] = None
        return self._hashes[path]

    def _index(self, files: Sequence[FoundFile], roots: Sequence[Path]) -> None:
        self._sizes = {file.path: _PICTURE_BYTES if file.media_type in media.IMAGES else file.size for file in files}
        tasks = [ReadTask(file.path, file.media_type, _root(file.path, roots)) for file in files]
        tokenizer, limits = self._embedder.tokenizer_file, self._limits
        options = ParseOptions(
            tokenizer_file=str(tokenizer) if tokenizer else None,
            max_tokens=min(limits.chunk_tokens, self._embedder.max_tokens),
            max_file_mb=limits.max_file_mb,
            read=limits.options,
        )
        results = parse_all(tasks, options, limits.workers, limits.seconds)
        with closing(results):
            for task, outcome in results:
                if self._stop.is_set():
                    break
                self._take(task.path, outcome)
        if self._batch:
            self._write()

    def _take(self, path: str, outcome: Parsed | UnreadableFile) -> None:
        if isinstance(outcome, UnreadableFile):
            self._tally.failed.append(Failure(path, outcome.reason))
            self._count_done([path])
        elif path in self._again and outcome.document == self._catalogue.document(outcome.document.id):
            self._tally.unchanged.append(path)
            self._count_done([path])
        else:
            self._batch.append(self._without_previews(outcome))
        full = sum(len(document.chunks) for document in _whole(self._batch)) >= WRITE_CHUNKS
        if self._batch and (full or time.monotonic() >= self._write_due):
            self._write()
        self._tell(path)

    def _without_previews(self, parsed: Parsed) -> Parsed:
        """The document without its previews, which go to the cache: memory and catalogue are not for them."""
        for picture in parsed.document.pictures:
            if picture.preview and self._thumbnails:
                self._thumbnails.put(picture.digest, PREVIEW_SIDE, picture.preview)
        pictures = tuple(replace(picture, preview=b"") for picture in parsed.document.pictures)
        return replace(
            parsed,
            document=replace(parsed.document, pictures=pictures),
            attachments=tuple(map(self._without_previews, parsed.attachments)),
        )

    def _count_done(self, paths: Sequence[str]) -> None:
        self._done += len(paths)
        self._done_bytes += sum(self._sizes[path] for path in paths)

    def _write(self) -> None:
        """Embed and write the batch: every document of it wholly, in one commit."""
        documents = list(_whole(self._batch))
        embedded = self._embedded(documents)
        gone = self._lost_attachments(documents)
        before, store = self._catalogue.states(), self._store()
        old_pictures = self._catalogue.digests([*embedded, *gone])
        self._catalogue.begin([(parsed.document, len(parsed.chunks)) for parsed in documents], remove=gone)
        store.replace_documents({**embedded, **dict.fromkeys(gone, ())})
        self._catalogue.finish()
        if self._thumbnails:
            self._thumbnails.remove(self._catalogue.unused(old_pictures))
        for parsed in documents:
            path = parsed.document.path
            (self._tally.updated if path in before else self._tally.added).append(path)
            self._tally.warnings += [Failure(path, warning) for warning in parsed.document.warnings]
            self._tally.failed += parsed.failed
            self._tally.chunks += len(parsed.chunks)
        self._count_done([parsed.document.path for parsed in self._batch])
        self._batch = []
        self._written = True
        self._write_due = time.monotonic() + WRITE_SECONDS

    def _embedded(self, documents: Sequence[Parsed]) -> dict[str, list[EmbeddedChunk]]:
        """The chunks of all documents, embedded together: many short notes fill one batch of the model.

        A chunk that says nothing, as a picture without words may, gets no vector: it would be near to anything short.
        """
        pairs = [pair for parsed in documents for pair in zip(parsed.chunks, parsed.words, strict=True)]
        todo = [(chunk, words) for chunk, words in pairs if says_something(chunk)]
        embedded: dict[str, list[EmbeddedChunk]] = {parsed.document.id: [] for parsed in documents}
        for chunk, words in pairs:
            if not says_something(chunk):
                embedded[chunk.document_id].append(EmbeddedChunk(chunk, words, ()))
        for start in range(0, len(todo), EMBED_CHUNKS):
            part = todo[start : start + EMBED_CHUNKS]
            rows = self._embedder.embed([embedding_text(chunk) for chunk, _ in part], "passage")
            for (chunk, words), row in zip(part, rows, strict=True):
                vector = Vector(self._embedder.space, row)
                embedded[chunk.document_id].append(EmbeddedChunk(chunk, words, (vector,)))
            self._tell(part[-1][0].path, start + len(part), len(todo))
        return embedded

    def _lost_attachments(self, documents: Sequence[Parsed]) -> list[str]:
        """Attachments that a changed mail no longer has: they go in the same commit as its new version."""
        kept = {parsed.document.id for parsed in documents}
        return [
            child for parsed in documents for child in self._catalogue.children(parsed.document.id) if child not in kept
        ]

    def _forget_vanished(self, paths: Sequence[Path | str], found: set[str], prune: bool) -> None:
        """Report indexed files that are gone from the folders given; with `prune`, remove them."""
        roots = [Path(path).resolve() for path in paths]  # as `scan` names what lies under them
        gone = {
            path: document
            for path, (document, _) in self._catalogue.states().items()
            if MARK not in path and path not in found and _under(path, roots) and not Path(path).exists()
        }
        if prune and gone:
            remove_documents(self._catalogue, self._store(), list(gone.values()), self._thumbnails)
            self._tally.removed += gone
            self._written = True
        else:
            self._tally.vanished += gone
        failed = [failure.path for failure in self._catalogue.failures()]
        self._catalogue.clear_failures(path for path in failed if _under(path, roots) and not Path(path).exists())

    def _tell(self, path: str, embedded: int = 0, to_embed: int = 1) -> None:
        """`embedded` of `to_embed` chunks of the batch in work are through: embedding is what takes the time."""
        if self._on_progress is None:
            return
        share = embedded / to_embed
        in_work = sum(self._sizes[parsed.document.path] for parsed in self._batch)
        done_bytes = self._done_bytes + share * in_work
        seconds = time.monotonic() - self._tally.started
        left = sum(self._sizes.values()) - done_bytes
        self._on_progress(
            Progress(
                done=self._done + int(share * len(self._batch)),
                total=len(self._sizes),
                path=path,
                chunks=self._tally.chunks + embedded,
                seconds=seconds,
                seconds_left=seconds * left / done_bytes if done_bytes else None,
            )
        )


def remove_documents(
    catalogue: Catalogue, store: Store, ids: Sequence[str], thumbnails: Thumbnails | None = None
) -> int:
    """Remove documents with what was attached to them, all in one commit, and their previews; how many went."""
    gone = list(dict.fromkeys(found for document in ids for found in (document, *catalogue.children(document))))
    old_pictures = catalogue.digests(gone)
    catalogue.begin([], remove=gone)
    store.replace_documents(dict.fromkeys(gone, ()))
    catalogue.finish()
    if thumbnails:
        thumbnails.remove(catalogue.unused(old_pictures))
    return len(gone)


def _whole(batch: Sequence[Parsed]) -> Iterator[Parsed]:
    """Each parsed file, then what was attached to it, at any depth."""
    for parsed in batch:
        yield parsed
        yield from _whole(parsed.attachments)


def _folder(path: Path | str) -> Path:
    """The folder that was added, or in which the file lies that was."""
    resolved = Path(path).resolve()
    return resolved if resolved.is_dir() else resolved.parent


def _root(path: str, roots: Sequence[Path]) -> str:
    """The widest of the folders added in which `path` lies."""
    inside = [str(root) for root in roots if Path(path).is_relative_to(root)]
    return min(inside, key=len, default=str(Path(path).parent))


def _under(path: str, roots: Sequence[Path]) -> bool:
    return any(Path(path).is_relative_to(root) for root in roots)
