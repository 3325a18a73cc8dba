"""Several libraries in one collection, each a tenant of it: what one holds, no request of another can reach.

A tenant is a shard of its own, with files, indexes and statistics of its own. Aliases point to collections, so a
library has one tenant `<tenant>-<version>` for each version of its index, and beside them one, `<tenant>`, with a few
objects: the state of each version, and a pointer to the live one. Making a version live is one change of the pointer;
a reader fetches pointer and states with one request, the one that otherwise looks at the state.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import TypeAdapter
from weaviate.classes.config import Configure
from weaviate.classes.tenants import Tenant

from rag.errors import StoreError
from rag.store.weaviate_connection import Connection
from rag.store.weaviate_options import ServerOptions, collection_config, vector_config
from rag.store.weaviate_state import State
from rag.store.weaviate_versions import Shelf, check_not_live, check_there, checked_version, once_known, unless_there

COLLECTION = "CommonplaceTenants"
_TENANT = re.compile(r"[A-Za-z0-9_]{1,31}")  # with a version of as many after it, within the server's 64
_POINTER_ID = uuid5(NAMESPACE_URL, "commonplace:pointer")
_STATES = 1_000  # more than a library has versions


@dataclass(frozen=True, slots=True)
class _Pointer:
    """Whose tenant it is, by the library's own name, and which version is live; None before the first one is."""

    library: str
    live: str | None = None


class TenantVersions:
    """The versions of the library called `library`, in tenants whose names begin with `tenant`.

    Raises:
        StoreError: another library is in that tenant.
    """

    def __init__(self, connection: Connection, tenant: str, library: str, options: ServerOptions) -> None:
        if not _TENANT.fullmatch(tenant):
            raise StoreError(
                f"{tenant!r} cannot name a tenant (RAG_WEAVIATE_TENANT); use up to 31 letters, digits and underscores"
            )
        self._connection = connection
        self._options = options
        self._library = library
        self._collections = connection.client.collections
        self.name = tenant

    def live(self) -> str | None:
        return self._connection.ask("ask which index is live", self._pointer).live

    def all(self) -> list[str]:
        states = self._connection.ask("list the indexes", lambda: _states(self._control()) if self._is_there() else [])
        return sorted(each.collection.removeprefix(f"{self.name}-") for each in states)

    def collection(self, version: str) -> str:
        return f"{self.name}-{checked_version(version)}"

    def create(self, version: str, vectors: Mapping[str, int]) -> None:
        tenant = self.collection(version)
        if self.live() is not None and version in self.all():
            return
        once_known(lambda: self._connection.change("create the index", lambda: self._make(tenant, vectors)))

    def make_live(self, version: str) -> None:
        self.live()  # refuses the tenant of another library
        check_there(self, version)
        self._connection.change("make the index live", lambda: self._point(_Pointer(self._library, version)))

    def drop(self, version: str) -> None:
        check_not_live(self, version)
        tenant = self.collection(version)

        def attempt() -> None:
            self._collections.use(COLLECTION).tenants.remove([tenant])
            self._control().data.delete_by_id(_state_id(tenant))

        self._connection.change("delete an index", attempt)

    def shelf(self, version: str | None) -> Shelf:
        return _TenantShelf(self._connection, self.name, None if version is None else self.collection(version))

    def _make(self, tenant: str, vectors: Mapping[str, int]) -> None:
        shared = self._collections.use(COLLECTION)
        if not shared.exists():
            config = collection_config(vectors, self._options)
            config["multi_tenancy_config"] = Configure.multi_tenancy(enabled=True)
            unless_there(lambda: self._collections.create(COLLECTION, **config))
        for name in vectors.keys() - (shared.config.get().vector_config or {}).keys():
            shared.config.add_vector(vector_config=vector_config(name, self._options))
        shared.tenants.create([Tenant(name=self.name), Tenant(name=tenant)])
        control, state = self._control(), State(tenant, dict(vectors)).to_json()
        unless_there(lambda: control.data.insert({"state": state}, uuid=_state_id(tenant)))
        unless_there(lambda: control.data.insert({"state": _to_json(_Pointer(self._library))}, uuid=_POINTER_ID))

    def _point(self, pointer: _Pointer) -> None:
        self._control().data.replace(properties={"state": _to_json(pointer)}, uuid=_POINTER_ID)

    def _pointer(self) -> _Pointer:
        found = _pointer_of(_texts(self._control())) if self._is_there() else None
        if found is None:
            return _Pointer(self._library)
        if found.library != self._library:
            raise StoreError(
                f"the tenant {self.name!r} holds another library; set RAG_WEAVIATE_TENANT to another name, or, if it "
                "is this one that moved, copy the file library.id out of its old RAG_HOME"
            )
        return found

    def _is_there(self) -> bool:
        shared = self._collections.use(COLLECTION)
        return shared.exists() and shared.tenants.exists(self.name)

    def _control(self) -> Any:
        return self._connection.use(COLLECTION).with_tenant(self.name)


class _TenantShelf:
    """The objects of the tenant `only`, or of the version of the library `tenant` that is live."""

    def __init__(self, connection: Connection, tenant: str, only: str | None) -> None:
        self._shared = connection.use(COLLECTION)
        self._control = self._shared.with_tenant(tenant)
        self._tenant = tenant
        self._only = only

    def objects(self, state: State) -> Any:
        return self._shared.with_tenant(state.collection)

    own = objects

    def definition(self, state: State) -> Any:
        return self._shared

    def state(self) -> State | None:
        texts = _texts(self._control)
        pointer = _pointer_of(texts)
        wanted = self._only or (pointer and pointer.live and f"{self._tenant}-{pointer.live}")
        return next((State.from_json(text) for uuid, text in texts.items() if uuid == _state_id(str(wanted))), None)

    def put_state(self, state: State) -> None:
        self._control.data.replace(properties={"state": state.to_json()}, uuid=_state_id(state.collection))


def _texts(control: Any) -> dict[UUID, str]:
    """What a library's own tenant holds."""
    found = control.query.fetch_objects(limit=_STATES, return_properties=["state"]).objects
    return {each.uuid: each.properties["state"] for each in found}


def _states(control: Any) -> list[State]:
    return [State.from_json(text) for uuid, text in _texts(control).items() if uuid != _POINTER_ID]


def _pointer_of(texts: Mapping[UUID, str]) -> _Pointer | None:
    return _POINTER.validate_json(texts[_POINTER_ID]) if _POINTER_ID in texts else None


def _state_id(tenant: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"commonplace:state {tenant}")


_POINTER = TypeAdapter(_Pointer)


def _to_json(pointer: _Pointer) -> str:
    return _POINTER.dump_json(pointer).decode()
