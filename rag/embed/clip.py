"""Picture and word vectors by open_clip. torch is imported when the first of them is embedded, not before."""

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from rag.embed.clip_files import ClipFiles
from rag.pictures import HEAD, MAX_MEGAPIXELS, decode, media_type, open_header
from rag.protocols import IMAGE_SPACE
from rag.records import ModelState

if TYPE_CHECKING:
    from torch import Tensor

    from rag.embed.clip_model import ClipModel
    from rag.embed.device import DeviceSetting, Placement, PrecisionSetting

T = TypeVar("T")

_DECODERS = min(8, os.cpu_count() or 1)  # threads; Pillow lets go of the interpreter while it decodes and shrinks


class ClipEmbedder:
    """An open_clip model on this machine, as an ImageEmbedder. Safe to call from several threads.

    `dim` and `fingerprint` are read from its files without loading it. Nothing is ever downloaded or unpickled.
    The first use raises ModelCorrupt where its files do not belong together, and ModelNotFound where one is missing.
    """

    space = IMAGE_SPACE

    def __init__(
        self,
        files: ClipFiles,
        *,
        device: "DeviceSetting" = "auto",
        precision: "PrecisionSetting" = "auto",
        max_megapixels: int = MAX_MEGAPIXELS,
    ) -> None:
        self._files = files
        self._max_megapixels = max_megapixels
        self._large = threading.Lock()
        self._device: DeviceSetting = device
        self._precision: PrecisionSetting = precision
        self._loading = threading.Lock()
        self._working = threading.Lock()
        self._ready: tuple[ClipModel, Placement] | None = None
        self.state = ModelState(
            "image embedder", files.name, "not chosen yet", precision, "loaded at first use", loaded=False
        )

    @property
    def dim(self) -> int:
        return self._files.dim

    @property
    def fingerprint(self) -> str:
        return self._files.fingerprint

    @property
    def files(self) -> ClipFiles:
        """What it is built from."""
        return self._files

    def load(self) -> None:
        """Load the weights now instead of at the first picture."""
        self.model()

    def embed_images(self, pictures: Sequence[bytes]) -> NDArray[np.float32]:
        """See `ImageEmbedder.embed_images`: float32[N, dim], unit rows. UnreadableFile numbers the pictures from 1.

        While the model looks at one batch, threads decode the next.
        """
        if not pictures:
            return np.zeros((0, self.dim), np.float32)
        model, placement = self.model()
        pool = ThreadPoolExecutor(_DECODERS, thread_name_prefix="decode")
        try:
            rows = []
            for batch in self._decoded(pictures, model, placement.batch, pool):
                with self._working:
                    rows.append(model.look(batch))
        finally:
            pool.shutdown(cancel_futures=True)
        return np.concatenate(rows)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `ImageEmbedder.embed_texts`: float32[N, dim], unit rows. A text longer than the context is cut."""
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        model, placement = self.model()
        with self._working:
            return read_texts(model, texts, placement.batch)

    def model(self) -> "tuple[ClipModel, Placement]":
        """The model and where it runs, loaded if it was not."""
        with self._loading:
            if self._ready is None:
                from rag.embed.clip_model import load_clip
                from rag.embed.device import footprint, place

                placement = place(self._device, self._precision)
                model = load_clip(self._files, placement.device, placement.precision)
                self._ready = model, placement
                self.state = ModelState(
                    "image embedder",
                    self.state.name,
                    placement.device,
                    placement.precision,
                    placement.reason,
                    loaded=True,
                    footprint=footprint(model.network),
                )
            return self._ready

    def _decoded(
        self, pictures: Sequence[bytes], model: "ClipModel", batch: int, pool: ThreadPoolExecutor
    ) -> "Iterator[list[Tensor]]":
        """The pixels of `batch` pictures at a time, the next batch being decoded while one is used."""

        def pixels(number: int, data: bytes) -> "Tensor":
            return self._pixels(data, f"picture {number} of {len(pictures)}", model)

        ahead: deque[list[Future[Tensor]]] = deque()
        for part in _parts(list(enumerate(pictures, start=1)), batch):
            ahead.append([pool.submit(pixels, number, data) for number, data in part])
            if len(ahead) > 1:
                yield [future.result() for future in ahead.popleft()]
        for futures in ahead:
            yield [future.result() for future in futures]

    def _pixels(self, data: bytes, name: str, model: "ClipModel") -> "Tensor":
        """Large pictures are decoded one at a time, so that all threads together take the memory of two at most."""
        with self._large if self._is_large(data, name) else nullcontext():
            return model.preprocess(decode(data, path=name, max_megapixels=self._max_megapixels))

    def _is_large(self, data: bytes, name: str) -> bool:
        if media_type(data[:HEAD]) == "image/svg+xml":  # is drawn at a fixed size, and only drawing tells which
            return False
        header = open_header(data, path=name, max_megapixels=self._max_megapixels)
        return header.width * header.height * _DECODERS > self._max_megapixels * 1e6


def read_texts(model: "ClipModel", texts: Sequence[str], batch: int) -> NDArray[np.float32]:
    """float32[N, dim], unit rows, of N >= 1 texts, `batch` at a time."""
    return np.concatenate([model.read(part) for part in _parts(texts, batch)])


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
