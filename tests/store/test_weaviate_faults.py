"""A Weaviate server that fails, in every way that we know of: what the person is told, how soon, and what is lost.

Nothing may be: after each fault the library is what it was before the write or what it is after it, and the write
can be done again. The server is a stub, so this runs everywhere; tests/store/test_weaviate_outages.py stops a real
one.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from weaviate.classes.query import Filter as Where

from rag.errors import StoreError
from rag.moving.copying import copy_index
from rag.records import EmbeddedChunk
from rag.store import weaviate_connection, weaviate_objects
from rag.store.memory_store import MemoryStore
from rag.store.weaviate_state import State
from rag.store.weaviate_store import WeaviateStore
from tests.store import weaviate_calls
from tests.store.made import SPACES, axis, embedded
from tests.store.weaviate_stub import (
    DISK_FULL,
    INTERNAL,
    MEMORY_FULL,
    OUT_OF_MEMORY,
    QUOTA,
    UNAVAILABLE,
    Fault,
    WeaviateStub,
    running_stub,
)

SOON = 55.0  # seconds within which a person is told, on a busy machine: less than the delays that are made


@pytest.fixture
def stub() -> Iterator[WeaviateStub]:
    with running_stub() as stub:
        yield stub


@pytest.fixture
def store(stub: WeaviateStub) -> Iterator[WeaviateStore]:
    """A library of one document with three chunks."""
    store = opened(stub)
    store.replace_documents({"kept": chunks("kept", 3)})
    yield store
    store.close()


def opened(stub: WeaviateStub, key: str | None = None) -> WeaviateStore:
    url = f"weaviate://127.0.0.1:{stub.port}?grpc={stub.grpc_port}"
    return WeaviateStore(url, SPACES, name="Library", api_key=key)


def chunks(document: str, count: int, version: str = "v1") -> list[EmbeddedChunk]:
    return [
        embedded(document, i, words=f"word{i} {document}", vector=axis(16, 1, i), version=version) for i in range(count)
    ]


def held(stub: WeaviateStub) -> int:
    """Objects on the server, the state of the index among them."""
    return sum(len(things) for one in stub.schema.collections.values() for things in one.held.values())


def let_late_requests_arrive() -> None:
    """The client goes on trying what the store gave up on."""
    for thread in threading.enumerate():
        if thread.name == "write to the index":
            thread.join(60)


@contextmanager
def told_soon(match: str) -> Iterator[None]:
    begun = time.monotonic()
    with pytest.raises(StoreError, match=match):
        yield
    assert time.monotonic() - begun < SOON


def check_intact(store: WeaviateStore, stub: WeaviateStub, documents: dict[str, tuple[str, int]]) -> None:
    """Exactly these documents are found, by every road, and nothing else lies on the server once it is tidied."""
    total = sum(count for _, count in documents.values())
    assert store.versions() == documents
    assert store.count() == total
    assert len(store.search_vector("text", axis(16, 1), 999)) == total
    for document, (_, count) in documents.items():
        assert [chunk.ordinal for chunk in store.chunks([document])] == list(range(count))
        assert len(store.search_words(document, 999)) == count
    let_late_requests_arrive()
    store.maintain()
    assert held(stub) == total + 1


# --- at the start ------------------------------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_told_with_where_to_say_where_it_is(stub: WeaviateStub) -> None:
    stub.stop()
    with told_soon(rf"no Weaviate server answers at 127\.0\.0\.1:{stub.port}.*RAG_STORE"):
        opened(stub)
    stub.start()
    opened(stub).close()


def test_a_grpc_port_that_is_closed_is_told_by_name(stub: WeaviateStub) -> None:
    with told_soon(r"gRPC port"):
        WeaviateStore(f"weaviate://127.0.0.1:{stub.port}?grpc=1", SPACES, name="Library")


@pytest.mark.parametrize("version", ["1.26.9", "1.30.5", "1.36.20", "1.37.13", "1.38.6"])
def test_an_old_server_is_refused_by_version(stub: WeaviateStub, version: str) -> None:
    stub.schema.version = version
    with told_soon("update it"):
        opened(stub)


@pytest.mark.parametrize("version", ["1.37.14", "1.38.7", "1.39.0", "1.40.2", "2.0.0"])
def test_a_newer_server_is_taken(stub: WeaviateStub, version: str) -> None:
    stub.schema.version = version
    opened(stub).close()


@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_wrong_key_is_told_with_the_setting_that_holds_it(stub: WeaviateStub, key: str | None) -> None:
    stub.faults.keys = {"right": "write"}
    with told_soon("RAG_WEAVIATE_API_KEY"):
        opened(stub, key)
    store = opened(stub, "right")
    store.replace_documents({"doc": chunks("doc", 2)})
    assert store.count() == 2
    store.close()


def test_a_key_that_may_only_read_reads(stub: WeaviateStub, store: WeaviateStore) -> None:
    stub.faults.keys = {"owner": "write", "reader": "read"}
    reader = opened(stub, "reader")
    assert reader.count() == 3
    with told_soon("RAG_WEAVIATE_API_KEY"):
        reader.replace_documents({"new": chunks("new", 2)})
    assert reader.versions() == {"kept": ("v1", 3)}
    reader.close()


# --- while asking ------------------------------------------------------------------------------------------------


def test_a_server_lost_between_questions_is_told_and_found_again(stub: WeaviateStub, store: WeaviateStore) -> None:
    stub.stop()
    for ask in (store.count, lambda: store.search_words("word1", 5), lambda: store.get(["a"])):
        with told_soon("no Weaviate server answers"):
            ask()
    stub.start()
    check_intact(store, stub, {"kept": ("v1", 3)})


def test_a_short_interruption_is_not_noticed(stub: WeaviateStub, store: WeaviateStore) -> None:
    stub.faults.fail("Search", UNAVAILABLE, times=1)
    assert len(store.search_words("kept", 5)) == 3


def test_a_frozen_server_is_told(stub: WeaviateStub, store: WeaviateStore) -> None:
    stub.faults.delay = dict.fromkeys(("Search", "Health", "Aggregate"), 60)
    with told_soon("no Weaviate server answers"):
        store.search_words("kept", 5)
    stub.faults.delay = {}
    assert store.count() == 3


def test_a_slow_answer_is_waited_for(stub: WeaviateStub, store: WeaviateStore) -> None:
    stub.faults.delay["Search"] = 2
    assert len(store.search_words("kept", 5)) == 3


def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(stub: WeaviateStub, store: WeaviateStore) -> None:
    store._connection.read_seconds = 1.0
    stub.faults.delay["Search"] = 60
    stub.calls.clear()
    with told_soon("cannot search by words: .* is there but did not do it within 1 s; .* restart it"):
        store.search_words("kept", 5)
    assert stub.calls["Search"] == 1, "nothing else is asked of a server that does not get done"
    stub.faults.delay.clear()
    assert len(store.search_words("kept", 5)) == 3


@pytest.mark.parametrize("call", ["Search", "Aggregate"])
def test_questions_that_a_server_in_health_goes_on_refusing_end_soon(
    stub: WeaviateStub, store: WeaviateStore, call: str
) -> None:
    """The client alone would try again for 63 seconds."""
    store._connection.read_seconds = 1.0
    stub.faults.fail(call, UNAVAILABLE)
    with told_soon("did not do it within 1 s"):
        store.search_words("kept", 5) if call == "Search" else store.count()
    stub.faults.queue.clear()
    assert store.count() == len(store.search_words("kept", 5)) == 3


def test_changes_that_a_server_in_health_goes_on_refusing_end_and_change_nothing(
    stub: WeaviateStub, store: WeaviateStore
) -> None:
    store._connection.write_seconds = 1.0
    stub.faults.fail("BatchObjects", UNAVAILABLE)
    with told_soon("cannot write to the index: .* did not do it within 1 s"):
        store.replace_documents({"new": chunks("new", 5)})
    stub.faults.queue.clear()
    check_intact(store, stub, {"kept": ("v1", 3)})


def test_a_write_waits_for_a_cluster_that_has_just_lost_its_leader(
    stub: WeaviateStub, store: WeaviateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked before it hangs three times; the write itself is sent once."""
    monkeypatch.setattr(weaviate_connection, "_LEADER_SECONDS", 0.2)
    stub.faults.hang["HTTP"], stub.faults.hang_seconds = 3, 2.0
    store.replace_documents({"new": chunks("new", 5)})
    assert stub.faults.hang["HTTP"] == 0
    check_intact(store, stub, {"kept": ("v1", 3), "new": ("v1", 5)})


def test_a_cluster_that_finds_no_leader_is_told(
    stub: WeaviateStub, store: WeaviateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weaviate_connection, "_LEADER_SECONDS", 0.2)
    monkeypatch.setattr(weaviate_connection, "_ELECTION_SECONDS", 0.5)
    stub.faults.hang["HTTP"], stub.faults.hang_seconds = 1000, 2.0
    with told_soon("cannot write to the index: .* is there but did not do it"):
        store.replace_documents({"new": chunks("new", 5)})
    stub.faults.hang.clear()
    check_intact(store, stub, {"kept": ("v1", 3)})


def test_a_question_is_given_ten_seconds_and_a_change_a_minute(store: WeaviateStore) -> None:
    assert (store._connection.read_seconds, store._connection.write_seconds) == (10.0, 60.0)


@pytest.mark.parametrize("fault", [INTERNAL, QUOTA, OUT_OF_MEMORY], ids=["internal", "quota", "memory"])
def test_a_failing_search_is_told_and_the_next_one_works(
    stub: WeaviateStub, store: WeaviateStore, fault: Fault
) -> None:
    stub.faults.fail("Search", fault, times=1)
    with told_soon("cannot search by words.*127"):
        store.search_words("kept", 5)
    assert len(store.search_words("kept", 5)) == 3


def test_a_collection_that_someone_deleted_is_told(stub: WeaviateStub, store: WeaviateStore) -> None:
    stub.schema.collections.clear()
    for ask in (
        store.count,
        lambda: store.search_vector("text", axis(16, 1), 5),
        lambda: store.replace_documents({"new": chunks("new", 1)}),
    ):
        with told_soon("someone deleted it"):
            ask()


def test_vectors_that_the_live_index_does_not_have_are_told_by_their_cause(
    stub: WeaviateStub, store: WeaviateStore
) -> None:
    """Another program made the index anew, without pictures, and made that one live."""
    url = f"weaviate://127.0.0.1:{stub.port}?grpc={stub.grpc_port}"
    WeaviateStore(url, {"text": 16}, name="Library", version="v2").close()
    store.versions_of_index.make_live("v2")
    for ask in (
        lambda: store.search_vector("image", axis(8, 1), 5),
        lambda: store.replace_documents({"new": [embedded("new", vector=axis(16, 1), image=axis(8, 1))]}),
    ):
        with told_soon("made anew with other models; start the program again"):
            ask()
    assert store.versions() == {}


# --- while writing -----------------------------------------------------------------------------------------------


def fails(fault: Fault) -> Callable[[WeaviateStub], None]:
    return lambda stub: stub.faults.fail("BatchObjects", fault)


def stays_read_only(reason: str) -> Callable[[WeaviateStub], None]:
    return lambda stub: setattr(stub.schema, "read_only", reason)


def is_cut(stub: WeaviateStub) -> None:
    stub.faults.cut_after = 150


FAULTS = {
    "internal error": (fails(INTERNAL), "panic"),
    "quota": (fails(QUOTA), "usage limit"),
    "out of memory": (fails(OUT_OF_MEMORY), "memory"),
    "disk nearly full": (stays_read_only(DISK_FULL), "disk"),
    "memory nearly full": (stays_read_only(MEMORY_FULL), "make room|memory"),
    "connection cut": (is_cut, "no Weaviate server answers"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_write_that_fails_changes_nothing_and_can_be_done_again(
    stub: WeaviateStub, store: WeaviateStore, name: str
) -> None:
    begin, message = FAULTS[name]
    changed = {"kept": chunks("kept", 5, "v2"), "new": chunks("new", 250)}
    begin(stub)
    with told_soon(message):
        store.replace_documents(changed)
    stub.faults.queue.clear()
    stub.schema.read_only = ""
    if name == "connection cut":
        stub.start()
    check_intact(store, stub, {"kept": ("v1", 3)})
    store.replace_documents(changed)
    check_intact(store, stub, {"kept": ("v2", 5), "new": ("v1", 250)})


def test_a_write_cut_in_the_middle_goes_on_when_the_server_is_back_soon(
    stub: WeaviateStub, store: WeaviateStore
) -> None:
    stub.faults.cut_after = 50
    again = threading.Timer(0.3, stub.start)
    again.start()
    store.replace_documents({"new": chunks("new", 120)})
    again.join()
    check_intact(store, stub, {"kept": ("v1", 3), "new": ("v1", 120)})


def test_another_process_sees_nothing_of_a_write_that_was_cut(stub: WeaviateStub, store: WeaviateStore) -> None:
    stub.faults.cut_after = 150
    with told_soon("no Weaviate server answers"):
        store.replace_documents({"kept": chunks("kept", 2, "v2"), "new": chunks("new", 250)})
    stub.start()
    assert held(stub) == 1 + 3 + 150  # the state, what was there, and what came through
    other = opened(stub)
    check_intact(other, stub, {"kept": ("v1", 3)})
    other.replace_documents({"kept": []})
    check_intact(other, stub, {})
    other.close()


def test_what_a_killed_server_no_longer_finds_by_its_generation_is_not_shown_and_goes(
    stub: WeaviateStub, store: WeaviateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files may have an object and its words, but not the number of the write that it came with."""
    stub.faults.cut_after = 150
    with told_soon("no Weaviate server answers"):
        store.replace_documents({"new": chunks("new", 250)})
    stub.start()
    let_late_requests_arrive()
    monkeypatch.setattr(State, "visible", lambda state: None)
    monkeypatch.setattr(weaviate_objects, "is_of_generations", lambda generations: Where.by_property("kind").equal(""))
    assert store.search_words("new", 999) == []
    assert len(store.search_vector("text", axis(16, 1), 2)) == 2
    assert {match.chunk.document_id for match in store.search_vector("text", axis(16, 1), 999)} == {"kept"}
    assert held(stub) > 1 + 3
    monkeypatch.setattr(weaviate_objects, "_UNDER_WAY", 0.0)
    store.maintain()
    assert held(stub) == 1 + 3


def test_objects_that_fail_for_a_moment_are_sent_again(stub: WeaviateStub, store: WeaviateStore) -> None:
    stub.faults.refuse_next = 3
    store.replace_documents({"new": chunks("new", 250)})
    check_intact(store, stub, {"kept": ("v1", 3), "new": ("v1", 250)})


def test_objects_that_go_on_failing_fail_the_write(stub: WeaviateStub, store: WeaviateStore) -> None:
    stub.faults.refuse_next, stub.faults.refuse_times = 3, 1000
    with told_soon("3 chunks were refused|disk"):
        store.replace_documents({"new": chunks("new", 250)})
    stub.faults.refused.clear()
    check_intact(store, stub, {"kept": ("v1", 3)})


def test_a_disk_that_fills_up_and_is_emptied_within_a_batch_loses_nothing(
    stub: WeaviateStub, store: WeaviateStore
) -> None:
    """A server that turned read-only blames one object of a batch of which it wrote none: the others are not in."""
    stub.faults.read_only_batches = 1
    try:
        store.replace_documents({"new": chunks("new", 120)})
    except StoreError:
        check_intact(store, stub, {"kept": ("v1", 3)})
        store.replace_documents({"new": chunks("new", 120)})
    check_intact(store, stub, {"kept": ("v1", 3), "new": ("v1", 120)})


def test_a_document_of_more_chunks_than_one_delete_removes_goes_altogether(
    stub: WeaviateStub, store: WeaviateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weaviate_calls, "MAX_DELETES", 40)
    store.replace_documents({"new": chunks("new", 130)})
    store.replace_documents({"new": []})
    check_intact(store, stub, {"kept": ("v1", 3)})
    assert stub.calls["BatchDelete"] > 3


def test_a_delete_that_fails_is_finished_by_the_next_write(stub: WeaviateStub, store: WeaviateStore) -> None:
    store.replace_documents({"old": chunks("old", 30)})
    stub.faults.fail("BatchDelete", INTERNAL)
    with told_soon("cannot remove chunks"):
        store.replace_documents({"old": chunks("old", 20, "v2")})
    assert store.versions() == {"kept": ("v1", 3), "old": ("v2", 20)}  # the change itself came through
    stub.faults.queue.clear()
    store.replace_documents({"new": chunks("new", 1)})
    check_intact(store, stub, {"kept": ("v1", 3), "old": ("v2", 20), "new": ("v1", 1)})


def test_a_delete_on_a_disk_that_has_just_filled_up_is_told_by_its_cause(
    stub: WeaviateStub, store: WeaviateStore
) -> None:
    store.replace_documents({"old": chunks("old", 30)})
    stub.faults.read_only_from = "BatchDelete"
    with told_soon("takes no writes: .* make room there and set its shards to READY"):
        store.replace_documents({"old": chunks("old", 20, "v2")})
    stub.schema.read_only, stub.faults.read_only_from = "", ""
    check_intact(store, stub, {"kept": ("v1", 3), "old": ("v2", 20)})


def test_vectors_that_come_later_survive_a_cut(stub: WeaviateStub, store: WeaviateStore) -> None:
    store.replace_documents({"pictures": chunks("pictures", 150)})
    later = {chunk.id: axis(8, 1) for chunk in store.chunks(["pictures"])}
    stub.faults.cut_after = 70
    with told_soon("no Weaviate server answers"):
        store.add_vectors("image", later)
    stub.start()
    assert store.count(without="image") == 153
    store.add_vectors("image", later)
    assert store.count(without="image") == 3
    check_intact(store, stub, {"kept": ("v1", 3), "pictures": ("v1", 150)})


def test_a_copy_that_is_cut_goes_on_where_it_was(stub: WeaviateStub) -> None:
    source, target = MemoryStore(SPACES), opened(stub)
    documents = {f"doc{i}": chunks(f"doc{i}", 700) for i in range(5)}  # two to a step
    source.replace_documents(documents)
    stub.faults.cut_after = 2000
    with told_soon("no Weaviate server answers"):
        copy_index(source, target, list(SPACES))
    stub.start()
    stub.calls.clear()
    report = copy_index(source, target, list(SPACES))
    assert (report.documents, report.chunks, report.written, report.mended) == (5, 3500, 3, 0)
    assert stub.calls["BatchObjects"] - 2100 / 100 in (0, 1)  # a request that was given up on may still come
    assert target.versions() == source.versions()
    assert held(stub) == 3500 + 1
    target.close()
