"""Which collections does a library have on a server, and which of them is live?

An index version is a collection `<name>_<version>`, and the alias `<name>` points to the live one. A new version is
written beside it; making it live, or going back, is one change of the alias.
"""

import re
from collections.abc import Callable

from weaviate.exceptions import UnexpectedStatusCodeError

from rag.errors import StoreError
from rag.store.weaviate_connection import Connection
from rag.store.weaviate_rows import PROPERTIES, WORDS_INDEX, vector_config
from rag.store.weaviate_state import STATE_ID, State

_NAME = re.compile(r"[A-Z][A-Za-z0-9]*(_[A-Za-z0-9]+)?")
_VERSION = re.compile(r"[A-Za-z0-9]+")


class Versions:
    """The versions of the library `name` on the server of `connection`."""

    def __init__(self, connection: Connection, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise StoreError(f"{name!r} cannot name a library on a server; use letters and digits, first a capital")
        self._connection = connection
        self._aliases = connection.client.alias
        self._collections = connection.client.collections
        self.name = name

    def live(self) -> str | None:
        """The version that the alias points to; None when the library is not on this server yet."""
        alias = self._connection.call("ask which index is live", lambda: self._aliases.get(alias_name=self.name))
        return None if alias is None else alias.collection.removeprefix(self.name + "_")

    def all(self) -> list[str]:
        """Every version that is there, sorted."""
        listed = self._connection.call("list the indexes", lambda: list(self._collections.list_all(simple=True)))
        found = (re.fullmatch(re.escape(self.name) + "_([A-Za-z0-9]+)", name) for name in listed)
        return sorted(match.group(1) for match in found if match)

    def collection(self, version: str) -> str:
        """The name of the collection of a version."""
        if not _VERSION.fullmatch(version):
            raise StoreError(f"{version!r} cannot name a version of an index; use letters and digits")
        return f"{self.name}_{version}"

    def create(self, version: str, vectors: dict[str, int]) -> None:
        """Make the collection with vectors of these names and dimensions, or what is missing of it."""
        collection = self.collection(version)
        state = {"state": State(collection, vectors).to_json()}
        self._unless_there(
            lambda: self._collections.create(
                collection,
                properties=list(PROPERTIES),
                vector_config=[vector_config(name) for name in vectors],
                inverted_index_config=WORDS_INDEX,
            )
        )
        self._unless_there(lambda: self._collections.use(collection).data.insert(state, uuid=STATE_ID))

    def make_live(self, version: str) -> None:
        """Let the alias point to `version`, for every reader from the next request on."""
        collection = self.collection(version)
        if version not in self.all():
            raise StoreError(f"there is no version {version!r} of {self.name!r}; there is {', '.join(self.all())}")
        if self.live() is None:
            self._connection.call(
                "make the index live", lambda: self._aliases.create(alias_name=self.name, target_collection=collection)
            )
        else:
            self._connection.call(
                "make the index live",
                lambda: self._aliases.update(alias_name=self.name, new_target_collection=collection),
            )

    def drop(self, version: str) -> None:
        """Delete a version that is not live, with all that it holds."""
        if version == self.live():
            raise StoreError(f"the version {version!r} of {self.name!r} is live; make another one live first")
        collection = self.collection(version)
        self._connection.call("delete an index", lambda: self._collections.delete(collection))

    def _unless_there(self, create: Callable[[], object]) -> None:
        def attempt() -> None:
            try:
                create()
            except UnexpectedStatusCodeError as exc:  # another process may have made it a moment ago
                if "already exists" not in str(exc):
                    raise

        self._connection.call("create the index", attempt)
