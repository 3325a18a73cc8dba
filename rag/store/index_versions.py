"""Which versions of the index does a library have in a place, what made each, and how does another one become live?

The manifest of a version lies in the library's folder wherever its vectors are, and the catalogue's ledger says which
version is live. So a version, the model that made it and the documents that it has never disagree, on any engine.
"""

import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from rag.errors import LibraryBusy, StoreError
from rag.protocols import Store
from rag.records import IndexVersion
from rag.store.ledger import Ledger, Stamp
from rag.store.manifest import Manifest, index_spaces, read_manifest, write_manifest
from rag.store.places import FIRST, MANIFEST, Place, folder_of, local_versions

State = Literal["live", "kept", "begun"]

_LOG = logging.getLogger(__name__)


class IndexVersions:
    """The versions of the index of the library in `home`, as they are in `place`. Threads may share it."""

    def __init__(self, home: Path, place: Place, ledger: Ledger) -> None:
        self._home = home
        self._index = home / "index"
        self._place = place
        self._ledger = ledger

    # --- what there is -------------------------------------------------------------------------------------------

    def live(self) -> str:
        """The version that is searched and written to; of a new library the first. Cheap: ask it at every use."""
        lived = self._ledger.lived(self._place.name)
        if lived:
            return lived[0]
        others = [version for version in local_versions(self._index) if version != FIRST]
        return (self._place.live() if others else None) or FIRST

    def kept(self) -> list[str]:
        """The versions that were live before, the last one first."""
        return self._ledger.lived(self._place.name)[1:]

    def turn(self) -> int:
        """When another version was made live last, on the clock of `Ledger.turn`."""
        return self._ledger.turn(self._place.name)

    def begun(self) -> list[str]:
        """The versions that were never live anywhere: they are being made, or somebody stopped making them."""
        named = {FIRST, *self._ledger.named()}
        return [version for version in local_versions(self._index) if version not in named]

    def manifest(self, version: str) -> Manifest | None:
        """What made a version; None for the first one of a new library."""
        return read_manifest(self.manifest_path(version))

    def manifest_path(self, version: str) -> Path:
        return folder_of(self._index, version) / MANIFEST

    def spaces(self, version: str) -> dict[str, int]:
        """The spaces of a version with the dimensions of their vectors."""
        manifest = self.manifest(version)
        return index_spaces(manifest) if manifest else {}

    def all(self) -> list[IndexVersion]:
        """The live version, then those that were live before, then those that are being made."""
        of_state: dict[State, list[str]] = {"live": [self.live()], "kept": self.kept(), "begun": self.begun()}
        return [
            self._told(version, state, manifest)
            for state, versions in of_state.items()
            for version in versions
            if (manifest := self.manifest(version)) is not None
        ]

    def _told(self, version: str, state: State, manifest: Manifest) -> IndexVersion:
        stamps, has = self.stamps(), self.carried(version)
        missing = sum(state != "live" and has.get(name) != stamp.indexed for name, stamp in stamps.items())
        return IndexVersion(
            version=version,
            state=state,
            embedder=manifest.embedder,
            reference=manifest.reference,
            dim=manifest.dim,
            created=manifest.created,
            documents=len(stamps) - missing,
            missing=missing,
        )

    def open(self, version: str, spaces_of: Manifest | None = None) -> Store:
        """The store of a version, with all the spaces that `spaces_of` names; None: its own manifest.

        Raises:
            StoreError: there is no such version.
        """
        manifest = self.manifest(version)
        if manifest is None:
            raise StoreError(f"there is no version {version!r} of the index in {str(self._index)!r}; run `rag verify`")
        return self._place.open(version, spaces_of or manifest)

    # --- changing it ---------------------------------------------------------------------------------------------

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One at a time makes versions, makes them live, or deletes them; adding and searching go on meanwhile.

        Raises:
            LibraryBusy: another one does.
        """
        lock = FileLock(self._home / "versions.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as exc:
            raise LibraryBusy(
                f"a version of the index in {str(self._index)!r} is being made already; wait until that is done"
            ) from exc
        try:
            yield
        finally:
            lock.release()

    def begin(self, manifest: Manifest) -> str:
        """The name of a new, empty version with that manifest."""
        if not self._ledger.lived(self._place.name):
            self._ledger.make_live(self._place.name, self.live())
        names = {FIRST, *local_versions(self._index), *self._ledger.named()}
        version = f"v{max(int(name[1:]) for name in names) + 1}"
        self._place.delete(version)  # what somebody else may have left there
        write_manifest(self.manifest_path(version), manifest)
        return version

    def make_live(self, version: str, *, in_step: bool = True) -> None:
        """Let every search and every write from now on go to `version`. Call it with the write lock held.

        The change is one transaction. Where what was live is not `in_step` with the documents, that is noted.
        """
        self._ledger.make_live(self._place.name, version, in_step=in_step)
        self.follow()

    def follow(self) -> None:
        """Let the place itself know which version is live. The library goes on without: it does not ask the place."""
        try:
            self._place.follow(self.live())
        except StoreError as exc:
            _LOG.warning("the place of the index does not know yet which version is live: %s", exc)

    def drop(self, version: str) -> None:
        """Delete a version that is not live. What cannot be deleted at this moment goes with the next one.

        Raises:
            StoreError: it is live, or not there.
        """
        if version == self.live():
            raise StoreError(f"version {version!r} of the index is live; go back to another one first")
        if version not in (*self.kept(), *self.begun()):
            raise StoreError(f"there is no version {version!r} of the index in {str(self._index)!r}")
        self.follow()
        self._ledger.drop(self._place.name, version)
        named = self._ledger.named()
        left_over = [each for each in local_versions(self._index) if named.get(each) == set()]
        for gone in dict.fromkeys((version, *left_over)):
            self._delete(gone, everywhere=not named[gone])

    def _delete(self, version: str, *, everywhere: bool) -> None:
        try:
            self._place.delete(version)
        except StoreError as exc:
            _LOG.warning("version %s of the index is not all deleted yet: %s", version, exc)
            return
        if everywhere:
            self.manifest_path(version).unlink(missing_ok=True)
            if version != FIRST:
                shutil.rmtree(folder_of(self._index, version), ignore_errors=True)  # what is left says nothing

    # --- which documents a version has ---------------------------------------------------------------------------

    def stamps(self) -> dict[str, Stamp]:
        """Every document that a version should have, by id."""
        return self._ledger.stamps()

    def carried(self, version: str) -> dict[str, str]:
        """Id -> `Stamp.indexed` of each document that is noted to be in a version that is not live."""
        return self._ledger.carried(self._place.name, version)

    def carry(self, version: str, indexed: Mapping[str, str]) -> None:
        """Note that documents are in a version as they were read at `indexed`: call it when its store has them."""
        self._ledger.carry(self._place.name, version, indexed)

    def forget(self, version: str, documents: Iterable[str]) -> None:
        """Note that documents are not in a version, or not as they should be."""
        self._ledger.forget(self._place.name, version, documents)
