"""Do the catalogue and the store agree? `recover` mends what a killed writer left; `verify` reports what is wrong.

The store commits all documents of a write in one step. So each pending change of the catalogue is wholly in the
store or not at all, and asking the store which version it holds decides between finishing and forgetting it.
"""

from collections.abc import Iterator, Sequence

from rag.filters import In
from rag.protocols import TEXT_SPACE, Store
from rag.records import Box, Chunk, Document, DocumentInfo, VerifyReport
from rag.store.catalogue import Catalogue, Pending

_BATCH = 100  # documents whose chunks are compared at a time


def recover(catalogue: Catalogue, store: Store) -> list[str]:
    """Finish or forget what is pending, and remove chunks of documents that the catalogue does not know.

    Call it with the write lock held. Returns one line for each thing mended; nothing to mend gives [].
    """
    held = store.versions()
    pending = catalogue.pending()
    committed = [change for change in pending if _is_committed(change, held, catalogue, store)]
    lost = [change for change in pending if change not in committed]
    if committed:
        catalogue.finish([change.id for change in committed])
    if lost:
        catalogue.forget_pending([change.id for change in lost])
    known = {name for name, _ in catalogue.states().values()}
    orphans = sorted(held.keys() - known)
    if orphans:
        store.replace_documents(dict.fromkeys(orphans, ()))
    return [
        *(f"finished {_what(change)} {change.path!r}" for change in committed),
        *(f"undid {_what(change)} {change.path!r}, which was cut off; add it again" for change in lost),
        *(f"removed the chunks of the unknown document {name!r}" for name in orphans),
    ]


def verify(catalogue: Catalogue, store: Store, sample: int | None = None) -> VerifyReport:
    """Compare the catalogue with the store: versions, counts, and each chunk with what it was cut from.

    Args:
        catalogue: what should be there.
        store: what is there.
        sample: look into the chunks of this many documents, evenly chosen; None: of all.
    """
    infos = catalogue.infos()
    held = store.versions()
    known = {info.id for info in infos}
    problems = [f"{change.path!r}: {_what(change)} was not finished" for change in catalogue.pending()]
    problems += [problem for info in infos for problem in _count_problems(info, held.get(info.id))]
    problems += [f"the index holds chunks of the unknown document {name!r}" for name in sorted(held.keys() - known)]
    for ids in _batches([info.id for info in infos], sample):
        chunks = store.chunks(ids)
        for name in ids:
            problems += _chunk_problems(catalogue.document(name), [c for c in chunks if c.document_id == name])
    if bare := store.count(In("modality", ("text",)), without=TEXT_SPACE):
        problems.append(f"{bare} chunks of text have no vector; add their files again")
    return VerifyReport(len(infos), sum(count for _, count in held.values()), tuple(problems))


def _is_committed(change: Pending, held: dict[str, tuple[str, int]], catalogue: Catalogue, store: Store) -> bool:
    if change.sha256 is None or change.chunks == 0:
        return change.id not in held
    if held.get(change.id) != (change.sha256, change.chunks):
        return False
    # The version alone does not tell: a note is read again when a picture that it shows has changed.
    return not any(_chunk_problems(catalogue.document(change.id, pending=True), store.chunks([change.id])))


def _what(change: Pending) -> str:
    return "the removal of" if change.sha256 is None else "the adding of"


def _count_problems(info: DocumentInfo, found: tuple[str, int] | None) -> Iterator[str]:
    version, count = found or (info.sha256, 0)
    if version != info.sha256:
        yield f"{info.path!r}: the index holds version {version[:12]}, the catalogue {info.sha256[:12]}"
    if count != info.chunks:
        yield f"{info.path!r}: the index holds {count} chunks, the catalogue says {info.chunks}"


def _chunk_problems(document: Document, chunks: Sequence[Chunk]) -> Iterator[str]:
    if [chunk.ordinal for chunk in chunks] != list(range(len(chunks))):
        yield f"{document.path!r}: its chunks are not numbered from 0 without gaps"
    for chunk in chunks:
        if chunk.path != document.path:
            yield f"{document.path!r}: chunk {chunk.ordinal} says that it is of {chunk.path!r}"
        if chunk.text != document.text[chunk.start : chunk.end]:
            yield f"{document.path!r}: the text of chunk {chunk.ordinal} is not the document's at {chunk.start}"
        if chunk.region is not None and not _is_inside(chunk.region):
            yield f"{document.path!r}: the region of chunk {chunk.ordinal} is no part of a picture or page"
    yield from _picture_problems(document, chunks)


def _picture_problems(document: Document, chunks: Sequence[Chunk]) -> Iterator[str]:
    digests = {picture.number: picture.digest for picture in document.pictures}
    held = sorted(chunk.picture or 0 for chunk in chunks if chunk.modality == "image")
    if held != sorted(digests):
        yield f"{document.path!r}: the index holds the pictures {held}, the document has {sorted(digests)}"
    for chunk in chunks:
        if chunk.picture is not None and chunk.picture not in digests:
            yield f"{document.path!r}: chunk {chunk.ordinal} is of picture {chunk.picture}, which is not there"
        elif chunk.modality == "image" and chunk.digest != digests.get(chunk.picture or 0):
            yield f"{document.path!r}: chunk {chunk.ordinal} is of another picture than the document's"


def _is_inside(box: Box) -> bool:
    return 0 <= box.left <= box.right <= 1 and 0 <= box.top <= box.bottom <= 1


def _batches(ids: Sequence[str], sample: int | None) -> Iterator[Sequence[str]]:
    step = 1 if sample is None else max(1, -(-len(ids) // max(sample, 1)))
    chosen = ids[::step]
    return (chosen[start : start + _BATCH] for start in range(0, len(chosen), _BATCH))
