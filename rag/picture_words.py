"""Words for pictures learn: train a candidate of tier image, let its words find pictures, go back. `Improver` uses it.

It is apart from the rest of what learns as its base is the image embedder: it stays when the index gets another text
embedder, and what was tuned for texts stays when it changes.
"""

from collections.abc import Callable
from pathlib import Path
from threading import Event

from rag.databases import Databases
from rag.embed.clip import ClipEmbedder
from rag.errors import TuneError
from rag.gathering import Gatherer
from rag.live_words import LiveWords
from rag.picture_training import PictureTrainer
from rag.protocols import ImageEmbedder
from rag.store.retrievers import Retrievers
from rag.tune.records import Candidate, Step, TuneOptions
from rag.tune.runs import Runs
from rag.whole_pictures import WholeTrainer


class PictureWords:
    """What a library's image embedder `looks`, if there is one, can be taught. `words` says which words search now.

    `models` is the folder for an image embedder that comes of training it as a whole.
    """

    def __init__(
        self,
        databases: Databases,
        gatherer: Gatherer,
        runs: Runs,
        looks: ImageEmbedder | None,
        words: LiveWords | None,
        models: Path,
    ) -> None:
        self._models = models
        self._databases = databases
        self._gatherer = gatherer
        self._runs = runs
        self._looks = looks
        self._words = words

    def check(self) -> ClipEmbedder:
        """What can be taught; TuneError where nothing looks at pictures."""
        if not isinstance(self._looks, ClipEmbedder):
            raise TuneError(
                "there is no image embedder whose words could be taught; docs/models.md says which there are and how "
                "to get one"
            )
        return self._looks

    def trainer(self) -> PictureTrainer:
        """What trains a candidate; raises as `check`."""
        return PictureTrainer(self._databases, self._gatherer, self._runs, self.check())

    def train(
        self, options: TuneOptions, folder: Path, on_step: Callable[[Step], None], stop: Event
    ) -> Candidate | None:
        """See `PictureTrainer.train`, and `WholeTrainer.train` for a model that is trained as a whole."""
        if not options.whole:
            return self.trainer().train(options, folder, on_step, stop)
        whole = WholeTrainer(self._databases, self._gatherer, self._runs, self.check(), self._models)
        return whole.train(options, folder, on_step, stop)

    def opened(self, name: str) -> ImageEmbedder:
        """The image embedder with the words of a candidate.

        Raises:
            TuneError: there is no such candidate, or it is for pictures of another image embedder.
        """
        if self._words is None:
            raise TuneError(f"nothing looks at pictures here, so that the words of {name!r} would find none")
        return self._words.open(name)

    @property
    def plain(self) -> ImageEmbedder | None:
        """The image embedder as it came."""
        return self._looks

    @property
    def live(self) -> str:
        """The name of the candidate whose words find pictures now, "" where the image embedder's own do."""
        return self._pointers.live(self._base)

    @property
    def before(self) -> str | None:
        """The name of the one that did so before; None: there is no way back."""
        return self._pointers.before(self._base)

    @property
    def turn(self) -> int:
        """When that changed last, on the clock of `Ledger.turn`."""
        return self._pointers.turn(self._base)

    def make_live(self, name: str) -> None:
        """Let the words of a candidate, or with "" the image embedder's own, find pictures in every process.

        Raises:
            TuneError, ModelError: they cannot be used with what looks at pictures now.
        """
        if name:
            self.opened(name).load()
        self._pointers.make_live(self._base, name)

    @property
    def _pointers(self) -> Retrievers:
        return self._databases.catalogue.retrievers

    @property
    def _base(self) -> str:
        return self._looks.fingerprint if self._looks else ""
