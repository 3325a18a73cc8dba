"""The stub against the real client: what it answers is what a server answers, and each fault is what it says."""

import threading
import time
from collections.abc import Iterator
from uuid import UUID

import numpy as np
import pytest
import weaviate
from weaviate.classes.aggregate import GroupByAggregate
from weaviate.classes.config import Configure, DataType, Property, StopwordsPreset, Tokenization
from weaviate.classes.data import DataObject
from weaviate.classes.init import AdditionalConfig, Auth, Timeout
from weaviate.classes.query import Filter, MetadataQuery, Sort
from weaviate.classes.tenants import Tenant
from weaviate.exceptions import (
    InsufficientPermissionsError,
    UnexpectedStatusCodeError,
    WeaviateBatchError,
    WeaviateConnectionError,
    WeaviateDeleteManyError,
    WeaviateInsertManyAllFailedError,
    WeaviateQueryError,
    WeaviateStartUpError,
)

from rag.store.weaviate_connection import Address
from tests.store.weaviate_server import server_url
from tests.store.weaviate_stub import DISK_FULL, INTERNAL, OUT_OF_MEMORY, QUOTA, UNAVAILABLE, WeaviateStub, running_stub

ALIAS, NAME = "CommonplaceStubCheck", "CommonplaceStubCheck_1"
PATIENT = Timeout(init=30, query=30, insert=30)  # a busy machine takes longer than a second over thousands of objects
HURRIED = Timeout(init=1, query=1, insert=1)


@pytest.fixture
def stub() -> Iterator[WeaviateStub]:
    with running_stub() as stub:
        yield stub


@pytest.fixture
def client(stub: WeaviateStub) -> Iterator[weaviate.WeaviateClient]:
    with connect(stub.port, stub.grpc_port) as client:
        fill(client)
        yield client


def connect(port: int, grpc_port: int, key: str = "", timeout: Timeout = PATIENT) -> weaviate.WeaviateClient:
    return weaviate.connect_to_local(
        "127.0.0.1",
        port,
        grpc_port,
        skip_init_checks=True,
        auth_credentials=Auth.api_key(key) if key else None,
        additional_config=AdditionalConfig(timeout=timeout),
    )


def fill(client: weaviate.WeaviateClient) -> None:
    """Five objects: numbers 0 to 4 of documents "b", "a", "b", "a", "b", along the axes of four dimensions."""
    client.collections.delete([ALIAS, NAME])
    client.alias.delete(alias_name=ALIAS)
    collection = client.collections.create(
        NAME,
        vector_config=[Configure.Vectors.self_provided(name=name) for name in ("text", "image")],
        properties=[
            Property(name="words", data_type=DataType.TEXT, tokenization=Tokenization.WHITESPACE),
            Property(name="doc", data_type=DataType.TEXT, tokenization=Tokenization.FIELD),
            Property(name="tags", data_type=DataType.TEXT_ARRAY, tokenization=Tokenization.FIELD),
            Property(name="number", data_type=DataType.INT),
        ],
        inverted_index_config=Configure.inverted_index(index_null_state=True, stopwords_preset=StopwordsPreset.NONE),
    )
    client.alias.create(alias_name=ALIAS, target_collection=NAME)
    assert not collection.data.insert_many(objects(5)).has_errors


def objects(count: int) -> list[DataObject]:
    return [
        DataObject(
            uuid=UUID(int=i + 1),
            properties={"words": f"tea cup{i}", "doc": "ba"[i % 2], "tags": ["x", "y"][: i % 3], "number": i},
            vector={"text": np.eye(4)[i % 4].tolist()},
        )
        for i in range(count)
    ]


def numbers(found: object) -> list[int]:
    return [one.properties["number"] for one in found.objects]  # type: ignore[attr-defined]


def check_answers(client: weaviate.WeaviateClient) -> None:
    """The same of the stub and of a server, which is how it is known that the stub answers as a server does."""
    collection = client.collections.use(ALIAS)
    near = collection.query.near_vector(
        [1, 1e-3, 0, 0],
        target_vector="text",
        limit=3,
        include_vector=["text"],
        return_metadata=MetadataQuery(distance=True),
        filters=Filter.by_property("number").greater_or_equal(0),
    )
    assert sorted(numbers(near)[:2]) == [0, 4]
    assert numbers(near)[2] == 1
    assert near.objects[0].metadata.distance == pytest.approx(1 - 1 / np.hypot(1, 1e-3), abs=1e-6)
    assert near.objects[2].vector["text"] == [0, 1, 0, 0]
    words = collection.query.bm25("tea cup1", query_properties=["words"], limit=9, return_metadata=MetadataQuery.full())
    assert numbers(words)[0] == 1
    idf_tea, idf_cup1 = np.log(1 + 0.5 / 5.5), np.log(1 + 4.5 / 1.5)
    assert words.objects[0].metadata.score == pytest.approx((idf_tea + idf_cup1) / (1 + 1.2), rel=1e-5)
    by_id = collection.query.fetch_objects(limit=2, offset=1, sort=Sort.by_property("_id", ascending=False))
    assert numbers(by_id) == [3, 2]
    for where, expected in [
        (Filter.by_property("doc").equal("a"), {1, 3}),
        (Filter.by_property("doc").contains_any(["a", "z"]), {1, 3}),
        (Filter.by_property("tags").contains_all(["x", "y"]), {2}),
        (Filter.by_property("tags").contains_any(["x"]) & Filter.by_property("number").less_than(2), {1}),
        (Filter.not_(Filter.by_property("doc").equal("a")), {0, 2, 4}),
        (Filter.by_id().contains_any([UUID(int=1), UUID(int=5), UUID(int=99)]), {0, 4}),
        (Filter.by_property("words").is_none(True), set()),
    ]:
        assert set(numbers(collection.query.fetch_objects(filters=where))) == expected
    groups = collection.aggregate.over_all(group_by=GroupByAggregate(prop="doc", limit=10), total_count=True).groups
    assert [(group.grouped_by.value, group.total_count) for group in groups] == [("b", 3), ("a", 2)]
    assert [one.properties["number"] for one in collection.iterator(cache_size=2)] == [0, 1, 2, 3, 4]
    client.collections.use(NAME).data.update(UUID(int=2), vector={"image": [0, 1]})
    (changed,) = collection.query.fetch_objects_by_ids([UUID(int=2)], include_vector=True).objects
    assert changed.vector == {"text": [0, 1, 0, 0], "image": [0, 1]}
    deleted = collection.data.delete_many(Filter.by_property("doc").equal("a"))
    assert (deleted.matches, deleted.successful, deleted.failed) == (2, 2, 0)
    assert collection.aggregate.over_all(total_count=True).total_count == 3
    (again, *_) = objects(1)
    again.properties["number"] = 7
    collection.data.insert_many([again])
    assert sorted(numbers(collection.query.fetch_objects())) == [2, 4, 7]


def check_read_only(client: weaviate.WeaviateClient) -> None:
    """Of a batch that was not written, one object is called failed; of a delete, one more than there is."""
    collection = client.collections.use(NAME)
    collection.config.update_shards("READONLY")
    written = collection.data.insert_many(objects(5))
    assert list(written.errors) == [0]
    assert "read-only" in written.errors[0].message
    deleted = collection.data.delete_many(Filter.by_property("number").equal(4))
    assert (deleted.matches, deleted.successful, deleted.failed) == (1, 0, 1)
    collection.config.update_shards("READY")
    assert sorted(numbers(collection.query.fetch_objects())) == [2, 4, 7]


def check_gone(client: weaviate.WeaviateClient) -> None:
    client.collections.delete(NAME)
    with pytest.raises(WeaviateQueryError, match="could not find class"):
        client.collections.use(NAME).query.fetch_objects()
    with pytest.raises(WeaviateDeleteManyError, match="could not find class"):
        client.collections.use(NAME).data.delete_many(Filter.by_property("number").equal(4))
    with pytest.raises(WeaviateInsertManyAllFailedError, match=r"not present in schema|does not have configuration"):
        client.collections.use(NAME).data.insert_many(objects(2))


def test_the_stub_answers_as_a_server_does(client: weaviate.WeaviateClient) -> None:
    check_answers(client)
    check_read_only(client)
    check_gone(client)


@pytest.mark.weaviate
def test_a_server_answers_as_the_stub_does() -> None:
    address = Address.parse(server_url())
    with connect(address.port, address.grpc_port) as client:
        fill(client)
        check_answers(client)
        check_read_only(client)
        check_gone(client)


def test_tenants_are_apart(stub: WeaviateStub) -> None:
    with connect(stub.port, stub.grpc_port) as client:
        vectors = [Configure.Vectors.self_provided(name="text")]
        tenancy = Configure.multi_tenancy(enabled=True, auto_tenant_creation=True)
        words = [Property(name="number", data_type=DataType.INT)]
        shared = client.collections.create(NAME, vector_config=vectors, multi_tenancy_config=tenancy, properties=words)
        shared.tenants.create([Tenant(name="ann")])
        shared.with_tenant("ann").data.insert_many([DataObject({"number": 1})])
        shared.with_tenant("bob").data.insert_many([DataObject({"number": 2})])
        assert set(shared.tenants.get()) == {"ann", "bob"}
        assert numbers(shared.with_tenant("bob").query.fetch_objects()) == [2]
        shared.tenants.remove(["bob"])
        with pytest.raises(WeaviateQueryError, match="tenant not found"):
            shared.with_tenant("bob").query.fetch_objects()


def test_one_delete_removes_ten_thousand_at_most(stub: WeaviateStub, client: weaviate.WeaviateClient) -> None:
    collection = client.collections.use(NAME)
    for start in range(0, 12_000, 4_000):
        collection.data.insert_many(
            [DataObject({"doc": "many"}, uuid=UUID(int=100 + i)) for i in range(start, start + 4_000)]
        )
    deleted = collection.data.delete_many(Filter.by_property("doc").equal("many"))
    assert (deleted.matches, deleted.successful, deleted.failed) == (12_000, 10_000, 0)
    assert len(stub.schema.collections[NAME].held[""]) == 5 + 2_000


@pytest.mark.parametrize("fault", [INTERNAL, OUT_OF_MEMORY, QUOTA], ids=lambda fault: fault.code.name)
def test_a_fault_befalls_as_many_calls_as_it_is_set_for(
    stub: WeaviateStub, client: weaviate.WeaviateClient, fault: object
) -> None:
    stub.faults.fail("BatchObjects", fault, times=1)  # type: ignore[arg-type]
    stub.faults.fail("Search", fault, times=1)  # type: ignore[arg-type]
    collection = client.collections.use(NAME)
    with pytest.raises(WeaviateBatchError, match=fault.message[:20]):  # type: ignore[attr-defined]
        collection.data.insert_many(objects(2))
    with pytest.raises(WeaviateQueryError, match=fault.message[:20]):  # type: ignore[attr-defined]
        collection.query.fetch_objects()
    assert len(collection.query.fetch_objects().objects) == 5


def test_unavailable_once_is_tried_again_by_the_client(stub: WeaviateStub, client: weaviate.WeaviateClient) -> None:
    stub.calls.clear()
    stub.faults.fail("Search", UNAVAILABLE, times=1)
    assert len(client.collections.use(NAME).query.fetch_objects().objects) == 5
    assert stub.calls["Search"] == 2


def test_objects_of_a_batch_may_fail_alone(stub: WeaviateStub, client: weaviate.WeaviateClient) -> None:
    stub.faults.refused[str(UUID(int=6))] = 1
    collection = client.collections.use(NAME)
    assert list(collection.data.insert_many(objects(7)).errors) == [5]
    assert len(collection.query.fetch_objects().objects) == 6
    assert not collection.data.insert_many(objects(7)).has_errors


def test_a_connection_cut_in_a_batch_leaves_its_beginning(stub: WeaviateStub, client: weaviate.WeaviateClient) -> None:
    collection, held = client.collections.use(NAME), stub.schema.collections[NAME].held[""]
    stub.faults.cut_after = 6
    kept: list[int] = []
    again = threading.Timer(0.5, lambda: (kept.append(len(held)), stub.start()))
    again.start()
    assert not collection.data.insert_many(objects(9)).has_errors  # which the client tries again a second later
    again.join()
    assert (kept, len(held)) == ([6], 9)


def test_slow_calls_run_into_the_client_s_deadline(stub: WeaviateStub, client: weaviate.WeaviateClient) -> None:
    stub.faults.delay["Search"] = 300
    begun = time.monotonic()
    with (
        connect(stub.port, stub.grpc_port, timeout=HURRIED) as hurried,
        pytest.raises(WeaviateQueryError, match="Deadline Exceeded"),
    ):
        hurried.collections.use(NAME).query.fetch_objects()
    assert time.monotonic() - begun < 200


def test_a_stopped_server_refuses_connections_and_comes_back_with_what_it_held(
    stub: WeaviateStub, client: weaviate.WeaviateClient
) -> None:
    stub.stop()
    with pytest.raises((WeaviateConnectionError, WeaviateStartUpError)):
        connect(stub.port, stub.grpc_port)
    stub.start()
    with connect(stub.port, stub.grpc_port) as again:
        assert len(again.collections.use(NAME).query.fetch_objects().objects) == 5


def test_an_old_server_is_told_by_its_version(stub: WeaviateStub) -> None:
    stub.schema.version = "1.26.9"
    with pytest.raises(WeaviateStartUpError, match=r"1\.26\.9"):
        connect(stub.port, stub.grpc_port)


def test_keys_may_be_missing_wrong_or_for_reading_only(stub: WeaviateStub, client: weaviate.WeaviateClient) -> None:
    stub.faults.keys = {"secret": "write", "looker": "read"}
    for key in ("", "wrong"):
        with pytest.raises(UnexpectedStatusCodeError, match="401"):
            connect(stub.port, stub.grpc_port, key)
    with connect(stub.port, stub.grpc_port, "looker") as looker:
        collection = looker.collections.use(NAME)
        assert len(collection.query.fetch_objects().objects) == 5
        with pytest.raises(InsufficientPermissionsError):
            looker.collections.create("Other")
        with pytest.raises(InsufficientPermissionsError):
            collection.data.delete_many(Filter.by_property("doc").equal("a"))
        with pytest.raises(WeaviateInsertManyAllFailedError, match="insufficient permissions"):
            collection.data.insert_many(objects(2))
    with connect(stub.port, stub.grpc_port, "secret") as owner:
        assert owner.collections.use(NAME).data.delete_many(Filter.by_property("doc").equal("a")).successful == 2


def test_a_full_disk_makes_it_read_only(stub: WeaviateStub, client: weaviate.WeaviateClient) -> None:
    stub.schema.read_only = DISK_FULL
    written = client.collections.use(NAME).data.insert_many(objects(3))
    assert [error.message for error in written.errors.values()] == [f"store is read-only due to: {DISK_FULL}"]
