"""A library to one file: everything that cannot be made again, and the vectors, which take long to make again.

Chunks, vectors of every space, documents, failures, conversations, the pictures that were asked with, files that the
library keeps, feedback, and the questions that retrievers are judged by. Thumbnails are left out: they are made again
when they are looked at; so are retrievers that were trained: they are trained again from what they learnt from.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from rag.databases import Databases
from rag.errors import StoreError
from rag.moving.archive import ArchiveWriter, write_archive
from rag.moving.originals import is_encodable, kept_files, outside_files, write_originals
from rag.moving.pace import OnProgress, Pace
from rag.moving.shards import Shard, lines, plan, write_shard
from rag.records import Conversation, Failure
from rag.store.catalogue import Catalogue
from rag.store.conversations import Conversations
from rag.store.index_versions import IndexVersions
from rag.store.manifest import Manifest, index_spaces
from rag.tune.feedback import FILE as FEEDBACK
from rag.tune.feedback import FeedbackLog, as_line
from rag.tune.lines import read_lines as read_file
from rag.tune.questions import FILE as QUESTIONS
from rag.tune.records import Question

_CONVERSATIONS = 50  # in one member
VECTORS = "vectors of "  # a space: the name of its count

CONVERSATION, FAILURE, QUESTION = TypeAdapter(Conversation), TypeAdapter(Failure), TypeAdapter(Question)


@dataclass(frozen=True, slots=True)
class MoveReport:
    """What was exported or imported. `vectors` counts those of each space; `left_out` and `problems` are for people.

    `left_out` are paths of files that did not go along: gone, changed since they were indexed, or with a name that
    cannot be written down.
    """

    documents: int
    chunks: int
    vectors: dict[str, int]
    conversations: int
    pictures: int  # that were asked with
    originals: int  # files
    bytes: int  # of the archive
    seconds: float
    feedback: int = 0  # lines of what was shown and chosen
    questions: int = 0  # that are kept to judge retrievers by
    left_out: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def export_library(
    home: Path,
    open_versions: Callable[[Catalogue], IndexVersions],
    to: Path,
    *,
    originals: bool = False,
    on_progress: OnProgress | None = None,
) -> MoveReport:
    """Write the library in `home` to the archive `to`, whole or not at all. Searching and asking may go on.

    Args:
        home: the library's folder.
        open_versions: the versions of its index, of which the live one is written.
        to: a file that is not there yet.
        originals: take the files along that were indexed where they lie, if they are still what was indexed.
        on_progress: called from this thread after each group of documents and each file.

    Raises:
        ArchiveError: the archive cannot be written there.
        DiskFull: there is no room for it.
        LibraryBusy: another process is writing to the library.
        StoreError: the library cannot be read.
    """
    started, home = time.monotonic(), home.resolve()  # as files are named when they are indexed
    catalogue, conversations = Catalogue(home / "catalogue.sqlite"), Conversations(home / "conversations.sqlite")
    versions = open_versions(catalogue)
    databases = Databases(home, catalogue, versions.live, versions.open)
    try:
        with databases.writing(), write_archive(to) as archive:
            manifest = versions.manifest(versions.live())
            kept = kept_files(home)
            outside, left_out = outside_files(catalogue, home) if originals else ([], [])
            files = [path for path in (*kept, *outside) if is_encodable(path)]
            left_out += [repr(str(path)) for path in (*kept, *outside) if not is_encodable(path)]
            pace = Pace(catalogue.chunks() + len(files), on_progress)
            counts = {
                **_write_index(archive, databases, manifest, pace),
                **_write_conversations(archive, conversations),
                **_write_asked(archive, home),
                **_write_learnt(archive, home),
                "originals": len(files),
            }
            for path in write_originals(archive, home, files):
                pace.tell(str(path), 1)
            archive.finish(asdict(manifest) if manifest else None, counts)
    finally:
        databases.close()
        conversations.close()
    return report(counts, to, started, left_out=tuple(left_out))


def report(
    counts: dict[str, int],
    archive: Path,
    started: float,
    left_out: tuple[str, ...] = (),
    problems: tuple[str, ...] = (),
) -> MoveReport:
    """What was moved, from the counts of a manifest."""
    vectors = {name.removeprefix(VECTORS): n for name, n in counts.items() if name.startswith(VECTORS)}
    others = {name: n for name, n in counts.items() if not name.startswith(VECTORS)}
    size, seconds = archive.stat().st_size, time.monotonic() - started
    return MoveReport(**others, vectors=vectors, bytes=size, seconds=seconds, left_out=left_out, problems=problems)


def count_shard(counts: Counter[str], shard: Shard) -> None:
    """Add what is in a shard to the counts of a manifest."""
    counts["documents"] += len(shard.documents)
    counts["chunks"] += len(shard.chunks)
    for space, vectors in shard.vectors().items():
        counts[VECTORS + space] += len(vectors)


def no_counts(manifest: Manifest | None) -> Counter[str]:
    """The counts of an empty library, with all names that those of this one have."""
    spaces = index_spaces(manifest) if manifest else {}
    return Counter(dict.fromkeys(["documents", "chunks", *(VECTORS + space for space in spaces)], 0))


def _write_index(archive: ArchiveWriter, databases: Databases, manifest: Manifest | None, pace: Pace) -> Counter[str]:
    catalogue, counts = databases.catalogue, no_counts(manifest)
    for number, ids in enumerate(plan(catalogue.infos())):
        shard = Shard(catalogue.kept(ids), databases.store.embedded(ids))
        _check(shard)
        write_shard(archive, number, shard)
        count_shard(counts, shard)
        pace.tell(shard.documents[-1].document.path, len(shard.chunks))
    archive.add("failures.jsonl", lines(map(FAILURE.dump_json, catalogue.failures())))
    return counts


def _check(shard: Shard) -> None:
    """An archive of a library whose catalogue and index do not agree would be refused when it is needed."""
    held = shard.by_document()
    for kept in shard.documents:
        document, chunks = kept.document, held[kept.document.id]
        if len(chunks) != kept.chunks or any(each.chunk.version != document.sha256 for each in chunks):
            raise StoreError(f"the index does not hold {document.path!r} as it was read; run rag verify, add it again")


def _write_conversations(archive: ArchiveWriter, conversations: Conversations) -> dict[str, int]:
    names = [each.id for each in reversed(conversations.list())]
    for start in range(0, len(names), _CONVERSATIONS):
        part = map(conversations.get, names[start : start + _CONVERSATIONS])
        archive.add(f"conversations/{start:06d}.jsonl", lines(map(CONVERSATION.dump_json, part)))
    return {"conversations": len(names)}


def _write_asked(archive: ArchiveWriter, home: Path) -> dict[str, int]:
    files = sorted((home / "asked").glob("??/*.webp"))
    for path in files:
        archive.add_file(f"asked/{path.name}", path)
    return {"pictures": len(files)}


def _write_learnt(archive: ArchiveWriter, home: Path) -> dict[str, int]:
    """What can be read of the feedback and of the kept questions."""
    feedback, questions = FeedbackLog(home / FEEDBACK).records(), read_file(home / QUESTIONS, QUESTION).records
    archive.add(FEEDBACK, b"".join(map(as_line, feedback)))
    archive.add(QUESTIONS, lines(map(QUESTION.dump_json, questions)))
    return {"feedback": len(feedback), "questions": len(questions)}
