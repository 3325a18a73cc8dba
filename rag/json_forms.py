"""What `--json` prints: the command line's contract with other programs."""

import dataclasses

from rag.records import AddReport, Answer, Citation, Hit, Passage, SearchResult


def search_json(result: SearchResult) -> dict[str, object]:
    return {"query": result.query, "hits": [hit_json(hit) for hit in result.hits], "ms": dict(result.ms)}


def hit_json(hit: Hit) -> dict[str, object]:
    chunk = hit.chunk
    return {
        "rank": hit.rank,
        "score": hit.score,
        "modality": chunk.modality,
        "document": chunk.document_id,
        "path": chunk.path,
        "title": chunk.title,
        "page": chunk.page,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "found_by": {found.retriever: {"rank": found.rank, "score": found.score} for found in hit.found_by},
    }


def answer_json(answer: Answer) -> dict[str, object]:
    return {
        "question": answer.question,
        "answer": answer.text,
        "citations": [citation_json(citation) for citation in answer.citations],
        "passages": [passage_json(passage) for passage in answer.passages],
        "abstained": answer.abstained,
        "finish": answer.finish,
        "model": answer.model,
        "ms": dict(answer.ms),
    }


def citation_json(citation: Citation) -> dict[str, object]:
    fields = dataclasses.asdict(citation)
    return {"document": fields.pop("document_id"), "chunk": fields.pop("chunk_id"), **fields}


def passage_json(passage: Passage) -> dict[str, object]:
    evidence = [dataclasses.asdict(sentence) for sentence in passage.evidence]
    return {"number": passage.number, "in_prompt": passage.in_prompt, "evidence": evidence, **hit_json(passage.hit)}


def add_json(report: AddReport) -> dict[str, object]:
    fields = dataclasses.asdict(report)
    counts = ("added", "updated", "unchanged", "removed")
    return {**fields, **{name: len(fields[name]) for name in counts}}
