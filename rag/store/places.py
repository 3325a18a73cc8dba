"""Where can the versions of an index be? In folders on this machine, or in collections on a server.

A version is called `v1`, `v2` and so on, and has the same name and manifest wherever it is.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from rag.errors import StoreError
from rag.protocols import Store
from rag.store.manifest import Manifest, index_spaces, models_of

if TYPE_CHECKING:
    from rag.store.weaviate_options import ServerOptions
    from rag.store.weaviate_versions import Versions

FIRST = "v1"
LANCE = "lance"
MANIFEST = "manifest.json"
_LATER = re.compile(r"v([1-9][0-9]*)")
_DROPPED = "dropped-"


class Place(Protocol):
    """Keeps the chunks and vectors of each version apart from those of others. `name` is what the settings call it."""

    @property
    def name(self) -> str: ...

    def open(self, version: str, manifest: Manifest) -> Store:
        """The store of a version, with all the spaces that its manifest names; begun where it is not there."""
        ...

    def live(self) -> str | None:
        """The version that the place itself takes to be live, None where it does not know of such a thing."""
        ...

    def follow(self, version: str) -> None:
        """Let those who ask the place itself find `version`, which is there."""
        ...

    def delete(self, version: str) -> None:
        """Delete all that a version holds, which is not live; nothing to delete is fine."""
        ...


class Folders:
    """Tables of LanceDB: the first version lies in `index` itself, `v2` in the folder `v2` inside it, and so on."""

    name = LANCE

    def __init__(self, index: Path) -> None:
        self._index = index

    def open(self, version: str, manifest: Manifest) -> Store:
        from rag.store.lance_store import LanceStore

        return LanceStore(folder_of(self._index, version), index_spaces(manifest), models_of(manifest))

    def live(self) -> None:
        return None

    def follow(self, version: str) -> None:
        """Nobody but the library asks."""

    def delete(self, version: str) -> None:
        """What is deleted has another name first, so that nothing is ever there by halves."""
        try:
            table = folder_of(self._index, version) / "chunks.lance"
            if table.is_dir():
                table.rename(self._index / f"{_DROPPED}{uuid4().hex}")
            for dropped in self._index.glob(f"{_DROPPED}*"):
                shutil.rmtree(dropped)
        except OSError as exc:
            raise StoreError(f"cannot delete version {version!r} of the index: {exc}; try again") from exc


class Collections:
    """Collections on the Weaviate server at `url`, or tenants of a shared one, where an alias follows the live version.

    What the library itself takes to be live is noted beside its documents: the alias is for everyone else.
    """

    def __init__(self, url: str, library: str, api_key: str | None, options: "Callable[[], ServerOptions]") -> None:
        self.name = url
        self._library, self._api_key, self._options = library, api_key, options

    def open(self, version: str, manifest: Manifest) -> Store:
        from rag.store.weaviate_store import WeaviateStore

        return WeaviateStore(
            self.name,
            index_spaces(manifest),
            models_of(manifest),
            name=self._library,
            version=version,
            api_key=self._api_key,
            options=self._options(),
        )

    def live(self) -> str | None:
        with self._versions() as versions:
            return versions.live()

    def follow(self, version: str) -> None:
        with self._versions() as versions:
            if versions.live() != version:
                versions.make_live(version)

    def delete(self, version: str) -> None:
        with self._versions() as versions:
            if version in versions.all():
                versions.drop(version)

    @contextmanager
    def _versions(self) -> "Iterator[Versions]":
        from rag.store.weaviate_connection import Address, Connection
        from rag.store.weaviate_store import versions_of

        options = self._options()
        connection = Connection(Address.parse(self.name), self._api_key, options.level)
        try:
            yield versions_of(connection, self._library, options)
        finally:
            connection.close()


def folder_of(index: Path, version: str) -> Path:
    """Where the manifest of a version is, and on this machine its table."""
    return index if version == FIRST else index / version


def local_versions(index: Path) -> list[str]:
    """The versions that have a manifest, oldest first."""
    first = [FIRST] if (index / MANIFEST).is_file() else []
    numbers = [int(match[1]) for path in index.glob(f"v*/{MANIFEST}") if (match := _LATER.fullmatch(path.parent.name))]
    return [*first, *(f"v{number}" for number in sorted(numbers))]
