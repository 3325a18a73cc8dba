"""One file to a library: whole or not at all, nothing embedded again, and nothing in it believed unchecked.

The library is built in a folder beside (see `staging`) while each member's hash is checked, then its counts and the
texts of its chunks, and only then put into place. Files go to the library's folder, and what was read from them
follows; the paths of documents whose files are not in the archive stay as they were.
"""

import errno
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from rag.errors import DiskFull, IndexMismatch, StoreError
from rag.moving.archive import Archive, open_archive
from rag.moving.exporting import CONVERSATION, FAILURE, QUESTION, VECTORS, MoveReport, count_shard, no_counts, report
from rag.moving.originals import extract, places, read_originals
from rag.moving.pace import OnProgress, Pace
from rag.moving.relocated import Relocated, Renamed
from rag.moving.shards import Shard, lines, read_lines, read_shards
from rag.moving.staging import staged
from rag.protocols import Store
from rag.records import document_id
from rag.store.catalogue import Catalogue
from rag.store.conversations import Conversations
from rag.store.lock import write_lock
from rag.store.manifest import Manifest, as_manifest, index_spaces, is_same_space, named, write_manifest
from rag.store.recover import verify
from rag.tune.feedback import FILE as FEEDBACK
from rag.tune.feedback import as_line, as_record
from rag.tune.questions import FILE as QUESTIONS
from rag.tune.records import Choice, Shown

_SPACE, _LARGEST_DIM = re.compile(r"[a-z][a-z0-9_]{0,31}"), 65_536
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")  # the name of one, no path and no address
_OTHER_COUNTS = ("conversations", "pictures", "originals")
_LEARNT = ("feedback", "questions")  # since version 2
_MEMBER = re.compile(
    r"(documents|chunks|conversations)/\d{6}\.jsonl|vectors/[a-z0-9_-]+/\d{6}\.npy|originals/\d{8}"
    r"|asked/[0-9a-f]{64}-\d{1,5}\.webp|failures\.jsonl|originals\.jsonl|feedback\.jsonl|questions\.jsonl"
)


def import_library(
    path: Path,
    home: Path,
    open_index: Callable[[Path, Manifest], Store],
    expected: Manifest | None = None,
    on_progress: OnProgress | None = None,
) -> MoveReport:
    """Make the archive at `path` the library in `home`, which is empty or not there.

    Args:
        path: an archive that `export_library` wrote, here or elsewhere.
        home: the library's folder; its settings and models stay as they are.
        open_index: opens a store in a folder, with all the spaces that the manifest names.
        expected: the manifest that this machine's embedders would begin, None: any will do.
        on_progress: called from this thread after each group of documents and each file.

    Raises:
        ArchiveError: it is damaged, made to do harm, of another version, or `home` has a library already.
        DiskFull: there is no room for it.
        IndexMismatch: its vectors are of another embedder than this machine's.
        LibraryBusy: another process is writing to the library.
        StoreError: it cannot be written.
    """
    started = time.monotonic()
    with open_archive(path) as archive, _translated(home):
        for name in archive.contents.members:
            if not _MEMBER.fullmatch(name):
                raise archive.error(f"{name!r} is not a member of a library")
        manifest = _manifest(archive, expected)
        learnt = _LEARNT if archive.contents.version > 1 else ()
        if archive.contents.counts.keys() != {*no_counts(manifest), *_OTHER_COUNTS, *learnt}:
            raise archive.error("its manifest does not count what a library has")
        home.mkdir(parents=True, exist_ok=True)
        home = home.resolve()  # as files are named when they are indexed
        _check_room(archive, home)
        with write_lock(home), staged(home) as folder:
            problems = _Import(archive, home, folder, manifest, on_progress).run(open_index)
        return report(archive.contents.counts, path, started, problems=problems)


class _Import:
    """One import into `folder`, for a library that will lie in `home`."""

    def __init__(
        self, archive: Archive, home: Path, folder: Path, manifest: Manifest | None, on_progress: OnProgress | None
    ) -> None:
        self._archive, self._folder, self._manifest = archive, folder, manifest
        self._originals = read_originals(archive)
        self._places = places(archive, self._originals, home)
        paths = {old: str(home / place) for old, place in self._places.items() if place is not None}
        self._relocated, self._renamed = Relocated(paths), Renamed()
        chunks = archive.contents.counts.get("chunks", 0)
        self._pace = Pace(chunks + len(self._originals), on_progress)

    def run(self, open_index: Callable[[Path, Manifest], Store]) -> tuple[str, ...]:
        """Build and check it all; the problems that `verify` finds, which the library had before."""
        catalogue = Catalogue(self._folder / "catalogue.sqlite")
        conversations = Conversations(self._folder / "conversations.sqlite")
        try:
            problems = self._put_index(catalogue, open_index)
            catalogue.record_failures(
                [self._relocated.failure(each) for each in read_lines(self._archive, "failures.jsonl", FAILURE)]
            )
            counted = {
                "conversations": self._put_conversations(conversations),
                "pictures": self._put_asked(),
                "originals": self._put_originals(),
                **self._put_learnt(),
            }
        finally:
            catalogue.close()
            conversations.close()
        self._compare(counted)
        return problems

    def _put_index(self, catalogue: Catalogue, open_index: Callable[[Path, Manifest], Store]) -> tuple[str, ...]:
        if self._manifest is None:
            self._compare(no_counts(None))
            if self._archive.names("documents") or self._archive.names("chunks"):
                raise self._archive.error("it has documents and no manifest of their index")
            return ()
        index = self._folder / "index"
        write_manifest(index / "manifest.json", self._manifest)
        store = open_index(index, self._manifest)
        try:
            counts = no_counts(self._manifest)
            for shard in read_shards(self._archive, index_spaces(self._manifest)):
                count_shard(counts, shard)
                self._put_shard(shard, catalogue, store)
            self._compare(counts)
            self._compare_store(store, counts, index_spaces(self._manifest))
            store.maintain()
            return verify(catalogue, store).problems
        finally:
            store.close()

    def _put_shard(self, shard: Shard, catalogue: Catalogue, store: Store) -> None:
        self._check(shard)
        moved = Shard(
            [self._relocated.kept(kept) for kept in shard.documents],
            [self._relocated.embedded(chunk) for chunk in shard.chunks],
        )
        store.replace_documents(moved.by_document())
        catalogue.restore(moved.documents)
        self._note_names(shard, moved)
        if shard.documents:
            self._pace.tell(shard.documents[-1].document.path, len(shard.chunks))

    def _check(self, shard: Shard) -> None:
        """Every document is the one that its path says, and has the chunks that it says, of its own version."""
        held, documents = shard.by_document(), {kept.document.id: kept for kept in shard.documents}
        if unknown := sorted(held.keys() - documents.keys()):
            raise self._archive.error(f"it has chunks of the document {unknown[0]!r} and not the document")
        for name, kept in documents.items():
            document = kept.document
            if name != document_id(document.path):
                raise self._archive.error(f"the document {document.path!r} has the id of another")
            versions = {each.chunk.version for each in held[name]}
            if len(held[name]) != kept.chunks or versions - {document.sha256}:
                raise self._archive.error(f"it does not have the chunks of {document.path!r} as it was read")

    def _note_names(self, shard: Shard, moved: Shard) -> None:
        for old, new in zip(shard.documents, moved.documents, strict=True):
            if old.document.id != new.document.id:
                self._renamed.documents[old.document.id] = new.document.id
        for before, after in zip(shard.chunks, moved.chunks, strict=True):
            if before.chunk.id != after.chunk.id:
                self._renamed.chunks[before.chunk.id] = after.chunk.id

    def _put_conversations(self, conversations: Conversations) -> int:
        count = 0
        for name in self._archive.names("conversations"):
            for conversation in read_lines(self._archive, name, CONVERSATION):
                turns = tuple(map(self._relocated.turn, conversation.turns))
                conversations.restore(replace(conversation, turns=turns))
                count += 1
        return count

    def _put_asked(self) -> int:
        names = self._archive.names("asked")
        for name in names:
            file = PurePosixPath(name).name
            place = self._folder / "asked" / file[:2] / file
            place.parent.mkdir(parents=True, exist_ok=True)
            self._archive.copy(name, place)
        return len(names)

    def _put_originals(self) -> int:
        for original in self._originals:
            place = self._places[original.path]
            if place is not None:
                extract(self._archive, original, self._folder / place)
            self._pace.tell(original.path, 1)
        return len(self._originals)

    def _put_learnt(self) -> dict[str, int]:
        """Feedback and the kept questions, by the names that documents and chunks have now."""
        if self._archive.contents.version == 1:
            return {}
        records = [as_record(line) for line in self._archive.read(FEEDBACK).splitlines()]
        feedback = [self._named(record) for record in records if record is not None]
        if len(feedback) < len(records):
            raise self._archive.error(f"{FEEDBACK!r} holds a wrong record")
        questions = list(map(self._renamed.question, read_lines(self._archive, QUESTIONS, QUESTION)))
        if feedback:
            (self._folder / FEEDBACK).write_bytes(b"".join(map(as_line, feedback)))
        if questions:
            (self._folder / QUESTIONS).write_bytes(lines(map(QUESTION.dump_json, questions)))
        return {"feedback": len(feedback), "questions": len(questions)}

    def _named(self, record: Shown | Choice) -> Shown | Choice:
        return self._renamed.shown(record) if isinstance(record, Shown) else self._renamed.choice(record)

    def _compare(self, counted: Mapping[str, int]) -> None:
        said = self._archive.contents.counts
        for name, count in counted.items():
            if said.get(name) != count:
                raise self._archive.error(f"its manifest says {said.get(name)} {name}, there are {count}")

    def _compare_store(self, store: Store, counts: Mapping[str, int], spaces: Iterable[str]) -> None:
        """What the store itself counts, after all of it was written."""
        total = store.count()
        found = {"chunks": total} | {VECTORS + space: total - store.count(without=space) for space in spaces}
        for name, count in found.items():
            if count != counts[name]:
                raise StoreError(f"the index holds {count} {name} of {counts[name]}; import into another RAG_HOME")


def _manifest(archive: Archive, expected: Manifest | None) -> Manifest | None:
    """That of the archive's index, brought up to date where an older program wrote it."""
    if archive.contents.index is None:
        return None
    manifest = as_manifest(archive.contents.index, "the index in the archive")
    for space, dim in index_spaces(manifest).items():
        if not _SPACE.fullmatch(space) or not 0 < dim <= _LARGEST_DIM:
            raise archive.error(f"it says that vectors in {space[:40]!r} have {dim} numbers")
    if expected is not None and not is_same_space(manifest, expected):
        raise IndexMismatch(
            f"the vectors in the archive are of {named(manifest)}, the settings name {named(expected)}; "
            f"set embedder to 'auto', or add the files themselves with the embedder that you have"
        )
    return replace(manifest, reference=_reference(manifest, expected))


def _reference(manifest: Manifest, expected: Manifest | None) -> str:
    """What the settings here may call the embedder: a path or an address from elsewhere is not followed."""
    if expected is not None:
        return expected.reference
    return manifest.reference if _MODEL.fullmatch(manifest.reference) else ""


def _check_room(archive: Archive, home: Path) -> None:
    free, needed = shutil.disk_usage(home).free, archive.size()
    if needed > free:
        raise DiskFull(
            f"the archive unpacks to {needed / 2**20:.0f} MiB and the disk of {str(home)!r} has {free / 2**20:.0f} MiB "
            "left; make room, or set RAG_HOME to a folder on another disk"
        )


@contextmanager
def _translated(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno == errno.ENOSPC:
            raise DiskFull(f"cannot import into {str(home)!r}: the disk is full; make room and try again") from exc
        raise StoreError(f"cannot import into {str(home)!r}: {exc}") from exc
