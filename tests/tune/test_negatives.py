"""Negatives: what is near and wrong, and why the rest is left out, by vectors whose cosines can be read off."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.embed.hashing import HashingEmbedder
from rag.records import Chunk, EmbeddedChunk, Vector
from rag.store.memory_store import MemoryStore
from rag.tune.negatives import Mining, mine
from rag.tune.records import Excerpt, Pair
from tests.retrieve.made import made_chunk, terms

QUERY = "which bolt"


class Angles(HashingEmbedder):
    """Texts that end in a number of degrees are unit vectors at that angle; the query lies at 0."""

    def __init__(self) -> None:
        super().__init__(dim=2)

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        degrees = [float(text.split()[-1]) if text[-1].isdigit() else 0.0 for text in texts]
        return np.array([[np.cos(np.radians(d)), np.sin(np.radians(d))] for d in degrees], np.float32).reshape(-1, 2)


def stored(*texts: tuple[str, str]) -> tuple[MemoryStore, dict[str, Chunk]]:
    """A store of (text, path), and its chunks by text."""
    embedder, store = Angles(), MemoryStore({"text": 2})
    chunks = [made_chunk(text, path, ordinal) for ordinal, (text, path) in enumerate(texts)]
    by_document: dict[str, list[EmbeddedChunk]] = {}
    for chunk, row in zip(chunks, embedder.embed([text for text, _ in texts], "passage"), strict=True):
        by_document.setdefault(chunk.document_id, []).append(
            EmbeddedChunk(chunk, terms(chunk.text), (Vector("text", row),))
        )
    store.replace_documents(by_document)
    return store, {chunk.text: chunk for chunk in chunks}


def pair(chunk: Chunk, query: str = QUERY, name: str = "p", negatives: tuple[Excerpt, ...] = ()) -> Pair:
    excerpt = Excerpt(chunk.id, chunk.text, chunk.document_id)
    return Pair(name, query, excerpt, "import", time=0.0, negatives=negatives)


def texts_of(pair: Pair) -> list[str]:
    return sorted(excerpt.text for excerpt in pair.negatives)


def test_every_rule_leaves_out_what_may_be_right() -> None:
    store, chunks = stored(
        ("answer at 40", "/bolts.md"),  # cosine .766
        ("its next section at 70", "/bolts.md"),  # the same document
        ("a copy at 43", "/copy.md"),  # .999 to the answer
        ("a rival at 10", "/rival.md"),  # .985 to the query: nearer than the positive
        ("nearly at 320", "/nearly.md"),  # .766 to the query, more than .9 * .766
        ("wrong at 60", "/wrong.md"),  # .5
        ("far at 100", "/far.md"),  # -.174
    )
    mined = mine([pair(chunks["answer at 40"])], store, Angles(), terms, lambda chunk: chunk.text)
    assert texts_of(mined.pairs[0]) == ["far at 100", "wrong at 60"]
    assert (mined.candidates, mined.answers, mined.duplicates, mined.near) == (7, 2, 1, 2)
    assert mined.without == 0


def test_a_small_library_is_stricter() -> None:
    store, chunks = stored(("answer at 60", "/a.md"), ("other at 297", "/b.md"))  # .5, and .454 = .908 of it
    positive = pair(chunks["answer at 60"])
    strict = mine([positive], store, Angles(), terms, lambda chunk: chunk.text)
    loose = mine([positive], store, Angles(), terms, lambda chunk: chunk.text, Mining(nearest=0.95))
    assert (texts_of(strict.pairs[0]), strict.near, strict.without) == ([], 1, 1)
    assert texts_of(loose.pairs[0]) == ["other at 297"]


def test_the_lowest_of_several_answers_sets_the_bar() -> None:
    store, chunks = stored(("answer at 20", "/a.md"), ("answer at 80", "/b.md"), ("other at 290", "/c.md"))
    both = [pair(chunks["answer at 20"], name="p"), pair(chunks["answer at 80"], name="r")]
    assert [texts_of(p) for p in mine(both, store, Angles(), terms, lambda c: c.text).pairs] == [[], []]
    alone = mine(both[:1], store, Angles(), terms, lambda c: c.text)  # the other answer is not known to be one
    assert texts_of(alone.pairs[0]) == ["answer at 80", "other at 290"]


def test_some_of_the_first_are_drawn_by_the_pairs_name() -> None:
    store, chunks = stored(("answer at 10", "/a.md"), *((f"wrong at {50 + i}", f"/w{i}.md") for i in range(20)))
    one, two = pair(chunks["answer at 10"], name="one"), pair(chunks["answer at 10"], "another bolt", name="two")
    mining = Mining(negatives=3, among=5)
    found = mine([one, two], store, Angles(), terms, lambda chunk: chunk.text, mining)
    first_five = {f"wrong at {50 + i}" for i in range(5)}
    assert all(len(p.negatives) == 3 and set(texts_of(p)) <= first_five for p in found.pairs)
    swapped = mine([two, one], store, Angles(), terms, lambda chunk: chunk.text, mining)
    assert [p.id for p in swapped.pairs] == ["two", "one"]
    assert sorted(swapped.pairs, key=lambda p: p.id) == sorted(found.pairs, key=lambda p: p.id)
    draws = {
        tuple(
            texts_of(
                mine([one], store, Angles(), terms, lambda c: c.text, Mining(negatives=3, among=5, seed=s)).pairs[0]
            )
        )
        for s in range(8)
    }
    assert len(draws) > 1


def test_explicit_negatives_stay_and_come_first() -> None:
    store, chunks = stored(("answer at 10", "/a.md"), ("wrong at 50", "/w.md"), ("wrong at 60", "/x.md"))
    disliked = Excerpt(chunks["wrong at 50"].id, "wrong at 50", chunks["wrong at 50"].document_id)
    found = mine(
        [pair(chunks["answer at 10"], negatives=(disliked,))],
        store,
        Angles(),
        terms,
        lambda c: c.text,
        Mining(negatives=2),
    )
    assert [excerpt.text for excerpt in found.pairs[0].negatives] == ["wrong at 50", "wrong at 60"]


def test_a_teacher_is_asked_about_what_is_left() -> None:
    store, chunks = stored(("answer at 10", "/a.md"), ("truly wrong at 50", "/w.md"), ("right as well at 60", "/x.md"))
    asked: list[tuple[str, str]] = []

    def teacher(pairs: Sequence[tuple[str, str]]) -> list[float]:
        asked.extend(pairs)
        return [0.9 if "right as well" in passage else 0.1 for _, passage in pairs]

    found = mine([pair(chunks["answer at 10"])], store, Angles(), terms, lambda c: c.text, teacher=teacher)
    assert texts_of(found.pairs[0]) == ["truly wrong at 50"]
    assert found.believed == 1
    assert asked == [(QUERY, "truly wrong at 50"), (QUERY, "right as well at 60")]


def test_a_positive_from_elsewhere_is_embedded() -> None:
    store, _ = stored(("a copy at 11", "/copy.md"), ("wrong at 50", "/w.md"))
    foreign = Pair("p", QUERY, Excerpt("import:1", "answer at 10"), "import", time=0.0)
    found = mine([foreign], store, Angles(), terms, lambda chunk: chunk.text)
    assert texts_of(found.pairs[0]) == ["wrong at 50"]
    assert found.duplicates == 1


@pytest.mark.parametrize("texts", [(), (("answer at 10", "/a.md"),)])
def test_a_library_with_nothing_else_gives_none(texts: tuple[tuple[str, str], ...]) -> None:
    store, _ = stored(*texts)
    found = mine([Pair("p", QUERY, Excerpt("import:1", "answer at 10"), "import", 0.0)], store, Angles(), terms, str)
    assert (found.pairs[0].negatives, found.without) == ((), 1)


def test_no_pairs_no_work() -> None:
    store, _ = stored(("answer at 10", "/a.md"))
    assert mine([], store, Angles(), terms, str).pairs == ()
