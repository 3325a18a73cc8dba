"""A library that is a tenant: nothing of it reaches another one, and its versions are swapped as any library's are.

Each test runs on the stub, and on a real server where there is one.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from weaviate.classes.rbac import Permissions

from rag.errors import StoreError
from rag.records import EmbeddedChunk, Match
from rag.store.memory_store import MemoryStore
from rag.store.weaviate_options import ServerOptions
from rag.store.weaviate_store import WeaviateStore
from rag.store.weaviate_tenants import COLLECTION
from tests.store.made import SPACES, axis, embedded, random_documents, unit
from tests.store.weaviate_server import drop, own_server
from tests.store.weaviate_stub import running_stub

Opener = Callable[..., WeaviateStore]


@pytest.fixture
def opened(url: str) -> Iterator[Opener]:
    """Opens the library of a tenant; what is left of it goes at the end. Names of tenants are this test's own."""
    ours, stores = uuid4().hex[:8], []

    def opener(tenant: str, library: str | None = None, **given: object) -> WeaviateStore:
        options = ServerOptions(tenant=f"{tenant}_{ours}")
        spaces = given.pop("spaces", SPACES)
        name = f"Commonplace_{library or tenant}"
        store = WeaviateStore(url, spaces, name=name, options=options, **given)  # type: ignore[arg-type]
        stores.append(store)
        return store

    yield opener
    for store in stores:
        drop(store)


def document(name: str, chunks: int, version: str = "v1") -> dict[str, list[EmbeddedChunk]]:
    words = f"all {name} {version}"
    return {name: [embedded(name, i, words=words, vector=axis(16, 1, i), version=version) for i in range(chunks)]}


def all_with_words(documents: dict[str, list[EmbeddedChunk]]) -> dict[str, list[EmbeddedChunk]]:
    """The same, but for chunks without words: Weaviate counts those in its BM25, the oracle does not."""
    return {name: [replace(each, words=each.words or "w0") for each in held] for name, held in documents.items()}


def scores(matches: list[Match]) -> dict[str, float]:
    return {match.chunk.id: match.score for match in matches}


# --- apart -------------------------------------------------------------------------------------------------------


def test_a_tenant_finds_what_a_library_alone_would_find(opened: Opener) -> None:
    """The same ids in both, other words and vectors: neither results nor the statistics of BM25 know of the other."""
    query = unit(np.random.default_rng(9), 16)
    stores, oracles = {}, {}
    for tenant, seed in (("ann", 1), ("bob", 2)):
        stores[tenant], oracles[tenant] = opened(tenant), MemoryStore(SPACES)
        held = all_with_words(random_documents(np.random.default_rng(seed), range(30)))
        stores[tenant].replace_documents(held)
        oracles[tenant].replace_documents(held)
    for tenant, store in stores.items():
        oracle = oracles[tenant]
        assert store.versions() == oracle.versions()
        assert store.search_vector("text", query, 500) == oracle.search_vector("text", query, 500)
        assert store.count() == oracle.count()
        found, expected = (scores(each.search_words("w1 w2 w7", 500)) for each in (store, oracle))
        assert found == pytest.approx(expected, rel=1e-5)
    assert stores["ann"].versions() != stores["bob"].versions()


def test_what_one_tenant_changes_or_deletes_changes_nothing_for_another(opened: Opener) -> None:
    ann, bob = opened("ann"), opened("bob")
    for store in (ann, bob):
        store.replace_documents({**document("shared", 4), **document("more", 3)})
    ids = [chunk.id for chunk in bob.chunks(["shared"])]
    ann.add_vectors("image", {each: axis(8, 1) for each in ids})
    ann.replace_documents({**document("shared", 1, "v2"), "more": []})
    ann.maintain()
    assert ann.versions() == {"shared": ("v2", 1)}
    assert bob.versions() == {"shared": ("v1", 4), "more": ("v1", 3)}
    assert [chunk.id for chunk in bob.get(ids)] == ids
    assert bob.vectors("image", ids) == {}
    assert bob.count(without="image") == 7
    assert len(bob.search_words("all", 99)) == len(bob.search_vector("text", axis(16, 1), 99)) == 7


def test_models_of_one_tenant_are_none_of_another_ones_business(opened: Opener) -> None:
    first = opened("ann", made_by={"image": "one"})
    first.replace_documents(document("doc", 2))
    ids = [chunk.id for chunk in first.chunks(["doc"])]
    first.add_vectors("image", dict.fromkeys(ids, axis(8, 1)))
    other = opened("bob", spaces={"text": 12, "image": 20}, made_by={"image": "two"})
    other.replace_documents({"doc": [embedded("doc", vector=axis(12, 1))]})
    other.maintain()
    assert [match.chunk.id for match in other.search_vector("text", axis(12, 1), 9)] == [ids[0]]
    assert len(first.search_vector("image", axis(8, 1), 9)) == 2


def test_a_tenant_belongs_to_one_library(opened: Opener) -> None:
    opened("ann", "first").replace_documents(document("doc", 2))
    for version in (None, "v2"):
        with pytest.raises(StoreError, match=r"holds another library.*RAG_WEAVIATE_TENANT.*library\.id"):
            opened("ann", "second", version=version)
    assert opened("ann", "first").versions() == {"doc": ("v1", 2)}


def test_a_tenant_that_someone_deleted_is_told(opened: Opener) -> None:
    store, beside = opened("ann"), opened("bob")
    store.replace_documents(document("doc", 2))
    beside.replace_documents(document("doc", 2))
    tenants = store._connection.client.collections.use(COLLECTION).tenants
    tenants.remove([store.versions_of_index.collection("v1")])
    for ask in (
        store.count,
        lambda: store.search_words("all", 5),
        lambda: store.search_vector("text", axis(16, 1), 5),
        lambda: store.replace_documents(document("doc", 3, "v2")),
    ):
        with pytest.raises(StoreError, match="someone deleted it"):
            ask()
    assert beside.count() == 2


@pytest.mark.parametrize("name", ["", "a b", "a-b", "../x", "a" * 32, "ü"])
def test_what_cannot_name_a_tenant_is_told_with_the_setting(name: str) -> None:
    with running_stub() as stub, pytest.raises(StoreError, match="RAG_WEAVIATE_TENANT"):
        WeaviateStore(
            f"weaviate://127.0.0.1:{stub.port}?grpc={stub.grpc_port}", SPACES, options=ServerOptions(tenant=name)
        )


# --- versions ----------------------------------------------------------------------------------------------------


def test_a_tenants_index_is_swapped_and_swapped_back_while_it_is_searched(opened: Opener) -> None:
    rng = np.random.default_rng(5)
    old, new = random_documents(rng, range(20)), random_documents(rng, range(30), version="v2")
    store, beside = opened("ann"), opened("ann", version="v2")
    store.replace_documents(old)
    beside.replace_documents(new)
    versions = store.versions_of_index
    assert (versions.all(), versions.live()) == (["v1", "v2"], "v1")
    query, oracles = unit(rng, 16), []
    for documents in (old, new):
        oracles.append(MemoryStore(SPACES))
        oracles[-1].replace_documents(documents)
    answers = [oracle.search_vector("text", query, 20) for oracle in oracles]
    done, wrong = threading.Event(), []

    def look() -> None:
        while not done.is_set():
            found = store.search_vector("text", query, 20)
            if found not in answers:
                wrong.append(found)

    thread = threading.Thread(target=look)
    thread.start()
    for version in ("v2", "v1", "v2"):
        versions.make_live(version)
        assert store.search_vector("text", query, 20) == answers[version == "v2"]
    assert store.count() == sum(map(len, new.values()))
    done.set()
    thread.join()
    assert wrong == []
    with pytest.raises(StoreError, match="live"):
        versions.drop("v2")
    with pytest.raises(StoreError, match="no version 'v7'"):
        versions.make_live("v7")
    versions.drop("v1")
    assert versions.all() == ["v2"]
    store.replace_documents({"d0": []})
    assert "d0" not in beside.versions(), "writes go to the live version"


def test_a_beginning_that_was_cut_off_is_finished(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    class PowerCutError(Exception):
        """Nothing handles it."""

    def cut(*given: object) -> None:
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr("rag.store.weaviate_tenants._to_json", cut)
        with pytest.raises(PowerCutError):
            opened("ann")
    store = opened("ann")
    store.replace_documents(document("doc", 2))
    assert store.count() == 2
    assert store.versions_of_index.live() == "v1"


# --- keys --------------------------------------------------------------------------------------------------------


@pytest.mark.weaviate
def test_a_key_of_one_tenant_opens_no_other(tmp_path: Path) -> None:
    """The wall between people is the server's: a role that names the tenants whose names begin with one person's."""
    server = own_server(
        tmp_path,
        AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED="false",
        AUTHENTICATION_APIKEY_ENABLED="true",
        AUTHENTICATION_APIKEY_ALLOWED_KEYS="owner-key,ann-key",
        AUTHENTICATION_APIKEY_USERS="owner,ann",
        AUTHORIZATION_RBAC_ENABLED="true",
        AUTHORIZATION_RBAC_ROOT_USERS="owner",
    )

    def opened(key: str, tenant: str) -> WeaviateStore:
        options = ServerOptions(tenant=tenant)
        return WeaviateStore(server.url, SPACES, name=f"Commonplace_{tenant}", api_key=key, options=options)

    try:
        owner = opened("owner-key", "bob")
        owner.replace_documents(document("secret", 2))
        every = {"create": True, "read": True, "update": True, "delete": True}
        owner._connection.client.roles.create(
            role_name="ann",
            permissions=[
                Permissions.collections(collection=COLLECTION, read_config=True),
                *(Permissions.tenants(collection=COLLECTION, tenant=name, **every) for name in ("ann", "ann-*")),
                *(Permissions.data(collection=COLLECTION, tenant=name, **every) for name in ("ann", "ann-*")),
            ],
        )
        owner._connection.client.users.db.assign_roles(user_id="ann", role_names=["ann"])
        ann = opened("ann-key", "ann")
        ann.replace_documents(document("mine", 3))
        assert ann.count() == len(ann.search_words("all", 9)) == 3
        with pytest.raises(StoreError, match="RAG_WEAVIATE_API_KEY"):
            opened("ann-key", "bob")
        for ask in (lambda t: t.query.fetch_objects(), lambda t: t.data.delete_by_id(str(uuid4()))):
            with pytest.raises(Exception, match=r"(?i)forbidden|permission"):
                ask(ann._connection.use(COLLECTION).with_tenant("bob-v1"))
        assert owner.versions() == {"secret": ("v1", 2)}
    finally:
        server.kill()
