"""What `--json` prints: the command line's contract with other programs."""

import dataclasses

from rag.records import AddReport, Answer, Citation, Document, FoundBy, Hit, Passage, SearchResult, Status


def search_json(result: SearchResult) -> dict[str, object]:
    hits = [hit_json(hit) for hit in result.hits]
    return {
        "query": result.query,
        "hits": hits,
        "notes": list(result.notes),
        "ms": dict(result.ms),
        **_shown(result.shown),
    }


def hit_json(hit: Hit) -> dict[str, object]:
    chunk = hit.chunk
    return {
        "rank": hit.rank,
        "score": hit.score,
        "modality": chunk.modality,
        "chunk": chunk.id,
        "document": chunk.document_id,
        "path": chunk.path,
        "title": chunk.title,
        "page": chunk.page,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "picture": chunk.picture,
        "region": dataclasses.asdict(chunk.region) if chunk.region else None,
        "caption": chunk.caption,
        "found_by": {found.retriever: found_json(found) for found in hit.found_by},
        "also": [
            {"chunk": other.id, "document": other.document_id, "path": other.path, "picture": other.picture}
            for other in hit.also
        ],
    }


def found_json(found: FoundBy) -> dict[str, object]:
    """`chance` is there where it is known: for pictures that were found by what they look like."""
    chance = {} if found.chance is None else {"chance": found.chance}
    return {"rank": found.rank, "score": found.score, **chance}


def answer_json(answer: Answer) -> dict[str, object]:
    return {
        "question": answer.question,
        "standalone": answer.standalone,
        "answer": answer.text,
        "citations": [citation_json(citation) for citation in answer.citations],
        "passages": [passage_json(passage) for passage in answer.passages],
        "sentences": [dataclasses.asdict(sentence) for sentence in answer.sentences],
        "abstained": answer.abstained,
        "finish": answer.finish,
        "picture": answer.picture,
        "model": answer.model,
        "ms": dict(answer.ms),
        **_shown(answer.shown),
    }


def _shown(name: str) -> dict[str, object]:
    """The id by which feedback names a list; only what is logged has one."""
    return {"shown": name} if name else {}


def citation_json(citation: Citation) -> dict[str, object]:
    fields = dataclasses.asdict(citation)
    return {"document": fields.pop("document_id"), "chunk": fields.pop("chunk_id"), **fields}


def passage_json(passage: Passage) -> dict[str, object]:
    evidence = [dataclasses.asdict(sentence) for sentence in passage.evidence]
    return {"number": passage.number, "in_prompt": passage.in_prompt, "evidence": evidence, **hit_json(passage.hit)}


def add_json(report: AddReport, status: Status) -> dict[str, object]:
    """`pictures` and `unseen` are those of the whole library, as it is after this."""
    fields = dataclasses.asdict(report)
    counts = {name: len(fields[name]) for name in ("added", "updated", "unchanged", "removed")}
    return {**fields, **counts, "pictures": status.pictures, "unseen": status.unseen}


def document_json(document: Document) -> dict[str, object]:
    """All of it but bytes: what is attached are documents of their own, and previews are made when they are needed."""
    fields = dataclasses.asdict(document)
    del fields["attachments"]
    for picture in fields["pictures"]:
        del picture["preview"]
    return fields
