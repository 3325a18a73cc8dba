"""What a test asks a library, a stub of a server or the command line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag import carrying
from rag.cli import app
from rag.library import Library
from tests.store.weaviate_stub import WeaviateStub


def told(library: Library) -> list[tuple[str, str, str, int]]:
    """The versions: name, state, embedder, and how many documents are missing."""
    return [(each.version, each.state, each.embedder, each.missing) for each in library.versions()]


def contents(library: Library) -> list[object]:
    """All chunks with their words and the vectors of pictures, and that each text vector is of the live embedder."""
    store, embedder = library._databases.store, library.models()[0]
    found: list[object] = []
    for each in store.embedded([info.id for info in library.documents()]):
        vectors = {vector.space: vector.values.tolist() for vector in each.vectors}
        text = vectors.pop("text", None)
        if text is not None:
            assert text == pytest.approx(embedder.embed([carrying.embedding_text(each.chunk)], "passage")[0], abs=1e-5)
        found.append((each.chunk, each.words, text is None, vectors))
    return found


def titles(library: Library, question: str) -> list[str]:
    return [hit.chunk.title for hit in library.search(question, k=20).hits]


def address(stub: WeaviateStub) -> str:
    return f"weaviate://127.0.0.1:{stub.port}?grpc={stub.grpc_port}"


def ran(*arguments: str, home: Path, code: int = 0, **environment: str) -> str:
    done = CliRunner().invoke(app, list(arguments), env={"RAG_HOME": str(home), "RAG_GENERATOR": "none", **environment})
    assert done.exit_code == code, (done.output, done.exception)
    return str(done.exception) if code else done.stdout
