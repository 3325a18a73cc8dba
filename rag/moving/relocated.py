"""How do records read when files lie elsewhere? A document's id is made from its path, and a chunk's id from that."""

from collections.abc import Mapping
from dataclasses import replace

from rag.ingest.attachments import MARK
from rag.records import Answer, Chunk, Citation, Document, EmbeddedChunk, Failure, Hit, Turn, chunk_id, document_id
from rag.store.catalogue import Kept
from rag.tune.records import Choice, Question, Shown


class Relocated:
    """Records in which each path that is a key of `paths`, or of something attached to such a file, is its value.

    Ids follow. What lies where it lay stays exactly as it is.
    """

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = {old: new for old, new in paths.items() if old != new}

    def path(self, path: str) -> str:
        """Where a file, or what is attached to one, is now."""
        end = len(path)
        while end >= 0:  # "mail!/1/letter.eml!/2/plan.pdf" lies in the file "mail"; a folder may end in "!" too
            if path[:end] in self._paths:
                return self._paths[path[:end]] + path[end:]
            end = path.rfind(MARK, 0, end)
        return path

    def kept(self, kept: Kept) -> Kept:
        return replace(kept, document=self.document(kept.document))

    def document(self, document: Document) -> Document:
        pictures = tuple(replace(picture, path=self.path(picture.path)) for picture in document.pictures)
        path = self.path(document.path)
        if path == document.path:
            return replace(document, pictures=pictures)
        outer = path.rpartition(MARK)[0]
        parent = document_id(outer) if document.parent is not None else None
        return replace(document, id=document_id(path), path=path, parent=parent, pictures=pictures)

    def embedded(self, embedded: EmbeddedChunk) -> EmbeddedChunk:
        return replace(embedded, chunk=self.chunk(embedded.chunk))

    def chunk(self, chunk: Chunk) -> Chunk:
        path = self.path(chunk.path)
        if path == chunk.path:
            return chunk
        document = document_id(path)
        picture = chunk.picture if chunk.modality == "image" else None
        name = chunk_id(document, chunk.version, chunk.start, chunk.end, picture)
        return replace(chunk, id=name, document_id=document, path=path)

    def failure(self, failure: Failure) -> Failure:
        return replace(failure, path=self.path(failure.path))

    def turn(self, turn: Turn) -> Turn:
        return replace(turn, answer=self._answer(turn.answer))

    def _answer(self, answer: Answer) -> Answer:
        ids = {passage.hit.chunk.id: self.chunk(passage.hit.chunk).id for passage in answer.passages}
        passages = tuple(replace(passage, hit=self._hit(passage.hit)) for passage in answer.passages)
        citations = tuple(self._citation(citation, ids) for citation in answer.citations)
        return replace(answer, passages=passages, citations=citations)

    def _hit(self, hit: Hit) -> Hit:
        return replace(hit, chunk=self.chunk(hit.chunk), also=tuple(map(self.chunk, hit.also)))

    def _citation(self, citation: Citation, ids: Mapping[str, str]) -> Citation:
        path = self.path(citation.path)
        if path == citation.path:
            return citation
        name = ids.get(citation.chunk_id, citation.chunk_id)
        return replace(citation, chunk_id=name, document_id=document_id(path), path=path)


class Renamed:
    """What learning has on record, with the new ids of documents and chunks that got one; the others stay."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {}
        self.chunks: dict[str, str] = {}

    def shown(self, shown: Shown) -> Shown:
        chunks = (
            replace(each, chunk=self._chunk(each.chunk), document=self._document(each.document))
            for each in shown.chunks
        )
        return replace(shown, chunks=tuple(chunks))

    def choice(self, choice: Choice) -> Choice:
        return replace(choice, chunk=self._chunk(choice.chunk))

    def question(self, question: Question) -> Question:
        return replace(question, right={self._document(name): grade for name, grade in question.right.items()})

    def _document(self, name: str) -> str:
        return self.documents.get(name, name)

    def _chunk(self, name: str) -> str:
        return self.chunks.get(name, name)
