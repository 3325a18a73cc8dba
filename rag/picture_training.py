"""One training of words for pictures: from captions and what people chose to a candidate beside the vectors there are.

The picture side stays as it is, so that pictures in the library are learnt about by the vectors that they have, and are
not opened. Those of an import are looked at once.
"""

import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag.databases import Databases
from rag.embed.clip import ClipEmbedder
from rag.embed.clip_words import CLIP_TEXT, CLIP_TEXT_FILE
from rag.errors import TuneError, UnreadableFile
from rag.gathering import CAPTIONS, Gatherer
from rag.pictures import digest
from rag.protocols import IMAGE_SPACE, Store
from rag.records import Chunk
from rag.text import one_line
from rag.tune.imports import read_captions
from rag.tune.lesson import Lesson
from rag.tune.pairs import has_words, new_pair, tidy
from rag.tune.picture_canaries import picture_canaries
from rag.tune.records import Candidate, Caption, Excerpt, Pair, Step, TuneOptions
from rag.tune.runs import MANIFEST, Runs, read_json, write_json
from rag.tune.split import cap, split

if TYPE_CHECKING:
    from rag.tune.clip_fit import Training
    from rag.tune.train_clip_words import Described, WordsTrained

OnStep = Callable[[Step], None]
Row = NDArray[np.float32]

_AT_ONCE = 256  # documents whose pictures are read together
_LARGEST = 64 << 20  # bytes of one imported picture
_CHECKPOINTS = "checkpoints"
_LIBRARIES = ("torch", "open_clip_torch", "numpy")


@dataclass(frozen=True, slots=True)
class Gathered:
    """Pairs of words and a picture, the vector of each picture by its excerpt's id, and what could not be used."""

    pairs: tuple[Pair, ...]
    vectors: dict[str, Row] = field(repr=False)
    passed_over: tuple[str, ...] = ()


class PictureTrainer:
    """Trains words for the pictures of a library, which `image_embedder` looks at."""

    def __init__(
        self,
        databases: Databases,
        gatherer: Gatherer,
        runs: Runs,
        image_embedder: ClipEmbedder,
    ) -> None:
        self._databases = databases
        self._gatherer = gatherer
        self._runs = runs
        self._embedder = image_embedder

    def train(self, options: TuneOptions, folder: Path, on_step: OnStep, stop: Event) -> Candidate | None:
        """See `Improver.train`.

        Raises:
            TuneError: there are too few pairs, none of the pictures has a vector yet, or what a training that is to go
                on learns about has changed.
        """
        on_step(Step("collect", 0, 0, time.time()))
        gathered = self.gathered()
        lesson, manifest = self.begun(options, folder, gathered)
        words = f"{len(gathered.passed_over)} pictures passed over" if gathered.passed_over else ""
        on_step(Step("collect", 1, 1, time.time(), text=words))
        if stop.is_set():
            return None
        training = _training(options)
        trained = self._trained(lesson, gathered, training, folder, on_step, stop)
        if trained is None:
            return None
        learnt = {"alpha": trained.alpha, "scores": trained.scores, "training": asdict(training)}
        write_json(folder / MANIFEST, {**manifest, "trained": learnt})
        candidate = Candidate(
            name=folder.name,
            tier="image",
            base=self._embedder.fingerprint,
            created=time.time(),
            pairs=len(lesson.train),
            parts=(CLIP_TEXT,),
        )
        self._runs.write(candidate)
        shutil.rmtree(folder / _CHECKPOINTS, ignore_errors=True)
        return candidate

    def begun(self, options: TuneOptions, folder: Path, gathered: Gathered) -> tuple[Lesson, dict[str, Any]]:
        """The lesson and the manifest of a run: as it was left where it is to go on, else from what there is now.

        Raises:
            TuneError: as `train`.
        """
        manifest = read_json(folder / MANIFEST) if options.resume else None
        lesson = Lesson.read(folder) if manifest else None
        if manifest is None or lesson is None:
            lesson = self._lesson(gathered)
            manifest = {**self._manifest(lesson, gathered), "whole": options.whole}
            lesson.write(folder)
            write_json(folder / MANIFEST, manifest)
        if (whole := manifest.get("whole", False)) != options.whole:
            raise TuneError(f"{folder.name!r} began {'with' if whole else 'without'} --whole, and goes on only so")
        if manifest["base"] != self._embedder.fingerprint:
            raise TuneError("another image embedder looks at pictures than when this training began; train again")
        if gone := {pair.positive.id for pair in (*lesson.train, *lesson.dev)} - gathered.vectors.keys():
            raise TuneError(
                f"{len(gone)} pictures that this training learns about are gone or were not looked at since it began; "
                "train again. What searches now is as it was"
            )
        return lesson, manifest

    def _trained(
        self, lesson: Lesson, gathered: Gathered, training: "Training", folder: Path, on_step: OnStep, stop: Event
    ) -> "WordsTrained | None":
        from rag.tune.train_clip_words import train_words

        replay, known = known_words(self._embedder)
        trained = train_words(
            self._embedder.files,
            _joined(_taught(lesson.train, gathered), replay),
            folder / CLIP_TEXT_FILE,
            training,
            dev=_taught(lesson.dev, gathered) if lesson.dev else None,
            known=known,
            on_step=lambda step: on_step(Step("train", step.number, step.total, time.time(), loss=step.loss)),
            stop=stop,
            folder=folder / _CHECKPOINTS,
        )
        for alpha, score, _ in trained.scores if trained else ():
            on_step(Step("blend", round(10 * alpha), 10, time.time(), score=score))
        return trained

    # --- what is learnt ------------------------------------------------------------------------------------------

    def gathered(self) -> Gathered:
        """Everything that says what a picture shows: captions, what people chose, imports; no picture too often."""
        store = self._databases.store
        chunks = {chunk.id: chunk for chunk in self._pictures(store)}
        now = time.time()
        captioned = [chunk for chunk in chunks.values() if has_words(chunk.caption)]
        pairs = [new_pair(chunk.caption, _excerpt(chunk), "structure", now) for chunk in captioned]
        excerpts = {name: _excerpt(chunk) for name, chunk in chunks.items()}
        pairs += self._gatherer.feedback(lambda ids: {name: excerpts[name] for name in ids if name in excerpts}).pairs
        vectors = store.vectors(IMAGE_SPACE, sorted({pair.positive.id for pair in pairs}))
        imported, looked, passed_over = self._imported({chunk.digest: chunk for chunk in chunks.values()}, store)
        vectors |= looked
        known = [pair for pair in (*pairs, *imported) if pair.positive.id in vectors]
        return Gathered(cap(tidy(known).pairs).pairs, vectors, passed_over)

    def _pictures(self, store: Store) -> Iterator[Chunk]:
        """The library's pictures."""
        documents = sorted(info.id for info in self._databases.catalogue.infos() if info.pictures)
        for at in range(0, len(documents), _AT_ONCE):
            for chunk in store.chunks(documents[at : at + _AT_ONCE]):
                if chunk.modality == "image":
                    yield chunk

    def _imported(self, there: dict[str, Chunk], store: Store) -> tuple[list[Pair], dict[str, Row], tuple[str, ...]]:
        """Pairs of imported captions, vectors of their pictures, and which pictures were passed over and why."""
        captions = [each for each in read_captions(self._gatherer.file(CAPTIONS)).records if has_words(each.text)]
        vectors: dict[str, Row] = {}
        seen: dict[str, Excerpt] = {}  # by digest
        trouble: dict[str, str] = {}
        for caption in captions:
            if caption.digest in seen or caption.digest in trouble:
                continue
            try:
                excerpt, row = self._seen(caption, there.get(caption.digest), store)
            except UnreadableFile as exc:
                trouble[caption.digest] = f"{caption.picture!r}: {exc.reason}"
            else:
                seen[caption.digest], vectors[excerpt.id] = excerpt, row
        pairs = [
            new_pair(caption.text, seen[caption.digest], "import", caption.time)
            for caption in captions
            if caption.digest in seen
        ]
        return pairs, vectors, tuple(trouble.values())

    def _seen(self, caption: Caption, there: Chunk | None, store: Store) -> tuple[Excerpt, Row]:
        """An imported picture with its vector: that of the library where it has the very same picture."""
        if there is not None and (found := store.vectors(IMAGE_SPACE, [there.id])):
            return _excerpt(there), found[there.id]
        row = self._embedder.embed_images([read_imported(caption)])[0]
        return Excerpt(f"import:{caption.digest}", f"{Path(caption.picture).name} {caption.digest}"), row

    def _lesson(self, gathered: Gathered) -> Lesson:
        if not gathered.pairs:
            raise TuneError(
                "no words are known for any picture that was looked at: search for pictures and say which was right, "
                "or bring captions: rag tune import FILE"
            )
        parted = split(gathered.pairs, (), self._embedder.embed_texts, seed=0)
        return Lesson(parted.train, parted.dev, parted.gate)

    def _manifest(self, lesson: Lesson, gathered: Gathered) -> dict[str, Any]:
        return {
            "tier": "image",
            "base": self._embedder.fingerprint,
            "embedder": self._embedder.state.name,
            "pairs": {"train": len(lesson.train), "dev": len(lesson.dev), "gate": len(lesson.gate)},
            "documents": sorted(lesson.documents),
            "passed_over": list(gathered.passed_over),
            "versions": {name: version(name) for name in _LIBRARIES},
            "python": platform.python_version(),
            "platform": platform.platform(),
        }


def _training(options: TuneOptions) -> "Training":
    from rag.tune.train_clip_words import WORDS_TRAINING

    epochs = options.epochs or WORDS_TRAINING.epochs
    return replace(WORDS_TRAINING, epochs=epochs, learning_rate=options.learning_rate or WORDS_TRAINING.learning_rate)


def _taught(pairs: Sequence[Pair], gathered: Gathered) -> "Described":
    from rag.tune.train_clip_words import Described

    names = tuple(pair.positive.id for pair in pairs)
    return Described(tuple(pair.query for pair in pairs), names, np.stack([gathered.vectors[name] for name in names]))


def known_words(looks: ClipEmbedder) -> "tuple[Described, Described]":
    """Plain words for drawn shapes, which are not to be forgotten: some to be trained on, some to choose by.

    They are the canaries that training may see, one half of all. The vectors are those of `looks`.
    """
    from rag.tune.train_clip_words import Described

    canaries = picture_canaries()[::2]
    rows = looks.embed_images([picture for _, picture in canaries])
    names, texts = tuple(canary.id for canary, _ in canaries), tuple(canary.text for canary, _ in canaries)
    first, second = (Described(texts[part::2], names[part::2], rows[part::2]) for part in (0, 1))
    return first, second


def _joined(pairs: "Described", others: "Described") -> "Described":
    return replace(
        pairs,
        texts=(*pairs.texts, *others.texts),
        names=(*pairs.names, *others.names),
        pictures=np.concatenate([pairs.pictures, others.pictures]),
    )


def _excerpt(chunk: Chunk) -> Excerpt:
    return Excerpt(chunk.id, one_line(f"{chunk.title} {chunk.picture}: {chunk.caption}"), chunk.document_id)


def read_imported(caption: Caption) -> bytes:
    """The imported picture, as it was when its caption was."""
    try:
        with Path(caption.picture).open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as exc:
        raise UnreadableFile(caption.picture, exc.strerror or str(exc)) from exc
    if len(data) > _LARGEST or digest(data) != caption.digest:
        raise UnreadableFile(caption.picture, "it is not the picture that was imported; import it again")
    return data
