"""What WeaviateStore promises beyond the contract of stores: one step for every reader, versions, other models."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rag.errors import ConfigError, IndexMismatch, StoreError
from rag.filters import In
from rag.records import EmbeddedChunk
from rag.store import weaviate_objects
from rag.store.memory_store import MemoryStore
from rag.store.weaviate_connection import Address, Connection
from rag.store.weaviate_objects import Objects
from rag.store.weaviate_store import WeaviateStore
from tests.store.made import SPACES, axis, embedded, random_documents, unit
from tests.store.weaviate_server import drop, fresh_name, server_url

TEXT = {"text": 16}


@pytest.fixture
def name() -> str:
    return fresh_name()


@pytest.fixture
def store(name: str) -> Iterator[WeaviateStore]:
    made = WeaviateStore(server_url(), SPACES, name=name)
    yield made
    drop(made)


def document(name: str, version: int, chunks: int) -> list[EmbeddedChunk]:
    words = f"all {name} v{version}"
    return [embedded(name, i, words=words, vector=axis(16, 1, i), version=f"v{version}") for i in range(chunks)]


# --- one step ----------------------------------------------------------------------------------------------------


@pytest.mark.weaviate
def test_readers_see_all_of_a_write_or_nothing(store: WeaviateStore, name: str) -> None:
    reader = WeaviateStore(server_url(), SPACES, name=name)
    sizes = [3, 7, 2, 9, 5, 1, 8, 4]
    store.replace_documents({each: document(each, 0, sizes[0]) for each in "ab"})
    whole = {f"v{version}": size for version, size in enumerate(sizes)}
    done, wrong, seen = threading.Event(), [], set()

    def look(ask: Callable[[], list[Any]]) -> None:
        while not done.is_set():
            found = ask()
            versions = {chunk.version for chunk in found}
            seen.update(versions)
            if len(versions) != 1 or len(found) != 2 * whole[found[0].version]:
                wrong.append([(chunk.document_id, chunk.version, chunk.ordinal) for chunk in found])

    asked = (
        lambda: reader.chunks(["a", "b"]),
        lambda: [match.chunk for match in reader.search_words("all", 99)],
        lambda: [match.chunk for match in reader.search_vector("text", axis(16, 1, 1), 99)],
    )
    threads = [threading.Thread(target=look, args=(ask,)) for ask in asked]
    for thread in threads:
        thread.start()
    for version, size in enumerate(sizes):
        store.replace_documents({each: document(each, version, size) for each in "ab"})
    done.set()
    for thread in threads:
        thread.join()
    reader.close()
    assert wrong == []
    assert len(seen) > 1


class PowerCutError(Exception):
    """What the tests cut a write off with: nothing handles it."""


STEPS = ("_change", "_insert", "_change", "_delete", "_change")


@pytest.mark.weaviate
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(len(STEPS)))
def test_a_write_that_is_cut_off_is_undone_or_done(
    store: WeaviateStore, name: str, monkeypatch: pytest.MonkeyPatch, step: int, after: bool
) -> None:
    store.replace_documents({"a": document("a", 0, 5), "b": document("b", 0, 2), "other": document("other", 0, 1)})
    real = {each: getattr(Objects, each) for each in set(STEPS)}
    calls: list[str] = []

    def cut(each: str) -> Callable[..., Any]:
        def called(*args: Any, **given: Any) -> Any:
            calls.append(each)
            cut_here = len(calls) == step + 1
            if cut_here and not after:
                raise PowerCutError
            real[each](*args, **given)
            if cut_here:
                raise PowerCutError

        return called

    with monkeypatch.context() as patch:
        for each in real:
            patch.setattr(Objects, each, cut(each))
        with pytest.raises(PowerCutError):
            store.replace_documents({"a": document("a", 1, 3), "b": []})
    assert tuple(calls) == STEPS[: step + 1]
    committed = step > 2 or (step == 2 and after)
    expected = {"a": ("v1", 3)} if committed else {"a": ("v0", 5), "b": ("v0", 2)}

    again = WeaviateStore(server_url(), SPACES, name=name)
    for each in (store, again):
        assert each.versions() == {**expected, "other": ("v0", 1)}
        assert each.count() == len(each.search_words("all", 99)) == len(each.search_vector("text", axis(16, 1), 99))
    again.replace_documents({"a": document("a", 2, 4), "b": []})
    assert again.versions() == store.versions() == {"a": ("v2", 4), "other": ("v0", 1)}
    again.maintain()
    assert objects_on_the_server(again) == 5 + 1, "five chunks and the state: nothing is left over"
    again.close()


def objects_on_the_server(store: WeaviateStore) -> int:
    collection = store._objects.state.collection
    total = store._connection.client.collections.use(collection).aggregate.over_all(total_count=True).total_count
    assert total is not None
    return total


@pytest.mark.weaviate
def test_what_arrives_after_it_was_given_up_on_is_not_seen(
    store: WeaviateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[Any] = []

    def given_up(self: Objects, objects: Any) -> None:
        late.extend(objects)
        raise StoreError("the server did not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "_insert", given_up)
        with pytest.raises(StoreError, match="did not answer"):
            store.replace_documents({"a": document("a", 1, 3)})
    store.replace_documents({"a": document("a", 2, 2)})
    for _ in range(2):
        store._objects._insert(late)
        assert store.versions() == {"a": ("v2", 2)}
        assert store.count() == len(store.search_words("all", 9)) == 2
        store.maintain()
        assert objects_on_the_server(store) == 2 + 1
    assert store._objects.state.hidden == (1,)
    monkeypatch.setattr(weaviate_objects, "_UNDER_WAY", 0.0)
    store.maintain()
    assert store._objects.state.hidden == ()


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.weaviate
def test_every_chunk_that_the_server_refuses_is_told_and_nothing_has_changed(store: WeaviateStore) -> None:
    store.replace_documents({"a": document("a", 0, 2)})
    store._spaces["text"] = 12  # as if the check of dimensions were missing
    fine, bad = embedded("a", 0, version="v1"), embedded("a", 1, version="v1", vector=axis(12, 1))
    with pytest.raises(StoreError, match="1 chunks were refused"):
        store.replace_documents({"a": [fine, bad]})
    with pytest.raises(StoreError, match="1 chunks were refused"):
        store.replace_documents({"a": [bad]})
    assert store.versions() == {"a": ("v0", 2)}


@pytest.mark.weaviate
def test_a_chunk_that_is_refused_once_is_sent_again(store: WeaviateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    refused, sent = Objects._refused, []

    def at_first(self: Objects, objects: Any) -> Any:
        sent.append(len(objects))
        return {1: "busy", 3: "busy"} if len(sent) == 1 else refused(self, objects)

    def without_two(self: Objects, objects: Any) -> Any:
        found = at_first(self, objects)
        if len(sent) == 1:
            refused(self, [each for i, each in enumerate(objects) if i not in found])
        return found

    monkeypatch.setattr(Objects, "_refused", without_two)
    store.replace_documents({"a": document("a", 0, 5)})
    assert sent == [5, 2]
    assert [chunk.ordinal for chunk in store.chunks(["a"])] == [0, 1, 2, 3, 4]


@pytest.mark.weaviate
def test_another_dimension_is_refused(store: WeaviateStore, name: str) -> None:
    with pytest.raises(IndexMismatch, match="16 numbers in 'text', the embedder makes 12"):
        WeaviateStore(server_url(), {"text": 12}, name=name)


@pytest.mark.weaviate
def test_a_collection_that_someone_deleted_is_told(store: WeaviateStore, name: str) -> None:
    store.replace_documents({"a": document("a", 0, 2)})
    store._connection.client.collections.delete(store._objects.state.collection)
    for ask in (
        store.count,
        store.maintain,
        lambda: store.search_words("all", 5),
        lambda: store.search_vector("text", axis(16, 1), 5),
        lambda: store.replace_documents({"a": document("a", 1, 2)}),
        lambda: WeaviateStore(server_url(), SPACES, name=name),
    ):
        with pytest.raises(StoreError, match="no longer on the Weaviate server"):
            ask()
    assert store.versions_of_index.all() == [], "nothing was made in its place"


# --- many --------------------------------------------------------------------------------------------------------


@pytest.mark.weaviate
@pytest.mark.slow
def test_more_chunks_than_one_answer_holds(store: WeaviateStore) -> None:
    store.replace_documents({"many": document("many", 0, 10_100), "one": document("one", 0, 1)})
    assert store.versions() == {"many": ("v0", 10_100), "one": ("v0", 1)}
    assert [chunk.ordinal for chunk in store.chunks(["many"])] == list(range(10_100))
    assert len(store.search_words("all", 20_000)) == 10_000
    store.replace_documents({"many": []})
    assert store.versions() == {"one": ("v0", 1)}
    assert objects_on_the_server(store) == 1 + 1


# --- vectors of several models -----------------------------------------------------------------------------------


@pytest.mark.weaviate
def test_vectors_of_two_models_never_meet_and_old_ones_go(store: WeaviateStore, name: str) -> None:
    def opened(model: str | None, dim: int = 8) -> WeaviateStore:
        if model is None:
            return WeaviateStore(server_url(), TEXT, name=name)
        return WeaviateStore(server_url(), {**TEXT, "image": dim}, {"image": model}, name=name)

    store.replace_documents({"doc": [embedded("doc", i, words="w", vector=axis(16, 1, i)) for i in range(4)]})
    ids = [chunk.id for chunk in store.chunks(["doc"])]
    first = opened("first")
    first.add_vectors("image", dict.fromkeys(ids, axis(8, 1)))
    assert len(first.search_vector("image", axis(8, 1), 9)) == 4

    without = opened(None)
    without.replace_documents({"new": [embedded("new", words="w", vector=axis(16, 1))]})
    assert without.count() == 5
    assert first.count(without="image") == 1, "a store that does not know the space leaves its vectors alone"

    second = opened("second", 12)
    assert second.search_vector("image", axis(12, 1), 9) == []
    assert second.count(without="image") == 5
    second.add_vectors("image", {ids[0]: axis(12, 1)})
    assert [match.chunk.id for match in second.search_vector("image", axis(12, 1), 9)] == [ids[0]]
    second.maintain()
    assert first.search_vector("image", axis(8, 1), 9) == []
    assert second.vectors("image", ids).keys() == {ids[0]}
    assert len(second.vectors("text", ids)) == second.count() - 1 == 4
    assert objects_on_the_server(second) == 5 + 1
    for each in (first, without, second):
        each.close()


# --- versions of an index ----------------------------------------------------------------------------------------


@pytest.mark.weaviate
def test_an_index_is_swapped_and_swapped_back_while_it_is_searched(store: WeaviateStore, name: str) -> None:
    rng = np.random.default_rng(5)
    old, new = random_documents(rng, range(30)), random_documents(rng, range(40), version="v2")
    store.replace_documents(old)
    beside = WeaviateStore(server_url(), SPACES, name=name, version="v2")
    beside.replace_documents(new)
    versions = store.versions_of_index
    assert versions.all() == ["v1", "v2"]
    assert versions.live() == "v1"
    query, oracles = unit(rng, 16), []
    for documents in (old, new):
        oracles.append(MemoryStore(SPACES))
        oracles[-1].replace_documents(documents)
    answers = [oracle.search_vector("text", query, 20) for oracle in oracles]
    done, seen, wrong = threading.Event(), set(), []

    def look() -> None:
        while not done.is_set():
            found = store.search_vector("text", query, 20)
            if found in answers:
                seen.add(answers.index(found))
            else:
                wrong.append(found)

    thread = threading.Thread(target=look)
    thread.start()
    for version in ("v2", "v1", "v2", "v1", "v2"):
        versions.make_live(version)
        expected = answers[version == "v2"]
        assert store.search_vector("text", query, 20) == expected
    with pytest.raises(StoreError, match="live"):
        versions.drop("v2")
    versions.drop("v1")
    assert store.count() == sum(map(len, new.values()))
    done.set()
    thread.join()
    assert wrong == []
    assert seen == {0, 1}
    store.replace_documents({"d0": []})
    assert "d0" not in beside.versions(), "writes go to the live version"
    beside.close()


@pytest.mark.weaviate
def test_a_version_that_is_not_there_is_not_made_live(store: WeaviateStore) -> None:
    with pytest.raises(StoreError, match="no version 'v7'"):
        store.versions_of_index.make_live("v7")
    for wrong in ("", "a b", "../x"):
        with pytest.raises(StoreError, match="cannot name"):
            store.versions_of_index.collection(wrong)


@pytest.mark.weaviate
def test_libraries_on_one_server_do_not_see_each_other(store: WeaviateStore) -> None:
    other = WeaviateStore(server_url(), SPACES, name=fresh_name())
    store.replace_documents({"a": document("a", 0, 2)})
    other.replace_documents({"b": document("b", 0, 3)})
    assert (store.versions().keys(), other.versions().keys()) == ({"a"}, {"b"})
    drop(other)
    assert store.count(In("document_id", ("a",))) == 2


# --- addresses and server versions -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("weaviate://localhost", Address("localhost", 8080, "localhost", 50051, False)),
        ("weaviate://box:1234?grpc=5678", Address("box", 1234, "box", 5678, False)),
        ("weaviate://[::1]:1234/", Address("::1", 1234, "::1", 50051, False)),
        ("https://my.example.org", Address("my.example.org", 443, "my.example.org", 443, True)),
        ("https://my.org:8443?grpc=g.my.org:9", Address("my.org", 8443, "g.my.org", 9, True)),
        ("https://abc.weaviate.cloud", Address("abc.weaviate.cloud", 443, "grpc-abc.weaviate.cloud", 443, True)),
        ("https://abc.weaviate.network", Address("abc.weaviate.network", 443, "abc.grpc.weaviate.network", 443, True)),
    ],
)
def test_an_address_names_both_ports(url: str, address: Address) -> None:
    assert Address.parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "lance2",
        "http://plain",
        "weaviate://",
        "weaviate://h:port",
        "weaviate://h:99999",
        "weaviate://h/path",
        "weaviate://h?x=1",
        "weaviate://h?grpc=many",
        "weaviate://user:secret@h",
    ],
)
def test_anything_else_is_no_address(url: str) -> None:
    with pytest.raises(ConfigError, match="weaviate://host:port"):
        Address.parse(url)


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("1.36.9", False),
        ("1.37.13", False),
        ("1.37.14", True),
        ("1.38.6", False),
        ("1.38.7", True),
        ("1.39.0", True),
        ("1.39.0-rc.1", True),
        ("1.40.2", True),
        ("2.0.0", True),
        ("0.39.9", False),
        ("None", False),
    ],
)
def test_old_servers_are_refused(version: str, fits: bool) -> None:
    connection = Connection.__new__(Connection)
    connection.address = Address.parse("weaviate://box")
    if fits:
        connection._check_version(version)
    else:
        with pytest.raises(StoreError, match="update it"):
            connection._check_version(version)
