"""What every Store promises (rag/protocols.py), for each store.

The in-memory store is also the oracle: the others must give the same chunks, with the same scores, in the same order.
Weaviate needs a server (tests/store/weaviate_server.py); its BM25 alone may be off by what `of_words` says.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from rag.errors import InvalidQuery, StoreError
from rag.filters import And, Dated, Filter, In, Not, Or, Tagged, Under
from rag.protocols import Store
from rag.records import Box, EmbeddedChunk, Match, Vector
from rag.store.lance_store import Holding, LanceStore
from rag.store.matching import matches
from rag.store.memory_store import MemoryStore
from rag.store.weaviate_options import ServerOptions
from rag.store.weaviate_store import WeaviateStore
from tests.store.made import FOLDERS, SPACES, axis, embedded, random_documents, unit
from tests.store.weaviate_server import drop, fresh_name, server_url

ODD = "it's \"odd\" \\ % _ -- ; ' OR 1=1 \n\t😀 ünï\u00a0日本語 (*) AND ~ \x7f"


def on_a_server(folder: Path, spaces: Mapping[str, int]) -> WeaviateStore:
    return WeaviateStore(server_url(), spaces, name=fresh_name())


def as_a_tenant(folder: Path, spaces: Mapping[str, int]) -> WeaviateStore:
    name = fresh_name()
    return WeaviateStore(server_url(), spaces, name=name, options=ServerOptions(tenant=name))


MAKERS: dict[str, Callable[[Path, Mapping[str, int]], Store]] = {
    "memory": lambda folder, spaces: MemoryStore(spaces),
    "lance": lambda folder, spaces: LanceStore(folder, spaces, holding=Holding(chunks=0)),
    "lance in memory": lambda folder, spaces: LanceStore(folder, spaces, holding=Holding(asked=1)),
    "weaviate": on_a_server,
    "tenant": as_a_tenant,
}
SERVED = ("weaviate", "tenant")
MARKED = [pytest.param(name, marks=pytest.mark.weaviate if name in SERVED else ()) for name in MAKERS]


# Weaviate's BM25 counts chunks that were removed until it has compacted its files, and chunks without words.
def of_words(store: Store) -> float:
    """How far a store's BM25 may be from the oracle's, relatively."""
    return 0.05 if isinstance(store, WeaviateStore) else 1e-5


def discard(store: Store) -> None:
    drop(store) if isinstance(store, WeaviateStore) else store.close()


@pytest.fixture(params=MARKED)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = MAKERS[request.param](tmp_path / "index", SPACES)
    yield made
    discard(made)


def ids(matches: list[Match]) -> list[str]:
    return [match.chunk.id for match in matches]


def put(store: Store, *chunks: EmbeddedChunk) -> None:
    store.replace_documents({chunk.chunk.document_id: [chunk] for chunk in chunks})


# --- writing and reading back ------------------------------------------------------------------------------------


def test_a_store_has_the_protocols_methods(store: Store) -> None:
    assert isinstance(store, Store)


def test_a_chunk_comes_back_exactly(store: Store) -> None:
    plain = embedded("plain", vector=axis(16, 1))
    full = embedded(
        ODD,
        3,
        words=ODD,
        vector=axis(16, 1, 2),
        image=axis(8, 3, 4),
        version=ODD,
        id=ODD,
        text=ODD,
        title=ODD,
        path="/home/me/" + ODD,
        headings=(ODD, "", "two"),
        tags=(ODD, ""),
        page=2**40,
        date=datetime(1, 1, 1, 2, 3, 4, 567891, tzinfo=timezone(timedelta(hours=2))),
        language="",
        modality="image",
        kind="mail",
        start=2**41,
        end=2**42,
        picture=2**33,
        digest=ODD,
        caption=ODD,
        around=ODD,
        region=Box(1 / 3, math.nextafter(1, 0), 5e-324, 0.1 + 0.2),
    )
    put(store, plain, full)
    assert store.get([ODD, plain.chunk.id]) == [full.chunk, plain.chunk]
    assert_array_equal(store.vectors("image", [ODD])[ODD], full.vectors[1].values)
    assert ids(store.search_words(ODD.split()[2], 5)) == [ODD]
    assert store.count(In("digest", (ODD,))) == store.count(Not(In("digest", ("",)))) == 1
    assert store.count(In("id", (ODD,))) == store.count(In("path", ("/home/me/" + ODD,))) == 1
    assert store.versions() == {"plain": ("v1", 1), ODD: (ODD, 1)}
    put(store, embedded(ODD, version="v2"))
    assert store.get([ODD]) == []


def test_get_keeps_the_order_asked_and_leaves_out_what_is_not_there(store: Store) -> None:
    chunks = [embedded("doc", i) for i in range(5)]
    store.replace_documents({"doc": chunks})
    names = [chunk.chunk.id for chunk in chunks]
    asked = [names[3], "nothing", names[0], names[4], names[3]]
    assert [chunk.ordinal for chunk in store.get(asked)] == [3, 0, 4, 3]
    assert store.get([]) == []


def test_chunks_of_documents_come_in_the_order_asked_then_by_ordinal(store: Store) -> None:
    store.replace_documents({name: [embedded(name, i) for i in (2, 0, 10, 1)] for name in ("a", "b", "c")})
    found = store.chunks(["c", "nothing", "a", "c"])
    assert [(chunk.document_id, chunk.ordinal) for chunk in found] == [
        *(("c", i) for i in (0, 1, 2, 10)),
        *(("a", i) for i in (0, 1, 2, 10)),
    ]
    assert store.chunks([]) == []


def test_all_of_a_chunk_comes_back_as_it_was_given(store: Store) -> None:
    documents = random_documents(np.random.default_rng(5), range(30))
    odd = [embedded(ODD, 1, words=ODD, image=axis(8, 1, 2), id=ODD), embedded(ODD, 0, words=" two\u00a0 words ")]
    documents[ODD] = [*odd, EmbeddedChunk(embedded(ODD, 2).chunk, "", (*odd[0].vectors, Vector("text", axis(16, 3))))]
    store.replace_documents(documents)
    asked = [ODD, "nothing", *reversed(documents)]
    found = store.embedded(asked)
    assert [e.chunk for e in found] == store.chunks(asked)
    given = {e.chunk.id: e for chunks in documents.values() for e in chunks}
    for each in found:
        expected = given[each.chunk.id]
        assert each.words == " ".join(expected.words.split())
        values = {vector.space: vector.values for vector in expected.vectors}
        assert [vector.space for vector in each.vectors] == [space for space in SPACES if space in values]
        for vector in each.vectors:
            assert vector.values.dtype == np.float32
            assert_array_equal(vector.values, values[vector.space])
    assert store.embedded([]) == store.embedded(["nothing"]) == []


def test_vectors_are_those_given_and_only_those_there_are(store: Store) -> None:
    with_both = embedded("both", vector=axis(16, 1, 2, 3), image=axis(8, 1))
    with_text = embedded("text", vector=axis(16, 4))
    put(store, with_both, with_text)
    names = [with_both.chunk.id, with_text.chunk.id, "nothing"]
    assert store.vectors("text", names).keys() == set(names[:2])
    assert store.vectors("image", names).keys() == {names[0]}
    assert_array_equal(store.vectors("text", names)[names[0]], axis(16, 1, 2, 3))
    assert store.vectors("text", names)[names[0]].dtype == np.float32
    assert store.vectors("text", []) == {}


def test_replacing_leaves_exactly_what_was_given(store: Store) -> None:
    first = {name: [embedded(name, i, words="old") for i in range(6)] for name in ("a", "b", "c")}
    store.replace_documents(first)
    store.replace_documents({"a": [embedded("a", 0, words="new", version="v2")], "b": [], "new": [embedded("new")]})
    assert store.versions() == {"a": ("v2", 1), "c": ("v1", 6), "new": ("v1", 1)}
    assert store.count() == 8
    assert {match.chunk.document_id for match in store.search_words("old", 50)} == {"c"}
    assert [chunk.version for chunk in store.chunks(["a"])] == ["v2"]


def test_replacing_may_keep_some_chunks_and_change_them(store: Store) -> None:
    store.replace_documents({"a": [embedded("a", i, words="old", image=axis(8, 1)) for i in range(4)]})
    store.replace_documents({"a": [embedded("a", i, words="new") for i in (1, 2)]})
    kept = [chunk.id for chunk in store.chunks(["a"])]
    assert len(kept) == store.count() == 2
    assert store.search_words("old", 5) == []
    assert sorted(ids(store.search_words("new", 5))) == sorted(kept)
    assert store.vectors("image", kept) == {}, "a vector that is not given any more is gone"


def test_writing_the_same_again_changes_nothing(store: Store) -> None:
    documents = random_documents(np.random.default_rng(1), range(20))
    store.replace_documents(documents)
    before = (store.count(), store.versions(), store.chunks(list(documents)))
    store.replace_documents(documents)
    assert (store.count(), store.versions(), store.chunks(list(documents))) == before


def test_removing_what_is_not_there_and_writing_nothing_are_fine(store: Store) -> None:
    put(store, embedded("a"))
    store.replace_documents({"nothing": []})
    store.replace_documents({})
    assert store.versions() == {"a": ("v1", 1)}


GOOD = axis(16, 1)
REFUSED = {
    "not finite": [embedded("bad", vector=np.full(16, np.nan, np.float32))],
    "infinite": [embedded("bad", vector=np.full(16, np.inf, np.float32))],
    "zero": [embedded("bad", vector=np.zeros(16, np.float32))],
    "not of length 1": [embedded("bad", vector=GOOD * 2)],
    "of the wrong dimension": [embedded("bad", vector=axis(15, 1))],
    "a matrix": [embedded("bad", vector=GOOD.reshape(4, 4))],
    "of an unknown space": [EmbeddedChunk(embedded("bad").chunk, "", (Vector("sound", GOOD),))],
    "twice in one space": [EmbeddedChunk(embedded("bad").chunk, "", (Vector("text", GOOD), Vector("text", GOOD)))],
    "the same id twice": [embedded("bad", 0), embedded("bad", 0)],
    "of another document": [embedded("other")],
    "of two versions": [embedded("bad", 0, version="v1"), embedded("bad", 1, version="v2")],
    "with a date without a zone": [embedded("bad", date=datetime(2024, 1, 1))],
    "with half a character": [embedded("bad", text="\ud800")],
    "with half a character in its tags": [embedded("bad", tags=("\udfff",))],
    "with half a character in its caption": [embedded("bad", caption="\ud800")],
    "with half a character around it": [embedded("bad", around="\ud800")],
    "with half a character in its digest": [embedded("bad", digest="\ud800")],
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_wrong_is_refused_and_nothing_has_changed(store: Store, reason: str) -> None:
    put(store, embedded("good", words="kept", vector=GOOD))
    with pytest.raises(StoreError):
        store.replace_documents({"good": [], "fine": [embedded("fine", vector=GOOD)], "bad": REFUSED[reason]})
    assert store.versions() == {"good": ("v1", 1)}
    assert len(store.search_words("kept", 5)) == len(store.search_vector("text", GOOD, 5)) == 1


def test_one_id_in_two_documents_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="twice"):
        store.replace_documents({"a": [embedded("a", id="same")], "b": [embedded("b", id="same")]})
    assert store.count() == 0


# --- vectors that come later -------------------------------------------------------------------------------------

PICTURES = In("modality", ("image",))


def test_vectors_may_come_later_and_change_nothing_else(store: Store) -> None:
    documents = random_documents(np.random.default_rng(3), range(30))
    store.replace_documents(documents)
    before = {e.chunk.id: e for chunks in documents.values() for e in chunks}
    late = {chunk.id: axis(8, -1, i) for i, chunk in enumerate(store.without_vector("image", 40))}
    again = next(e.chunk.id for e in before.values() if "image" in {v.space for v in e.vectors})
    terms = f"w1 w2 {next(iter(before.values())).words}"
    store.maintain()
    found = store.search_words(terms, 500)
    store.add_vectors("image", {**late, again: axis(8, 5), "went meanwhile": axis(8, 1)})
    held = store.vectors("image", list(before))
    assert all((held[name] == values).all() for name, values in {**late, again: axis(8, 5)}.items())
    assert store.get(list(before)) == [e.chunk for e in before.values()]
    texts = store.vectors("text", list(before))
    given = {e.chunk.id: v.values for e in before.values() for v in e.vectors if v.space == "text"}
    assert texts.keys() == given.keys()
    assert all(texts[name].tobytes() == given[name].tobytes() for name in given)
    assert store.count() == len(before)
    assert store.search_vector("image", axis(8, 5), 1)[0].score == 1.0
    assert {m.chunk.id for m in store.search_words(terms, 500)} == {m.chunk.id for m in found}
    store.maintain()
    agree(store.search_words(terms, 500), found, of_words(store))


def test_what_lacks_a_vector_is_listed_by_id_under_a_filter(store: Store) -> None:
    chunks = [embedded("doc", i, vector=axis(16, 1), modality="image" if i % 3 else "text") for i in range(30)]
    store.replace_documents({"doc": chunks})
    assert store.without_vector("text", 99) == []
    assert store.count(without="text") == 0
    pictures = sorted(e.chunk.id for e in chunks if e.chunk.modality == "image")
    assert [chunk.id for chunk in store.without_vector("image", 7, PICTURES)] == pictures[:7]
    assert (store.count(without="image"), store.count(PICTURES, without="image")) == (30, 20)
    store.add_vectors("image", dict.fromkeys(pictures[:15], axis(8, 1)))
    assert store.without_vector("image", 7, PICTURES) == store.get(pictures[15:])
    assert store.count(PICTURES, without="image") == 5
    assert len(store.without_vector("image", 99)) == 15
    assert store.without_vector("image", 0) == store.without_vector("image", -1) == []


def test_a_replaced_document_has_only_the_vectors_that_came_with_it(store: Store) -> None:
    store.replace_documents({"doc": [embedded("doc", i) for i in range(3)]})
    store.add_vectors("image", {chunk.id: axis(8, 1) for chunk in store.chunks(["doc"])})
    store.replace_documents({"doc": [embedded("doc", 0), embedded("doc", 1, image=axis(8, 2))]})
    assert [chunk.ordinal for chunk in store.without_vector("image", 9)] == [0]


@pytest.mark.parametrize("values", [axis(7, 1), np.zeros(8, np.float32), np.full(8, np.nan, np.float32)])
def test_a_wrong_vector_that_comes_later_is_refused_with_all_that_came_with_it(
    store: Store, values: np.ndarray
) -> None:
    good, bad = embedded("good"), embedded("bad")
    put(store, good, bad)
    with pytest.raises(StoreError):
        store.add_vectors("image", {good.chunk.id: axis(8, 1), bad.chunk.id: values})
    assert store.count(without="image") == 2
    store.add_vectors("image", {})
    for ask in (
        lambda: store.add_vectors("sound", {good.chunk.id: axis(8, 1)}),
        lambda: store.without_vector("sound", 5),
        lambda: store.sample("sound", 5),
        lambda: store.count(without="sound"),
    ):
        with pytest.raises(StoreError, match="sound"):
            ask()


def test_a_sample_is_the_first_vectors_by_id_until_the_library_changes(store: Store) -> None:
    assert store.sample("image", 5).shape == (0, 8)
    chunks = [embedded("doc", i, image=axis(8, 1, i) if i % 2 else None) for i in range(40)]
    store.replace_documents({"doc": chunks})
    by_id = sorted((e.chunk.id, e.vectors[0].values) for e in chunks if e.vectors)
    expected = np.stack([values for _, values in by_id])
    assert_array_equal(store.sample("image", 7), expected[:7])
    assert_array_equal(store.sample("image", 7), expected[:7])
    assert_array_equal(store.sample("image", 99), expected)
    assert store.sample("image", 0).shape == store.sample("image", -1).shape == (0, 8)
    first = by_id[0][0]
    store.add_vectors("image", {first: axis(8, 0, 0, 1)})
    assert_array_equal(store.sample("image", 1), axis(8, 0, 0, 1).reshape(1, 8))
    store.replace_documents({"doc": []})
    assert store.sample("image", 7).shape == (0, 8)


# --- searching by vector -----------------------------------------------------------------------------------------


def test_scores_are_exact_cosines_best_first(store: Store) -> None:
    put(
        store,
        embedded("diagonal", vector=axis(16, 1, 1)),
        embedded("same", vector=axis(16, 1)),
        embedded("opposite", vector=axis(16, -1)),
        embedded("across", vector=axis(16, 0, 1)),
        embedded("three_four", vector=axis(16, 3, 4)),
        embedded("without", image=axis(8, 1)),
    )
    found = store.search_vector("text", np.float32(7) * axis(16, 1), 10)  # the length of a query does not matter
    assert [match.chunk.document_id for match in found] == ["same", "diagonal", "three_four", "across", "opposite"]
    assert [match.score for match in found] == pytest.approx([1, 1 / math.sqrt(2), 3 / 5, 0, -1], abs=1e-7)
    assert found[0].score <= 1
    assert found[-1].score >= -1
    assert found[:2] == store.search_vector("text", axis(16, 1), 2)


def test_spaces_do_not_mix(store: Store) -> None:
    put(store, embedded("a", vector=axis(16, 1), image=axis(8, 0, 1)), embedded("b", vector=axis(16, 0, 1)))
    assert [m.chunk.document_id for m in store.search_vector("text", axis(16, 0, 1), 5)] == ["b", "a"]
    assert [m.chunk.document_id for m in store.search_vector("image", axis(8, 1), 5)] == ["a"]


@pytest.mark.parametrize("k", [1, 5, 13, 39, 40])
def test_ties_are_broken_by_id_also_where_k_cuts_them(store: Store, k: int) -> None:
    same = [embedded("same", i, words="tie and some", vector=axis(16, 3, 4, 5)) for i in range(40)]
    other = [embedded("other", i, words="unlike", vector=axis(16, -1, 0, 1)) for i in range(40)]
    store.replace_documents({"same": same, "other": other})
    expected = sorted(chunk.chunk.id for chunk in same)[:k]
    assert ids(store.search_vector("text", axis(16, 1, 2, 3), k)) == expected
    assert ids(store.search_words("tie some", k)) == expected


@pytest.mark.parametrize(
    "query",
    [axis(15, 1), axis(16, 1).reshape(1, 16), np.zeros(16, np.float32), np.full(16, np.nan, np.float32)],
    ids=["dimension", "shape", "zero", "not finite"],
)
def test_a_query_vector_without_direction_is_refused(store: Store, query: np.ndarray) -> None:
    put(store, embedded("a", vector=axis(16, 1)))
    with pytest.raises(StoreError):
        store.search_vector("text", query, 5)


def test_an_unknown_space_is_refused_by_name(store: Store) -> None:
    with pytest.raises(StoreError, match="sound"):
        store.search_vector("sound", axis(16, 1), 5)
    with pytest.raises(StoreError, match="sound"):
        store.vectors("sound", ["a"])


def test_an_empty_store_answers_everything(store: Store) -> None:
    assert store.search_vector("text", axis(16, 1), 5) == []
    assert store.search_words("anything", 5, In("kind", ("note",))) == []
    assert store.get(["a"]) == store.chunks(["a"]) == []
    assert store.vectors("text", ["a"]) == store.versions() == {}
    assert store.count() == store.count(Tagged(("a",))) == 0
    store.maintain()
    put(store, embedded("a", words="first", vector=axis(16, 1)))
    store.replace_documents({"a": []})
    store.maintain()
    assert store.search_vector("text", axis(16, 1), 5) == store.search_words("first", 5) == []


@pytest.mark.parametrize("k", [0, -1])
def test_no_hits_wanted_none_given(store: Store, k: int) -> None:
    put(store, embedded("a", words="word", vector=axis(16, 1)))
    assert store.search_vector("text", axis(16, 1), k) == store.search_words("word", k) == []


def test_more_hits_wanted_than_there_are(store: Store) -> None:
    put(store, embedded("a", words="word", vector=axis(16, 1)), embedded("b", words="word", vector=axis(16, 0, 1)))
    assert len(store.search_vector("text", axis(16, 1), 10**9)) == len(store.search_words("word", 10**9)) == 2


# --- searching by words ------------------------------------------------------------------------------------------


def test_scores_are_bm25_worked_by_hand(store: Store) -> None:
    put(
        store,
        embedded("a", words="tea tea milk"),  # 3 terms
        embedded("b", words="tea cup cup cup cup"),  # 5 terms
        embedded("c", words="bread"),  # 1 term: 9 terms in 3 chunks, 3 in the mean
        embedded("d", words=""),  # no term: not counted
    )
    total = 3
    if isinstance(store, WeaviateStore):  # it counts "d" as well, and its own note of the state, which no tenant has
        total = 5 if store._options.tenant is None else 4
    idf = math.log(1 + (total - 2 + 0.5) / (2 + 0.5))  # "tea" is in 2 of 3
    a = idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 3 / 3))
    b = idf * 1 * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 5 / 3))
    milk = math.log(1 + (total - 1 + 0.5) / (1 + 0.5)) * 1 * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 3 / 3))

    def scores(words: str) -> dict[str, float]:
        return {match.chunk.document_id: match.score for match in store.search_words(words, 9)}

    assert scores("tea") == pytest.approx({"a": a, "b": b}, rel=1e-6)
    assert scores("tea milk unknown") == pytest.approx({"a": a + milk, "b": b}, rel=1e-6)
    assert scores("tea tea") == pytest.approx({"a": 2 * a, "b": 2 * b}, rel=1e-6)
    store.maintain()
    assert scores("tea milk unknown") == pytest.approx({"a": a + milk, "b": b}, rel=1e-6)


TERMS = (
    "café",
    "cafe",
    "Café",
    "running",
    "runs",
    "the",
    "AND",
    "a:b",
    '"x"',
    "x*",
    "~1",
    "(",
    "日本",
    "日本語",
    "'",
    "\\",
    "%",
)


@pytest.mark.parametrize("tidy", [False, True])
def test_terms_are_compared_as_they_are(store: Store, tidy: bool) -> None:
    put(store, *(embedded(f"d{i}", words=f"common {term}") for i, term in enumerate(TERMS)))
    if tidy:
        store.maintain()
    for i, term in enumerate(TERMS):
        assert [match.chunk.document_id for match in store.search_words(term, 5)] == [f"d{i}"], term
    assert len(store.search_words("common", 100)) == len(TERMS)
    assert store.search_words("caf", 5) == store.search_words("RUNS", 5) == store.search_words("ru?s", 5) == []


def test_any_white_space_separates_terms_and_none_is_a_term(store: Store) -> None:
    put(store, embedded("a", words="one\u00a0two\tthree\n four\u3000five"))
    for word in ("one", "two", "three", "four", "five"):
        assert len(store.search_words(f"\u2003{word}\u00a0zero", 5)) == 1, word
    for nothing in ("", " ", "\n\t\u00a0", "one\x00two", "?!"):
        assert store.search_words(nothing, 5) == []


def test_terms_may_be_long_and_queries_enormous(store: Store) -> None:
    long = "x" * 5000
    put(store, embedded("long", words=f"{long} end"), embedded("longer", words=f"{long}x end"))
    assert [match.chunk.document_id for match in store.search_words(long, 5)] == ["long"]
    query = " ".join(f"q{i}" for i in range(20_000)) + " " + long
    assert [match.chunk.document_id for match in store.search_words(query, 5)] == ["long"]


# --- filters -----------------------------------------------------------------------------------------------------

NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
FILTERS: dict[str, Filter] = {
    "kind": In("kind", ("pdf", "mail")),
    "no value": In("kind", ()),
    "odd value": In("path", ("' OR 1=1 --", ODD)),
    "documents": In("document_id", tuple(f"d{i}" for i in range(0, 600, 2))),
    "modality": In("modality", ("image",)),
    "language": In("language", ("de", "xx")),
    "folder": Under(FOLDERS[0]),
    "folder with a slash": Under(FOLDERS[1] + "/"),
    "folder with wildcards": Under(FOLDERS[2]),
    "folder with quotes": Under(FOLDERS[4]),
    "root": Under("/"),
    "file": Under(f"{FOLDERS[0]}/d1.md"),
    "tag": Tagged(("it's",)),
    "tags": Tagged(("work", "naïve 😀", "unknown")),
    "no tag": Tagged(()),
    "after": Dated(start=NEW_YEAR + timedelta(days=90, microseconds=1)),
    "before": Dated(end=NEW_YEAR + timedelta(days=90, microseconds=1)),
    "between": Dated(NEW_YEAR + timedelta(days=90), datetime(2024, 6, 1, tzinfo=timezone(timedelta(hours=-7)))),
    "any date": Dated(),
    "not dated": Not(Dated()),
    "not after": Not(Dated(start=NEW_YEAR + timedelta(days=90))),
    "not tagged": Not(Tagged(("work",))),
    "all of none": And(()),
    "one of none": Or(()),
    "nested": Or((And((In("kind", ("note",)), Not(Under(FOLDERS[0])))), And((Tagged(("work",)), Dated())))),
    "nothing": And((In("kind", ("note",)), In("kind", ("pdf",)))),
}


@pytest.fixture(scope="module", params=[each for each in MARKED if each.values != ("memory",)])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    """The oracle and another store after the same writes: added to, changed, thinned out, and tidied."""
    stores = (MemoryStore(SPACES), MAKERS[request.param](tmp_path_factory.mktemp("pair") / "index", SPACES))
    rng = np.random.default_rng(7)
    writes = [random_documents(rng, range(start, start + 200)) for start in range(0, 800, 200)]
    writes.append(random_documents(rng, range(0, 150, 3), version="v2"))
    writes.append({f"d{i}": [] for i in range(300, 400)})
    for documents in writes:
        for store in stores:
            store.replace_documents(documents)
    stores[1].maintain()
    yield stores
    discard(stores[1])


def agree(found: list[Match], expected: list[Match], rel: float) -> None:
    """The same chunks with the same scores; chunks whose scores differ by rounding alone may change places."""
    assert [match.score for match in found] == pytest.approx([match.score for match in expected], rel=rel, abs=1e-9)
    by_id = {match.chunk.id: match for match in expected}
    lowest = expected[-1].score if expected else 0.0
    for match in found:
        if match.chunk.id in by_id:
            assert match.chunk == by_id[match.chunk.id].chunk
            assert match.score == pytest.approx(by_id[match.chunk.id].score, rel=rel, abs=1e-9)
        else:
            assert match.score == pytest.approx(lowest, rel=rel)


@pytest.mark.parametrize("name", [None, *FILTERS])
def test_other_stores_agree_with_the_oracle(pair: tuple[Store, Store], name: str | None) -> None:
    oracle, other = pair
    where = FILTERS[name] if name else None
    rng = np.random.default_rng(11)
    assert other.count(where) == oracle.count(where)
    for k in (1, 10, 200):
        for space, dim in SPACES.items():
            query = unit(rng, dim)
            assert other.search_vector(space, query, k, where) == oracle.search_vector(space, query, k, where)
        words = " ".join(f"w{int(term)}" for term in rng.integers(1, 500, 4))
        agree(other.search_words(words, k, where), oracle.search_words(words, k, where), of_words(other))


def test_the_comparison_is_of_thousands_of_chunks_and_filters_that_differ(pair: tuple[Store, Store]) -> None:
    oracle, other = pair
    assert oracle.count() > 3000
    assert other.versions() == oracle.versions()
    counts = {name: oracle.count(where) for name, where in FILTERS.items()}
    assert {name for name, count in counts.items() if count == 0} == {
        "no value", "odd value", "no tag", "one of none", "nothing",
    }  # fmt: skip
    assert counts["root"] == counts["all of none"] == oracle.count()
    names = list(oracle.versions())
    assert other.chunks(names) == oracle.chunks(names)
    every = [chunk.id for chunk in oracle.chunks(names)]
    for space in SPACES:
        theirs, ours = other.vectors(space, every), oracle.vectors(space, every)
        assert theirs.keys() == ours.keys()
        assert all((theirs[name] == ours[name]).all() for name in ours)


PATHS = ("/a/b", "/a/b/c", "/a/bc", "/a/b%/c", "/a/bx/c", "/a/b\\c", "C:\\n\\x", "C:\\nn\\x", "C:\\n", "\\\\host\\n\\x")


@pytest.mark.parametrize(
    ("folder", "inside"),
    [
        ("/a/b", {"/a/b", "/a/b/c"}),
        ("/a/b/", {"/a/b", "/a/b/c"}),
        ("/a/b%", {"/a/b%/c"}),
        ("/a/b_", set()),
        ("/a", {"/a/b", "/a/b/c", "/a/bc", "/a/b%/c", "/a/bx/c", "/a/b\\c"}),
        ("C:\\n", {"C:\\n", "C:\\n\\x"}),
        ("C:/n/", {"C:\\n", "C:\\n\\x"}),
        ("C:\\", {"C:\\n\\x", "C:\\nn\\x", "C:\\n"}),
        ("\\\\host\\n", {"\\\\host\\n\\x"}),
        ("a/b", set()),
    ],
)
def test_a_folder_holds_what_lies_in_it_and_nothing_beside_it(store: Store, folder: str, inside: set[str]) -> None:
    put(store, *(embedded(f"d{i}", words="all", path=path) for i, path in enumerate(PATHS)))
    assert {match.chunk.path for match in store.search_words("all", 99, Under(folder))} == inside
    assert store.count(Not(Under(folder))) == len(PATHS) - len(inside)


def test_a_filter_date_without_a_zone_is_refused(store: Store) -> None:
    put(store, embedded("a", date=NEW_YEAR))
    with pytest.raises(InvalidQuery, match="time zone"):
        store.count(Dated(start=datetime(2024, 1, 1)))


def test_filters_know_their_boundaries() -> None:
    chunk = embedded("a", date=NEW_YEAR, tags=("x",)).chunk
    tick = timedelta(microseconds=1)
    assert matches(Dated(start=NEW_YEAR), chunk)
    assert not matches(Dated(end=NEW_YEAR), chunk)
    assert matches(Dated(NEW_YEAR, NEW_YEAR + tick), chunk)
    assert not matches(Dated(start=NEW_YEAR + tick), chunk)
