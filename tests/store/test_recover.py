"""Each place where a writer may die, one by one; and what `verify` finds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rag.records import Box, Document, EmbeddedChunk, Picture, VerifyReport
from rag.store.catalogue import Catalogue
from rag.store.memory_store import MemoryStore
from rag.store.recover import recover, verify
from tests.store.made import SPACES, axis, embedded, written

RNG = np.random.default_rng(0)
OLD, OLD_CHUNKS = written("/a.md", "the old text " * 20, RNG)
NEW, NEW_CHUNKS = written("/a.md", "the new text " * 30, RNG)
OTHER, OTHER_CHUNKS = written("/b.md", "another text " * 9, RNG)
EMPTY, _ = written("/a.md", "", RNG)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path / "catalogue.sqlite")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(SPACES)


def add(catalogue: Catalogue, store: MemoryStore, document: Document, chunks: list[EmbeddedChunk]) -> None:
    catalogue.begin([(document, len(chunks))])
    store.replace_documents({document.id: chunks})
    catalogue.finish()


def test_nothing_to_mend(catalogue: Catalogue, store: MemoryStore) -> None:
    assert recover(catalogue, store) == []
    add(catalogue, store, OLD, OLD_CHUNKS)
    assert recover(catalogue, store) == []
    assert verify(catalogue, store) == VerifyReport(1, len(OLD_CHUNKS), ())


@pytest.mark.parametrize("before", [False, True], ids=["new document", "known document"])
@pytest.mark.parametrize("stored", [False, True], ids=["killed before the store", "killed after the store"])
def test_an_adding_that_was_cut_off(catalogue: Catalogue, store: MemoryStore, before: bool, stored: bool) -> None:
    add(catalogue, store, OTHER, OTHER_CHUNKS)
    if before:
        add(catalogue, store, OLD, OLD_CHUNKS)
    catalogue.begin([(NEW, len(NEW_CHUNKS))])
    if stored:
        store.replace_documents({NEW.id: NEW_CHUNKS})
    assert verify(catalogue, store).problems
    assert recover(catalogue, store) == [
        "finished the adding of '/a.md'" if stored else "undid the adding of '/a.md', which was cut off; add it again"
    ]
    expected = {"/a.md": NEW} if stored else {"/a.md": OLD} if before else {}
    assert {info.path: catalogue.document(info.id) for info in catalogue.infos("a.md")} == expected
    assert verify(catalogue, store).problems == ()
    assert recover(catalogue, store) == []


@pytest.mark.parametrize("stored", [False, True], ids=["killed before the store", "killed after the store"])
def test_a_removal_that_was_cut_off(catalogue: Catalogue, store: MemoryStore, stored: bool) -> None:
    add(catalogue, store, OLD, OLD_CHUNKS)
    catalogue.begin([], remove=[OLD.id])
    if stored:
        store.replace_documents({OLD.id: []})
    assert len(recover(catalogue, store)) == 1
    assert (catalogue.infos() == []) is stored
    assert verify(catalogue, store).problems == ()


@pytest.mark.parametrize("stored", [False, True], ids=["killed before the store", "killed after the store"])
def test_a_document_that_became_empty(catalogue: Catalogue, store: MemoryStore, stored: bool) -> None:
    add(catalogue, store, OLD, OLD_CHUNKS)
    catalogue.begin([(EMPTY, 0)])
    if stored:
        store.replace_documents({EMPTY.id: []})
    assert len(recover(catalogue, store)) == 1
    assert catalogue.document(OLD.id) == (EMPTY if stored else OLD)
    assert verify(catalogue, store).problems == ()


def test_chunks_of_a_document_that_nobody_knows_are_removed(catalogue: Catalogue, store: MemoryStore) -> None:
    add(catalogue, store, OLD, OLD_CHUNKS)
    store.replace_documents({"stray": [embedded("stray", vector=axis(16, 1))]})
    assert verify(catalogue, store).problems == ("the index holds chunks of the unknown document 'stray'",)
    assert recover(catalogue, store) == ["removed the chunks of the unknown document 'stray'"]
    assert store.versions().keys() == {OLD.id}


def test_verify_tells_each_way_in_which_they_may_differ(catalogue: Catalogue, store: MemoryStore) -> None:
    add(catalogue, store, OTHER, OTHER_CHUNKS)
    add(catalogue, store, OLD, OLD_CHUNKS)

    def problems(chunks: list[EmbeddedChunk]) -> str:
        store.replace_documents({OLD.id: chunks})
        return "\n".join(verify(catalogue, store).problems)

    assert "holds 0 chunks, the catalogue says 7" in problems([])
    assert "holds 6 chunks" in problems(OLD_CHUNKS[:-1])
    assert "not numbered" in problems(OLD_CHUNKS[1:])
    assert f"holds version {NEW.sha256[:12]}, the catalogue {OLD.sha256[:12]}" in problems(NEW_CHUNKS)
    first = {"version": OLD.sha256, "path": "/a.md", "start": 0, "end": 40, "vector": axis(16, 1)}
    wrong_text = embedded(OLD.id, 0, **{**first, "text": "the odd text"})
    assert "the text of chunk 0 is not the document's at 0" in problems([wrong_text, *OLD_CHUNKS[1:]])
    wrong_path = embedded(OLD.id, 0, **{**first, "path": "/c.md", "text": OLD.text[:40]})
    assert "says that it is of '/c.md'" in problems([wrong_path, *OLD_CHUNKS[1:]])
    same = {**first, "text": OLD.text[:40]}
    assert problems([embedded(OLD.id, 0, **same), *OLD_CHUNKS[1:]]) == ""
    without = embedded(OLD.id, 0, **{**same, "vector": None})
    assert problems([without, *OLD_CHUNKS[1:]]) == "1 chunks of text have no vector; add their files again"
    beyond = embedded(OLD.id, 0, region=Box(0.5, 0.5, 1.5, 0.6), **same)
    assert "the region of chunk 0 is no part of a picture" in problems([beyond, *OLD_CHUNKS[1:]])
    picture = embedded(OLD.id, 0, modality="image", picture=1, **same)
    assert "holds the pictures [1], the document has []" in problems([picture, *OLD_CHUNKS[1:]])
    words_of_one = embedded(OLD.id, 0, picture=3, **same)
    assert "chunk 0 is of picture 3, which is not there" in problems([words_of_one, *OLD_CHUNKS[1:]])


def with_picture(digest: str) -> tuple[Document, list[EmbeddedChunk]]:
    """A note that shows a picture: its bytes are the same whatever the picture is."""
    document = replace(OLD, pictures=(Picture(1, digest, 30, 20, 0, 0, at=0, path="/p.png"),))
    place = {"text": "", "start": 0, "end": 0, "path": OLD.path, "version": OLD.sha256}
    chunk = embedded(OLD.id, 0, modality="image", picture=1, digest=digest, **place)
    return document, [chunk, *(replace(e, chunk=replace(e.chunk, ordinal=e.chunk.ordinal + 1)) for e in OLD_CHUNKS)]


def test_verify_knows_the_pictures_of_a_document(catalogue: Catalogue, store: MemoryStore) -> None:
    document, chunks = with_picture("one")
    add(catalogue, store, document, chunks)
    assert verify(catalogue, store).problems == ()
    store.replace_documents({OLD.id: with_picture("two")[1]})
    assert verify(catalogue, store).problems == ("'/a.md': chunk 0 is of another picture than the document's",)


@pytest.mark.parametrize("stored", [False, True], ids=["killed before the store", "killed after the store"])
def test_a_note_that_was_read_again_for_its_picture(catalogue: Catalogue, store: MemoryStore, stored: bool) -> None:
    """Its version and its number of chunks are the same before and after: the chunks themselves must tell."""
    add(catalogue, store, *with_picture("old"))
    document, chunks = with_picture("new")
    catalogue.begin([(document, len(chunks))])
    if stored:
        store.replace_documents({document.id: chunks})
    assert len(recover(catalogue, store)) == 1
    assert catalogue.document(OLD.id).pictures[0].digest == ("new" if stored else "old")
    assert verify(catalogue, store).problems == ()


def test_a_sample_looks_into_some_documents_and_compares_the_counts_of_all(
    catalogue: Catalogue, store: MemoryStore
) -> None:
    for number in range(9):
        document, chunks = written(f"/{number}.md", f"text of {number}", RNG)
        add(catalogue, store, document, chunks)
        wrong = embedded(document.id, 0, version=document.sha256, text="else", vector=axis(16, 1))
        store.replace_documents({document.id: [wrong]})
    assert len(verify(catalogue, store).problems) == 2 * 9, "the text and the path of each"
    assert len(verify(catalogue, store, sample=3).problems) == 2 * 3
    assert len(verify(catalogue, store, sample=99).problems) == 2 * 9
    store.replace_documents({document.id: []})
    assert any("holds 0 chunks" in problem for problem in verify(catalogue, store, sample=1).problems)
