"""One training of a whole image embedder, both sides of it, from pictures that are opened again and words for them.

What comes of it is another model: it is installed beside the one that it started from, and nothing uses it before the
settings name it and every picture was looked at again. It is installed only if it is better on pairs that were held
out, and forgets no more than the gate allows.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from rag.databases import Databases
from rag.embed.clip import ClipEmbedder
from rag.embed.clip_files import clip_in
from rag.errors import DocumentNotFound, TuneError, UnreadableFile
from rag.gathering import CAPTIONS, Gatherer
from rag.ingest.originals import open_picture
from rag.picture_training import PictureTrainer, read_imported
from rag.pictures import decode
from rag.tune.gate import MARGIN
from rag.tune.imports import read_captions
from rag.tune.lesson import Lesson
from rag.tune.picture_canaries import picture_canaries
from rag.tune.records import Candidate, Pair, Step, TuneOptions
from rag.tune.runs import MANIFEST, Runs, write_json

if TYPE_CHECKING:
    from rag.tune.clip_fit import Training

OnStep = Callable[[Step], None]
_PARTS = 8  # that a batch of 64 goes through the model in
Shown = tuple[bytes, str, str]  # a picture, words for it, and a name that the same picture always has

_CHECKPOINTS, _TRAINED = "checkpoints", "trained"
_PULLED = "manifest.json"  # says which files were pulled: not those that are written here


class WholeTrainer:
    """Trains image embedders from the one that looks at a library's pictures, into the folder `models`."""

    def __init__(
        self,
        databases: Databases,
        gatherer: Gatherer,
        runs: Runs,
        image_embedder: ClipEmbedder,
        models: Path,
    ) -> None:
        self._words = PictureTrainer(databases, gatherer, runs, image_embedder)
        self._databases = databases
        self._gatherer = gatherer
        self._runs = runs
        self._embedder = image_embedder
        self._models = models

    def train(self, options: TuneOptions, folder: Path, on_step: OnStep, stop: Event) -> Candidate | None:
        """See `Improver.train`; the candidate's `embedder` is the name of the new model.

        Raises:
            TuneError: as `PictureTrainer.train`; or the model has no folder to start from, or nothing that was learnt
                is any use.
            DiskFull: there is no room; checkpoints that were written before stay.
        """
        start = self._embedder.files.folder
        if start is None:
            raise TuneError(f"{self._embedder.state.name!r} has no folder of its own to start from; leave out --whole")
        on_step(Step("collect", 0, 0, time.time()))
        lesson, manifest = self._words.begun(options, folder, self._words.gathered())
        pairs = [*self._opened(lesson.train), *_drawn(0)]
        if stop.is_set() or not self._trained(start, pairs, options, folder, on_step, stop):
            return None
        figures = self._measured(lesson, folder / _TRAINED)
        write_json(folder / MANIFEST, {**manifest, "trained": figures})
        if reason := _why_not(figures):
            _clear(folder)
            raise TuneError(reason)
        name = f"{Path(self._embedder.files.name).name}-{folder.name}"  # "auto" goes on to take what it did, by name
        self._install(folder, name)
        candidate = Candidate(
            folder.name, "image", self._embedder.fingerprint, time.time(), len(lesson.train), embedder=name
        )
        self._runs.write(candidate)
        return candidate

    def _trained(
        self, start: Path, pairs: Sequence[Shown], options: TuneOptions, folder: Path, on_step: OnStep, stop: Event
    ) -> bool:
        from rag.tune.checkpoints import full_disk_named
        from rag.tune.train_clip import train_clip

        with full_disk_named(folder / _TRAINED):
            return train_clip(
                start,
                ((decode(data), words) for data, words, _ in pairs),
                folder / _TRAINED,
                _training(options, self._embedder.model()[1].device),
                lambda step: on_step(Step("train", step.number, step.total, time.time(), loss=step.loss)),
                stop,
                alike=[{f"text {words}", f"picture {name}"} for _, words, name in pairs],
                folder=folder / _CHECKPOINTS,
            )

    def _install(self, folder: Path, name: str) -> None:
        (folder / _TRAINED / _PULLED).unlink(missing_ok=True)
        try:
            self._models.mkdir(exist_ok=True)
            shutil.move(folder / _TRAINED, self._models / name)
        except OSError as exc:
            raise TuneError(f"cannot install {name!r} in {str(self._models)!r}: {exc.strerror or exc}") from exc
        _clear(folder)

    # --- pictures ------------------------------------------------------------------------------------------------

    def _opened(self, pairs: Sequence[Pair]) -> Iterator[Shown]:
        """Those of the pairs whose pictures can still be opened."""
        captions = {each.digest: each for each in read_captions(self._gatherer.file(CAPTIONS)).records}
        chunks = {chunk.id: chunk for chunk in self._databases.store.get([pair.positive.id for pair in pairs])}
        for pair in pairs:
            name = pair.positive.id
            try:
                if (chunk := chunks.get(name)) and chunk.picture is not None:
                    document = self._databases.catalogue.document(chunk.document_id)
                    yield open_picture(document, chunk.picture), pair.query, name
                elif caption := captions.get(name.removeprefix("import:")):
                    yield read_imported(caption), pair.query, name
            except (UnreadableFile, DocumentNotFound):
                continue  # it was there when it was looked at; the others teach as well

    # --- what it is worth ----------------------------------------------------------------------------------------

    def _measured(self, lesson: Lesson, trained: Path) -> dict[str, tuple[float, float]]:
        """Mean reciprocal rank of the right picture before and after, on held-out pairs and on drawn shapes."""
        after = ClipEmbedder(clip_in(trained))
        held_out = list(self._opened(lesson.dev))
        asked = {"held out": held_out, "known": _drawn(1)}
        return {what: (_rank(self._embedder, each), _rank(after, each)) for what, each in asked.items() if each}


def _why_not(figures: Mapping[str, tuple[float, float]]) -> str:
    """Why the new model is not installed, in plain words; "" where it is."""
    before, after = figures.get("held out", (0.0, 0.0))
    if after <= before:
        return (
            f"nothing that was learnt is better on the pairs that were held out ({before:.3f} before, {after:.3f} "
            "after): nothing is installed. More pairs may help, or training without --whole"
        )
    before, after = figures["known"]
    if after < before - MARGIN:
        return (
            f"too much is forgotten: plain words find drawn shapes at {after:.3f} instead of {before:.3f}; nothing is "
            "installed. A smaller --rate may help, or training without --whole"
        )
    return ""


def _clear(folder: Path) -> None:
    """Remove what only the training itself needed."""
    for name in (_CHECKPOINTS, _TRAINED):
        shutil.rmtree(folder / name, ignore_errors=True)


def _drawn(part: int) -> list[Shown]:
    """Every other one of the canaries that training may see: to train on, or to choose by."""
    return [(picture, canary.text, canary.id) for canary, picture in picture_canaries()[::2][part::2]]


def _rank(looks: ClipEmbedder, shown: Sequence[Shown]) -> float:
    from rag.tune.train_clip_words import Described, reciprocal_rank

    pictures, words, names = zip(*shown, strict=True)
    return reciprocal_rank(looks.embed_texts(words), Described(words, names, looks.embed_images(pictures)))


def _training(options: TuneOptions, device: str) -> "Training":
    """In parts, so that a batch takes the memory of a few pictures."""
    from rag.tune.train_clip_words import WORDS_TRAINING

    rate = options.learning_rate or WORDS_TRAINING.learning_rate
    epochs = options.epochs or WORDS_TRAINING.epochs
    return replace(WORDS_TRAINING, epochs=epochs, learning_rate=rate, device=device, parts=_PARTS)
