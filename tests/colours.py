"""Pictures of plain colours, and a working ImageEmbedder that knows nothing but colours."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rag.pictures import decode
from rag.protocols import IMAGE_SPACE
from rag.records import ModelState

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 200), "yellow": (240, 220, 40)}


class ColourEmbedder:
    """A picture's vector is its mean colour in each quarter; a word's is that colour all over.

    Args:
        name: another name is another model: its vectors are turned round, and its fingerprint differs.
    """

    space = IMAGE_SPACE
    dim = 13

    def __init__(self, name: str = "colours") -> None:
        self.fingerprint = f"{name}-{self.dim}"
        self.state = ModelState("image embedder", name, "cpu", "fp32", "no model: mean colours", loaded=True)
        self.looked_at: list[bytes] = []

    def load(self) -> None:
        """Nothing to load."""

    def embed_images(self, pictures: Sequence[bytes]) -> NDArray[np.float32]:
        images = [decode(data).resize((2, 2), Image.Resampling.BOX) for data in pictures]
        self.looked_at += pictures
        return self._rows([np.asarray(image, np.float32).ravel() for image in images])

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._rows([np.tile(np.mean([*self._named(text)], axis=0), 4) for text in texts])

    def _named(self, text: str) -> list[tuple[int, int, int]]:
        return [colour for name, colour in COLOURS.items() if name in text.casefold()] or [(128, 128, 128)]

    def _rows(self, colours: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """The last number is small and the same for all: black has a direction too."""
        values = np.array([[*(row - 100.0), 10.0] for row in colours], np.float32).reshape(-1, self.dim)
        turned = values if self.fingerprint.startswith("colours") else values[:, ::-1]
        return np.ascontiguousarray(turned / np.linalg.norm(turned, axis=1, keepdims=True))


def picture(*colours: str, size: int = 48) -> bytes:
    """A PNG of stripes of these colours, from left to right."""
    image = Image.new("RGB", (size, size))
    width = size // len(colours)
    for number, colour in enumerate(colours):
        image.paste(COLOURS[colour], (number * width, 0, size, size))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def paint(path: Path, *colours: str) -> Path:
    """Write such a picture to `path`, or over what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_bytes(picture(*colours))
    return beside.replace(path)
