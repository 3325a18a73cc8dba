"""Which collections does a library have on a server, and which of them is live?

An index version is a collection `<name>_<version>`, and the alias `<name>` points to the live one. A new version is
written beside it; making it live, or going back, is one change of the alias. A library that is a tenant of a shared
collection has its versions there, see rag/store/weaviate_tenants.py.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from weaviate.exceptions import UnexpectedStatusCodeError

from rag.errors import StoreError
from rag.store.weaviate_connection import Connection, UnknownCollection
from rag.store.weaviate_options import ServerOptions, collection_config
from rag.store.weaviate_state import STATE_ID, State

T = TypeVar("T")

_NAME = re.compile(r"[A-Z][A-Za-z0-9]*(_[A-Za-z0-9]+)?")
_VERSION = re.compile(r"[A-Za-z0-9]+")
_KNOWN_SECONDS = 3.0  # until every node of a cluster knows of a collection that one of them made


class Shelf(Protocol):
    """Where the objects of one version are, or of the one that is live at the moment. Each call is a request or none.

    `objects` is the client's collection to read from as of a state, `own` the one to write to, and `definition` where
    its configuration is. `state` is None when it is not there.
    """

    def objects(self, state: State) -> Any: ...

    def own(self, state: State) -> Any: ...

    def definition(self, state: State) -> Any: ...

    def state(self) -> State | None: ...

    def put_state(self, state: State) -> None: ...


class Versions(Protocol):
    """The versions of one library: `name` is what it is called on the server."""

    name: str

    def live(self) -> str | None:
        """The version that is live; None when the library is not on this server yet."""
        ...

    def all(self) -> list[str]:
        """Every version that is there, sorted."""
        ...

    def collection(self, version: str) -> str:
        """Where the objects of a version are: the name of a collection, or of a tenant."""
        ...

    def create(self, version: str, vectors: Mapping[str, int]) -> None:
        """Make an empty version with vectors of these names and dimensions, or what is missing of it."""
        ...

    def make_live(self, version: str) -> None:
        """Make `version` the live one, for every reader from the next request on."""
        ...

    def drop(self, version: str) -> None:
        """Delete a version that is not live, with all that it holds."""
        ...

    def shelf(self, version: str | None) -> Shelf:
        """The objects of `version`; None: of the live one, whichever that is when it is asked."""
        ...


class CollectionVersions:
    """The versions of the library `name` on the server of `connection`, each a collection of its own."""

    def __init__(self, connection: Connection, name: str, options: ServerOptions) -> None:
        if not _NAME.fullmatch(name):
            raise StoreError(f"{name!r} cannot name a library on a server; use letters and digits, first a capital")
        self._connection = connection
        self._options = options
        self._aliases = connection.client.alias
        self._collections = connection.client.collections
        self.name = name

    def live(self) -> str | None:
        alias = self._connection.ask("ask which index is live", lambda: self._aliases.get(alias_name=self.name))
        return None if alias is None else alias.collection.removeprefix(self.name + "_")

    def all(self) -> list[str]:
        listed = self._connection.ask("list the indexes", lambda: list(self._collections.list_all(simple=True)))
        found = (re.fullmatch(re.escape(self.name) + "_([A-Za-z0-9]+)", name) for name in listed)
        return sorted(match.group(1) for match in found if match)

    def collection(self, version: str) -> str:
        return f"{self.name}_{checked_version(version)}"

    def create(self, version: str, vectors: Mapping[str, int]) -> None:
        collection = self.collection(version)
        config = collection_config(vectors, self._options)
        self._unless_there(lambda: self._collections.create(collection, **config))
        state = {"state": State(collection, dict(vectors)).to_json()}
        self._unless_there(lambda: self._collections.use(collection).data.insert(state, uuid=STATE_ID))

    def make_live(self, version: str) -> None:
        collection = self.collection(version)
        check_there(self, version)
        if self.live() is None:
            self._unless_there(lambda: self._aliases.create(alias_name=self.name, target_collection=collection))
        else:
            self._connection.change(
                "make the index live",
                lambda: self._aliases.update(alias_name=self.name, new_target_collection=collection),
            )

    def drop(self, version: str) -> None:
        check_not_live(self, version)
        collection = self.collection(version)
        self._connection.change("delete an index", lambda: self._collections.delete(collection))

    def shelf(self, version: str | None) -> Shelf:
        return _CollectionShelf(self._connection, self.name if version is None else self.collection(version))

    def _unless_there(self, create: Callable[[], object]) -> None:
        once_known(lambda: self._connection.change("create the index", lambda: unless_there(create)))


class _CollectionShelf:
    """The objects behind `target`, a collection or an alias of one; each collection keeps its own state."""

    def __init__(self, connection: Connection, target: str) -> None:
        self._use = connection.use
        self._target = target

    def objects(self, state: State) -> Any:
        return self._use(self._target)

    def own(self, state: State) -> Any:
        """The collection itself: an alias may point to another one at any moment."""
        return self._use(state.collection)

    definition = own

    def state(self) -> State | None:
        found = self._use(self._target).query.fetch_object_by_id(STATE_ID, return_properties=["state"])
        return None if found is None else State.from_json(found.properties["state"])

    def put_state(self, state: State) -> None:
        self.own(state).data.replace(properties={"state": state.to_json()}, uuid=STATE_ID)


def checked_version(version: str) -> str:
    """`version`, if it can name one."""
    if not _VERSION.fullmatch(version):
        raise StoreError(f"{version!r} cannot name a version of an index; use letters and digits")
    return version


def check_there(versions: Versions, version: str) -> None:
    if version not in versions.all():
        there = ", ".join(versions.all())
        raise StoreError(f"there is no version {version!r} of {versions.name!r}; there is {there}")


def check_not_live(versions: Versions, version: str) -> None:
    if version == versions.live():
        raise StoreError(f"the version {version!r} of {versions.name!r} is live; make another one live first")


def once_known(work: Callable[[], T]) -> T:
    """What `work` returns once the node that is asked knows of what another one has just made."""
    end = time.monotonic() + _KNOWN_SECONDS
    while True:
        try:
            return work()
        except UnknownCollection:
            if time.monotonic() > end:
                raise
        time.sleep(0.2)


def unless_there(create: Callable[[], object]) -> None:
    """Create it; another process may have made it a moment ago."""
    try:
        create()
    except UnexpectedStatusCodeError as exc:
        if "already exists" not in str(exc):
            raise
