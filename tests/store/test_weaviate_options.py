"""The settings of a library on a server: each is what the server then has, and is asked with.

Each test runs on the stub, and on a real server where there is one.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from weaviate.classes.config import ConsistencyLevel

from rag.build import server_options
from rag.config import load_settings
from rag.store.memory_store import MemoryStore
from rag.store.weaviate_options import ServerOptions
from rag.store.weaviate_store import WeaviateStore
from tests.store.made import SPACES, random_documents, unit
from tests.store.weaviate_server import drop, fresh_name, own_server
from tests.store.weaviate_stub import running_stub

Opener = Callable[..., WeaviateStore]


@pytest.fixture
def opened(url: str) -> Iterator[Opener]:
    """Opens one library, with the options that are given each time."""
    name, stores = fresh_name(), []

    def opener(**options: Any) -> WeaviateStore:
        stores.append(WeaviateStore(url, SPACES, name=name, options=ServerOptions(**options)))
        return stores[-1]

    yield opener
    for store in stores:
        drop(store)


def definition(store: WeaviateStore) -> Any:
    """What the server has."""
    return store._objects.definition.config.get()


def test_what_nobody_chose_is_exact_and_deep(opened: Opener) -> None:
    found = definition(opened())
    assert found.vector_config.keys() == SPACES.keys()
    for vector in found.vector_config.values():
        index = vector.vector_index_config
        assert index.quantizer is None
        assert (index.ef, index.dynamic_ef_min, index.dynamic_ef_max, index.dynamic_ef_factor) == (-1, 400, 500, 8)
        assert (index.flat_search_cutoff, index.distance_metric.value) == (40_000, "cosine")
    assert (found.replication_config.factor, found.replication_config.async_enabled) == (1, False)
    assert not found.multi_tenancy_config.enabled


def test_ef_is_of_the_collection_and_of_vectors_that_come_later(opened: Opener) -> None:
    store = opened(ef=900)
    store._add_vector("more")
    indexes = [vector.vector_index_config for vector in definition(store).vector_config.values()]
    assert [(index.dynamic_ef_min, index.dynamic_ef_max) for index in indexes] == [(900, 900)] * 3


def test_ef_can_be_changed_later(opened: Opener) -> None:
    store = opened()
    store.replace_documents(random_documents(np.random.default_rng(1), range(3)))
    again = opened(ef=64)
    again.maintain()
    indexes = [vector.vector_index_config for vector in definition(store).vector_config.values()]
    assert [(index.dynamic_ef_min, index.dynamic_ef_max) for index in indexes] == [(64, 500)] * 2
    assert again.count() == store.count() > 0


@pytest.mark.parametrize(("quantizer", "bits"), [("rq8", 8), ("rq1", 1)])
def test_vectors_may_be_rounded_and_are_compared_in_full(opened: Opener, quantizer: str, bits: int) -> None:
    store, oracle, rng = opened(quantizer=quantizer), MemoryStore(SPACES), np.random.default_rng(2)
    for vector in definition(store).vector_config.values():
        assert vector.vector_index_config.quantizer.bits == bits
    held = random_documents(rng, range(8))
    store.replace_documents(held)
    oracle.replace_documents(held)
    query = unit(rng, 16)
    assert store.search_vector("text", query, 99) == oracle.search_vector("text", query, 99)


def test_copies_are_the_servers_business_or_chosen(opened: Opener) -> None:
    assert definition(opened(replicas=1)).replication_config.factor == 1


@pytest.mark.parametrize("chosen", ["one", "quorum", "all"])
def test_the_consistency_level_goes_with_every_request(opened: Opener, chosen: str) -> None:
    store, rng = opened(consistency=chosen), np.random.default_rng(3)
    held = random_documents(rng, range(4))
    store.replace_documents(held)
    assert store.versions().keys() == held.keys()
    assert len(store.search_vector("text", unit(rng, 16), 3)) == len(store.search_words("w1", 3)) == 3
    level = ConsistencyLevel(chosen.upper())
    objects, state = store._objects, store._objects.state
    assert [each.consistency_level for each in (objects._own(), objects._shelf.objects(state))] == [level, level]


def test_every_setting_reaches_the_store() -> None:
    chosen = ServerOptions(ef=64, quantizer="rq8", replicas=3, consistency="all", tenant="ann")
    values = {f"weaviate_{name}": getattr(chosen, name) for name in ServerOptions.__dataclass_fields__}
    assert server_options(load_settings(**values)) == chosen
    assert server_options(load_settings()) == ServerOptions()


# --- a server that takes in vectors later ------------------------------------------------------------------------


def test_a_write_returns_when_its_vectors_can_be_found() -> None:
    with running_stub() as stub:
        store = WeaviateStore(f"weaviate://127.0.0.1:{stub.port}?grpc={stub.grpc_port}", SPACES)
        stub.schema.indexing = 3
        store.replace_documents(random_documents(np.random.default_rng(4), range(2)))
        assert stub.schema.indexing == 0
        store.close()


@pytest.mark.weaviate
def test_with_asynchronous_indexing_a_vector_is_found_right_after_it_was_written(tmp_path: Path) -> None:
    server = own_server(tmp_path, ASYNC_INDEXING="true")
    try:
        store, oracle, rng = WeaviateStore(server.url, SPACES), MemoryStore(SPACES), np.random.default_rng(5)
        for start in (0, 10):
            held = random_documents(rng, range(start, start + 10))
            store.replace_documents(held)
            oracle.replace_documents(held)
            query = unit(rng, 16)
            assert store.search_vector("text", query, 500) == oracle.search_vector("text", query, 500)
        store.close()
    finally:
        server.kill()
