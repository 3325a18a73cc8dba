"""Which retrievers does the gate compare? The one that searches the library now, and a candidate in its place."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event

from rag.errors import TuneError
from rag.judging import Contender, Contest
from rag.live import LiveIndex, Tuned
from rag.picture_words import PictureWords
from rag.protocols import Embedder
from rag.records import Progress
from rag.switching import Switcher
from rag.tune.records import Candidate, Grounds, Step


class Contests:
    """Makes the retrievers of a library ready to be compared; the arguments are those of `rag.improving.Improver`."""

    def __init__(
        self,
        index: LiveIndex,
        switcher: Switcher,
        build_embedder: Callable[[str], Embedder],
        open_tuned: Callable[[str, Embedder], Tuned],
        picture_words: PictureWords,
    ) -> None:
        self._index = index
        self._switcher = switcher
        self._build_embedder = build_embedder
        self._open_tuned = open_tuned
        self._picture_words = picture_words

    def grounds(self, candidate: Candidate) -> Grounds:
        """What a verdict on the candidate would rest on now."""
        index = self._index.now()
        if candidate.tier == "image":
            return Grounds(candidate.base, index.version, self._picture_words.live)
        return Grounds(index.base.fingerprint, index.version, index.tuned.name)

    @contextmanager
    def contest(self, candidate: Candidate, on_step: Callable[[Step], None], stop: Event) -> Iterator[Contest | None]:
        """What searches now against the candidate, while the block lasts; None where embedding for it was stopped.

        Raises:
            TuneError: the candidate searches already, or was made from another embedder than the live one.
        """
        index, grounds = self._index.now(), self.grounds(candidate)
        if grounds.live == candidate.name:
            raise TuneError(f"{candidate.name!r} searches now already; there is nothing to compare it with")
        live = Contender(index.tuned, index.store)

        def against(contender: Contender) -> Contest:
            return Contest(candidate.name, index.base, live, contender, grounds)

        if candidate.tier == "image":
            looks = self._picture_words.opened(candidate.name)
            yield replace(against(Contender(index.tuned, index.store, looks)), plain_looks=self._picture_words.plain)
            return
        if candidate.base != index.base.fingerprint:
            raise TuneError(
                f"{candidate.name!r} was made from another embedder than {index.base.state.name!r}, which searches "
                "now; train one for this"
            )
        if candidate.embedder is None:
            yield against(Contender(self._open_tuned(candidate.name, index.base), index.store))
            return
        report = self._switcher.embed_beside(candidate.embedder, _shown(on_step), stop)
        if not report.ready:
            yield None
            return
        store = self._switcher.versions.open(report.version)
        try:
            own = self._open_tuned(candidate.name, self._build_embedder(candidate.embedder))
            yield against(Contender(own, store))
        finally:
            store.close()


def _shown(on_step: Callable[[Step], None]) -> Callable[[Progress], None]:
    """Progress of embedding as steps of judging."""
    return lambda progress: on_step(Step("embed", progress.done, progress.total, time.time(), text=progress.path))
