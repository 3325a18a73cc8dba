"""Another text embedder for the whole library: a version of the index is made beside the live one, then it is live.

Adding goes on meanwhile, into the live version: what changed is brought over in further rounds, and the last and
smallest one, with the change itself, under the write lock. Whoever finds a version that was begun goes on with it,
however it was cut off. Going back is the same: what changed since is brought into the older version first.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event

from rag.carrying import Carrier, OnProgress, Stopped
from rag.databases import Databases
from rag.errors import ConfigError, IndexMismatch, LibraryBusy, StoreError
from rag.protocols import Embedder, Store
from rag.records import SwitchReport
from rag.store.index_versions import IndexVersions
from rag.store.manifest import Manifest, check_manifest, is_same_space, named, with_looks_of, write_manifest

_KEPT = 1  # older versions that stay beside the live one


class Switcher:
    """Makes another version of the index live.

    Args:
        databases: the library's.
        versions: those of its index.
        build_embedder: the embedder that a reference means.
        reference_of: what the settings call the embedder of a manifest.
        setting: what the settings say about the embedder: "auto", or the one that is insisted on.
        prepare: told the embedder of a version that is about to become live, its weights loaded.
    """

    def __init__(
        self,
        databases: Databases,
        versions: IndexVersions,
        build_embedder: Callable[[str], Embedder],
        reference_of: Callable[[Manifest], str],
        setting: str,
        prepare: Callable[[str, Embedder], None],
    ) -> None:
        self.versions = versions
        self._databases = databases
        self._build_embedder = build_embedder
        self._reference_of = reference_of
        self._setting = setting
        self._prepare = prepare

    def use(self, reference: str, on_progress: OnProgress | None = None, stop: Event | None = None) -> SwitchReport:
        """See `Library.switch_embedder`."""
        self._check_setting(reference)
        embedder = self._build_embedder(reference)
        wanted = Manifest.of(embedder, reference=reference)
        with self.versions.changing():
            live = self.versions.live()
            manifest = self.versions.manifest(live)
            if manifest is None or is_same_space(manifest, wanted):
                return self._stay(live, wanted, embedder)
            version = self._begun_with(wanted) or self.versions.begin(wanted)
            return self._switch(version, embedder, on_progress, stop or Event())

    def embed_beside(
        self, reference: str, on_progress: OnProgress | None = None, stop: Event | None = None
    ) -> SwitchReport:
        """Make a version of the index with another embedder that has all documents, and leave the live one live.

        Stopped or killed at any moment the next call goes on, `use` with the same reference too; what was added since
        is brought over. The report is `ready` where the version has everything.

        Raises:
            StoreError: there is no index yet.
            LibraryBusy: another version is being made.
            DiskFull: there is no room; what is done stays.
        """
        embedder = self._build_embedder(reference)
        wanted = Manifest.of(embedder, reference=reference)
        with self.versions.changing():
            live = self.versions.live()
            manifest = self.versions.manifest(live)
            if manifest is None:
                raise StoreError("the library has no index yet; add something first: rag add ~/notes")
            if is_same_space(manifest, wanted):
                return SwitchReport(live, embedder.state.name, True, self._databases.catalogue.chunks(), 0, 0, 0.0)
            version = self._begun_with(wanted) or self.versions.begin(wanted)
            return self._shadow(Carrier(self.versions, version, embedder, on_progress, stop or Event()))

    def roll_back(self, on_progress: OnProgress | None = None, stop: Event | None = None) -> SwitchReport:
        """See `Library.roll_back`."""
        with self.versions.changing():
            version = next(iter(self.versions.kept()), None)
            manifest = None if version is None else self.versions.manifest(version)
            if version is None or manifest is None:
                raise StoreError("there is no older version of the index to go back to; see `rag index versions`")
            reference = self._reference_of(manifest)
            self._check_setting(reference)
            embedder = self._build_embedder(reference)
            if not is_same_space(manifest, Manifest.of(embedder)):
                raise IndexMismatch(
                    f"version {version!r} of the index was written by {named(manifest)}, and that model has changed "
                    f"since; run `rag models use {reference}` to embed the library with it as it is now"
                )
            return self._switch(version, embedder, on_progress, stop or Event())

    def prune(self) -> tuple[str, ...]:
        """See `Library.prune_versions`."""
        with self.versions.changing():
            return self._drop([*self.versions.kept(), *self.versions.begun()])

    def _check_setting(self, reference: str) -> None:
        if self._setting not in ("auto", reference):
            raise ConfigError(
                f"the setting embedder insists on {self._setting!r} and would refuse an index of {reference!r}; take "
                f"it out of rag.toml (RAG_EMBEDDER), or set it to 'auto', and try again"
            )

    def _stay(self, version: str, wanted: Manifest, embedder: Embedder) -> SwitchReport:
        """The live version is of that model already; or it is the first one of a library that is begun with it."""
        catalogue = self._databases.catalogue
        with self._databases.writing():
            if self.versions.manifest(version) is None and catalogue.chunks():
                raise StoreError("the library has documents, and nothing says what embedded them; run `rag verify`")
            check_manifest(self.versions.manifest_path(version), wanted)
        self._prepare(version, embedder)
        return SwitchReport(version, embedder.state.name, True, catalogue.chunks(), 0, 0, 0.0)

    def _begun_with(self, wanted: Manifest) -> str | None:
        """A version of that model that is kept or was begun. Those that were begun with others are given up."""
        known = [
            (version, self.versions.manifest(version)) for version in (*self.versions.kept(), *self.versions.begun())
        ]
        same = [version for version, manifest in known if manifest is not None and is_same_space(manifest, wanted)]
        self._drop(version for version in self.versions.begun() if version not in same[:1])
        return same[0] if same else None

    def _shadow(self, carrier: Carrier) -> SwitchReport:
        started, ready = time.monotonic(), True
        live = self.versions.live()
        self._look_as(live, carrier.version)
        try:
            with self._opened(live) as source, self._opened(carrier.version) as target:
                carrier.catch_up(source, target)
        except Stopped:
            ready = False
        return self._report(carrier, started, live=False, ready=ready)

    def _report(
        self, carrier: Carrier, started: float, *, live: bool, ready: bool, dropped: tuple[str, ...] = ()
    ) -> SwitchReport:
        return SwitchReport(
            version=carrier.version,
            embedder=carrier.embedder.state.name,
            live=live,
            chunks=self._databases.catalogue.chunks(),
            embedded=carrier.embedded,
            cut=carrier.cut,
            seconds=time.monotonic() - started,
            dropped=dropped,
            ready=ready,
        )

    def _switch(self, version: str, embedder: Embedder, on_progress: OnProgress | None, stop: Event) -> SwitchReport:
        started, is_live = time.monotonic(), False
        carrier = Carrier(self.versions, version, embedder, on_progress, stop)
        while not (is_live or stop.is_set()):
            try:
                is_live = self._attempt(carrier)
            except Stopped:
                break
            except LibraryBusy:  # another writer is at work; what it writes is brought over meanwhile
                continue
        dropped = self._drop(self.versions.kept()[_KEPT:]) if is_live else ()
        return self._report(carrier, started, live=is_live, ready=is_live, dropped=dropped)

    def _attempt(self, carrier: Carrier) -> bool:
        """Bring everything over and make the version live; False where another image embedder came meanwhile."""
        live = self.versions.live()
        mine = self._look_as(live, carrier.version)
        with self._opened(live) as source, self._opened(carrier.version) as target:
            carrier.catch_up(source, target)
            with self._databases.writing():
                theirs = self.versions.manifest(live)
                if theirs is None or with_looks_of(mine, theirs) != mine:
                    return False
                carrier.catch_up(source, target, at_rest=True)
                self._prepare(carrier.version, carrier.embedder)
                self.versions.make_live(carrier.version)
                return True

    def _look_as(self, live: str, version: str) -> Manifest:
        """The manifest of a version, now with the image embedder of the live one."""
        mine, theirs = self.versions.manifest(version), self.versions.manifest(live)
        if mine is None or theirs is None:
            raise StoreError(f"version {version!r} of the index is gone; run `rag models use` again")
        current = with_looks_of(mine, theirs)
        if current != mine:
            write_manifest(self.versions.manifest_path(version), current)
        return current

    @contextmanager
    def _opened(self, version: str) -> Iterator[Store]:
        store = self.versions.open(version)
        try:
            yield store
        finally:
            store.close()

    def _drop(self, versions: Iterable[str]) -> tuple[str, ...]:
        dropped = tuple(versions)
        for version in dropped:
            self.versions.drop(version)
        return dropped
