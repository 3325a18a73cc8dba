"""Encoded pictures to pixels and back, within limits: one decoder for readers, embedders and the screen."""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_MEGAPIXELS = 120  # what is decoded unless the settings say otherwise: 360 MB as RGB
PREVIEW_SIDE = 512  # pixels of the longest side of a thumbnail
VIEW_SIDE = 2560  # pixels of the longest side of what the screen shows in full


def digest(data: bytes) -> str:
    """The sha256 of an encoded picture in hex: the name of its previews, and of its equals."""
    return hashlib.sha256(data).hexdigest()


def decode(data: bytes, *, path: str = "picture", max_megapixels: int = MAX_MEGAPIXELS, frame: int = 0) -> "Image":
    """The picture in `data` as it is looked at: frame `frame` (from 0), upright by EXIF, in 8-bit RGB.

    Transparency is laid over white. Reads JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF, HEIC and, drawn, SVG.

    Raises:
        UnreadableFile: it is no picture, is damaged, or is larger than `max_megapixels`; `path` names it.
    """
    raise NotImplementedError


def encode(image: "Image", longest: int, quality: int = 80) -> bytes:
    """`image` as WebP, reduced so that its longest side has at most `longest` pixels; never enlarged."""
    raise NotImplementedError
