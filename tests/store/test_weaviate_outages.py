"""What happens when the server is really killed, frozen, locked or not there. Each test has a server of its own."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from rag.errors import StoreError
from rag.store.catalogue import Catalogue
from rag.store.memory_store import MemoryStore
from rag.store.recover import recover, verify
from rag.store.weaviate_store import WeaviateStore
from tests.store.made import SPACES, axis, random_documents, unit, written
from tests.store.weaviate_server import Server, free_ports, own_server

SOON = 30.0  # seconds within which an outage must be told, on a busy machine


def refused(ask: Callable[[], object], says: str, within: float = SOON) -> None:
    started = time.monotonic()
    with pytest.raises(StoreError, match=says):
        ask()
    assert time.monotonic() - started < within


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = own_server(tmp_path)
    yield made
    made.kill()


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    port, grpc = free_ports(2)
    url = f"weaviate://127.0.0.1:{port}?grpc={grpc}"
    refused(lambda: WeaviateStore(url, SPACES), f"no Weaviate server answers at 127.0.0.1:{port}.*RAG_STORE", 3)


@pytest.mark.weaviate
def test_a_grpc_port_that_is_closed_is_told(server: Server) -> None:
    url = server.url.partition("?")[0] + f"?grpc={free_ports(1)[0]}"
    refused(lambda: WeaviateStore(url, SPACES), "not on its gRPC port.*weaviate://host:port")


@pytest.mark.weaviate
def test_a_server_lost_while_it_is_searched_is_told_and_used_again_when_it_is_back(server: Server) -> None:
    store = WeaviateStore(server.url, SPACES)
    rng = np.random.default_rng(3)
    documents = random_documents(rng, range(30))
    store.replace_documents(documents)
    query = unit(rng, 16)
    before = store.search_vector("text", query, 20)
    failures: list[tuple[float, str]] = []

    def search_until_it_fails() -> None:
        try:
            while True:
                assert store.search_vector("text", query, 20) == before
        except StoreError as exc:
            failures.append((time.monotonic(), str(exc)))

    threads = [threading.Thread(target=search_until_it_fails) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    server.kill()
    killed = time.monotonic()
    for thread in threads:
        thread.join(30)
    assert len(failures) == 3
    for when, text in failures:
        assert when - killed < SOON
        assert "no Weaviate server answers" in text
    refused(store.count, "no Weaviate server answers")
    refused(lambda: store.replace_documents({"d0": []}), "no Weaviate server answers")
    server.start()
    assert store.search_vector("text", query, 20) == before
    assert store.count() == sum(map(len, documents.values()))
    store.close()


@pytest.mark.weaviate
@pytest.mark.slow
def test_a_server_killed_while_it_is_written_to_loses_nothing_and_doubles_nothing(server: Server) -> None:
    store, oracle = WeaviateStore(server.url, SPACES), MemoryStore(SPACES)
    rng = np.random.default_rng(4)
    batches = [
        random_documents(rng, range(start, start + 60), version) for version in ("v1", "v2") for start in (0, 60)
    ]
    kills = iter((0.05, 0.12, 0.25, 0.02))
    interrupted = 0
    for batch in batches:
        timer = threading.Timer(next(kills), server.kill)
        timer.start()
        try:
            store.replace_documents(batch)
        except StoreError:
            interrupted += 1
        timer.join()
        server.start()
        held = store.versions()
        versions = {held.get(name, ("", 0))[0] for name in batch}
        assert len(versions) == 1, "all of a batch is there, or nothing of it"
        store.replace_documents(batch)
        oracle.replace_documents(batch)
        assert store.versions() == oracle.versions()
    assert interrupted
    query = unit(rng, 16)
    assert store.search_vector("text", query, 50) == oracle.search_vector("text", query, 50)
    assert {m.chunk.id for m in store.search_words("w1", 999)} == {m.chunk.id for m in oracle.search_words("w1", 999)}
    store.maintain()
    assert store.count() == oracle.count()
    store.close()


@pytest.mark.weaviate
def test_what_was_being_added_when_the_server_was_killed_is_put_right(server: Server, tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path / "catalogue.sqlite")
    rng = np.random.default_rng(5)
    store = WeaviateStore(server.url, SPACES)
    first, second = (written(f"/notes/{name}.md", f"{name} words " * 40, rng) for name in ("first", "second"))
    catalogue.begin([(first[0], len(first[1]))])
    store.replace_documents({first[0].id: first[1]})
    catalogue.finish()
    catalogue.begin([(second[0], len(second[1]))])
    server.kill()
    refused(lambda: store.replace_documents({second[0].id: second[1]}), "no Weaviate server answers")
    store.close()
    server.start()
    again = WeaviateStore(server.url, SPACES)
    assert recover(catalogue, again) == ["undid the adding of '/notes/second.md', which was cut off; add it again"]
    catalogue.begin([(second[0], len(second[1]))])
    again.replace_documents({second[0].id: second[1]})
    catalogue.finish()
    report = verify(catalogue, again)
    assert (report.documents, report.problems) == (2, ())
    again.close()
    catalogue.close()


@pytest.mark.weaviate
def test_a_server_that_hangs_is_told_and_used_again(server: Server) -> None:
    store = WeaviateStore(server.url, SPACES)
    server.send(signal.SIGSTOP)
    try:
        refused(store.count, "no Weaviate server answers")
        refused(lambda: WeaviateStore(server.url, SPACES), "no Weaviate server answers")
    finally:
        server.send(signal.SIGCONT)
    assert store.count() == 0
    store.close()


@pytest.mark.weaviate
def test_the_key_is_asked_for_and_never_told(tmp_path: Path) -> None:
    key = "a-very-secret-key"
    server = own_server(
        tmp_path,
        AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED="false",
        AUTHENTICATION_APIKEY_ENABLED="true",
        AUTHENTICATION_APIKEY_ALLOWED_KEYS=key,
        AUTHENTICATION_APIKEY_USERS="me",
    )
    try:
        for wrong in (None, "another-secret"):
            with pytest.raises(StoreError, match="RAG_WEAVIATE_API_KEY") as caught:
                WeaviateStore(server.url, SPACES, api_key=wrong)
            assert "secret" not in str(caught.value)
        store = WeaviateStore(server.url, SPACES, api_key=key)
        store.replace_documents(random_documents(np.random.default_rng(1), range(3)))
        assert store.versions().keys() == {"d0", "d1", "d2"}
        assert store.search_vector("text", axis(16, 1), 5)
        store.close()
    finally:
        server.kill()
