"""Encoded pictures to pixels and back, within limits: one decoder for readers, embedders and the screen.

Pillow decodes all formats but two: HEIC comes from pillow-heif, and SVG is drawn by resvg in a process of its own.
Nothing here changes Pillow's global switches, so that pictures may be decoded by many threads at once.
"""

import hashlib
import io
import re
from typing import TYPE_CHECKING

from rag.errors import UnreadableFile

if TYPE_CHECKING:
    from PIL.Image import Image

# Pillow is imported where it is used: most of what imports this file only wants its constants.

MAX_MEGAPIXELS = 120  # what is decoded unless the settings say otherwise: 360 MB as RGB
PREVIEW_SIDE = 512  # pixels of the longest side of a thumbnail
VIEW_SIDE = 2560  # pixels of the longest side of what the screen shows in full

DAMAGED = "damaged"
"""Key of `Image.info` under which `decode` says what is wrong with a picture that it could read only in part."""

_HEAD = 1024  # bytes in which an SVG must begin
_ORIENTATION = 0x0112  # EXIF tag
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1")
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes of the header behind the file header, which tell its version
_SVG_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*(?:<!DOCTYPE\s+svg[^>\[]*(?:\[.*?\]\s*)?>\s*)?"
    rb"(?:<!--.*?-->\s*)*<(?:\w+:)?svg[\s>]",
    re.I | re.S,
)


def digest(data: bytes) -> str:
    """The sha256 of an encoded picture in hex: the name of its previews, and of its equals."""
    return hashlib.sha256(data).hexdigest()


def media_type(head: bytes) -> str | None:
    """What kind of picture begins with the bytes `head` (1,024 are enough), None where `decode` reads none such."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "image/tiff"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    if head[4:8] == b"ftyp":
        return _heif_type(head)
    return "image/svg+xml" if _SVG_START.match(head[:_HEAD]) else None


def _heif_type(head: bytes) -> str | None:
    brands = {head[at : at + 4] for at in (8, *range(16, int.from_bytes(head[:4], "big"), 4))}
    if brands & {b"avif", b"avis"}:
        return "image/avif"
    return "image/heic" if brands & set(_HEIC_BRANDS) else None


def decode(data: bytes, *, path: str = "picture", max_megapixels: int = MAX_MEGAPIXELS, frame: int = 0) -> "Image":
    """The picture in `data` as it is looked at: frame `frame` (from 0), upright by EXIF, in 8-bit RGB.

    Transparency is laid over white. Reads JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF, HEIC and, drawn, SVG.

    Raises:
        UnreadableFile: it is no picture, is damaged, or is larger than `max_megapixels`; `path` names it.
    """
    import io

    import pillow_heif
    from PIL import Image, ImageOps

    pillow_heif.register_heif_opener()
    if media_type(data) == "image/svg+xml":
        import resvg_py

        data = resvg_py.svg_to_bytes(svg_string=data.decode("utf-8"), width=1600)
    try:
        image = Image.open(io.BytesIO(data))
        image.seek(frame)
        image = ImageOps.exif_transpose(image)
    except (OSError, EOFError) as exc:
        raise UnreadableFile(path, f"it is no picture, or is damaged: {exc}") from exc
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image.convert("RGB")


def encode(image: "Image", longest: int, quality: int = 80) -> bytes:
    """`image` as WebP, reduced so that its longest side has at most `longest` pixels; never enlarged."""
    from PIL.Image import Resampling

    scale = longest / max(image.size)
    if scale < 1:
        size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        image = image.resize(size, Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()
