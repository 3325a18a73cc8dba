"""Encoded pictures to pixels and back, within limits: one decoder for readers, embedders and the screen.

Pillow decodes them, with pillow-heif for HEIC; an SVG is drawn first. Each decoder is opened by the first bytes of the
file, past `PIL.Image.open`, whose limit of pixels is global: nothing here reads or sets a global switch of Pillow's, so
any number of threads may decode at once.
"""

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rag.errors import UnreadableFile
from rag.svg import draw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

# Pillow is imported where it is used: most of what imports this file only wants its constants.
warnings.filterwarnings("ignore", module=r"PIL\.")  # it tells standard error of every oddity in a file

MAX_MEGAPIXELS = 120  # what is decoded unless the settings say otherwise: 360 MB as RGB
PREVIEW_SIDE = 512  # pixels of the longest side of a thumbnail
VIEW_SIDE = 2560  # pixels of the longest side of what the screen shows in full
HEAD = 16_384  # bytes that `media_type` wants to see: comments may stand before an SVG

DAMAGED = "damaged"
"""The key in `Image.info` under which `decode` says what is wrong with a picture that it could read in part."""

_HALF_SIZE = 4  # a plain JPEG may have so many times the pixels allowed: it can be decoded at half its width and height
_BAND = 1_000_000  # pixels that are converted at a time
_INSIDE_SVG = 16  # megapixels of each picture that an SVG brings along
_ORIENTATION = 0x0112  # EXIF tag
_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes of the header behind the file header, which tell its version
_SVG_START = re.compile(  # possessive throughout: it looks at each byte once, whatever stands there
    rb"(?:\xef\xbb\xbf)?\s*+(?:<\?xml[^>]*+>\s*+)?(?:(?><!--.*?-->)\s*+)*+"
    rb"(?:<!DOCTYPE\s++svg\b[^\[>]*+(?:\[(?>.*?\]\s*+>)|>)\s*+)?(?:(?><!--.*?-->)\s*+)*+<(?:\w++:)?svg[\s>]",
    re.IGNORECASE | re.DOTALL,
)


def digest(data: bytes) -> str:
    """The sha256 of an encoded picture in hex: the name of its previews, and of its equals."""
    return hashlib.sha256(data).hexdigest()


def media_type(head: bytes) -> str | None:
    """What kind of picture begins with the bytes `head` (HEAD are enough), None where `decode` reads none such."""
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
    return "image/svg+xml" if _SVG_START.match(head) else None


def _heif_type(head: bytes) -> str | None:
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[at : at + 4] for at in (8, *range(16, end, 4))}
    if brands & {b"avif", b"avis"}:
        return "image/avif"
    return "image/heic" if brands & _HEIC_BRANDS else None


def open_header(data: bytes, *, path: str = "picture", max_megapixels: int = MAX_MEGAPIXELS) -> "ImageFile":
    """The picture in `data` with its size, frames and facts, as it is written: no pixel is decoded, nothing is turned.

    An SVG is drawn, though.

    Raises:
        UnreadableFile: as `decode`.
    """
    if not data:
        raise UnreadableFile(path, "it is empty")
    kind = media_type(data[:HEAD])
    if kind is None:
        raise UnreadableFile(path, "it is no picture, or one of a kind that is not read, whatever its name says")
    if kind == "image/svg+xml":
        kind, data = "image/png", draw(data, path, _is_small)
    if kind == "image/webp":
        _check_webp(data, path, max_megapixels)
    try:
        image = _opener(kind)(io.BytesIO(data))
    except Exception as exc:  # decoders fail on damaged headers in more ways than they document
        raise UnreadableFile(path, f"the picture is damaged or cut off at its beginning: {_reason(exc)}") from exc
    _check_size(image, path, max_megapixels)
    return image


def decode(data: bytes, *, path: str = "picture", max_megapixels: int = MAX_MEGAPIXELS, frame: int = 0) -> "Image":
    """The picture in `data` as it is looked at: frame `frame` (from 0), upright by EXIF, in 8-bit RGB.

    Transparency is laid over white. Reads JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF, HEIC and, drawn, SVG. What it claims
    to be is checked against `max_megapixels` before a pixel is decoded. A JPEG beyond them, but not beyond four times
    as many, is decoded at half its width and height unless it is progressive, which would take the whole memory. At
    most 18 bytes of memory are taken for each pixel, beside the file itself and what libraries take. Of a file that
    is cut off or damaged the part that can be read is given, and `info[DAMAGED]` says so.

    Raises:
        UnreadableFile: it is no picture, nothing of it can be read, or it is too large; `path` names it.
    """
    image = open_header(data, path=path, max_megapixels=max_megapixels)
    try:
        return _decode(image, path, max_megapixels, frame)
    except MemoryError as exc:
        raise UnreadableFile(path, "it does not fit in memory") from exc


def _decode(image: "ImageFile", path: str, max_megapixels: int, frame: int) -> "Image":
    if frame:
        _seek(image, frame, path)
        _check_size(image, path, max_megapixels)
    damage = _load(image, path)
    picture = _upright(_as_rgb(image))
    if damage:
        if picture.getcolors(1):  # one colour all over
            raise UnreadableFile(path, f"nothing of the picture can be read: {damage}")
        picture.info[DAMAGED] = f"it is damaged or cut off, and only part of the picture could be read: {damage}"
    return picture


def encode(image: "Image", longest: int, quality: int = 80) -> bytes:
    """`image` as WebP, reduced so that its longest side has at most `longest` (<= 16,383) pixels; never enlarged.

    Nothing but the picture is written: no EXIF, no place.
    """
    from PIL.Image import Resampling

    scale = longest / max(image.size)
    if scale < 1:
        size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        image = image.resize(size, Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


# --- opening -----------------------------------------------------------------------------------------------------


def _opener(kind: str) -> "Callable[[io.BytesIO], ImageFile]":
    from PIL import AvifImagePlugin, BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin
    from PIL import WebPImagePlugin as WebP

    if kind == "image/heic":
        from pillow_heif import HeifImageFile

        return HeifImageFile
    return {
        "image/jpeg": JpegImagePlugin.JpegImageFile,
        "image/png": PngImagePlugin.PngImageFile,
        "image/gif": GifImagePlugin.GifImageFile,
        "image/tiff": TiffImagePlugin.TiffImageFile,
        "image/webp": WebP.WebPImageFile,
        "image/bmp": BmpImagePlugin.BmpImageFile,
        "image/avif": AvifImagePlugin.AvifImageFile,
    }[kind]


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _check_webp(data: bytes, path: str, max_megapixels: int) -> None:
    """libwebp claims memory for the canvas as it opens; only the extended form can have a large one."""
    if data[12:16] == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        _check_pixels(width, height, path, max_megapixels)


def _check_size(image: "ImageFile", path: str, max_megapixels: int) -> None:
    width, height = image.size
    limit = max_megapixels * 1_000_000
    if image.format == "JPEG" and limit < width * height <= limit * _HALF_SIZE and "progressive" not in image.info:
        image.draft(image.mode, (width // 2, height // 2))
    else:
        _check_pixels(width, height, path, max_megapixels)


def _check_pixels(width: int, height: int, path: str, max_megapixels: int) -> None:
    if width * height > max_megapixels * 1_000_000:
        found = f"it has {width:,} x {height:,} pixels, more than the {max_megapixels} million that are decoded"
        raise UnreadableFile(path, f"{found}; set RAG_MAX_MEGAPIXELS higher to read it")


def _is_small(data: bytes) -> bool:
    """Whether it is a picture that may be drawn inside an SVG."""
    try:
        return not _SVG_START.match(data) and bool(open_header(data, max_megapixels=_INSIDE_SVG))
    except UnreadableFile:
        return False


# --- decoding ----------------------------------------------------------------------------------------------------


def _seek(image: "ImageFile", frame: int, path: str) -> None:
    try:
        image.seek(frame)
    except Exception as exc:  # damaged frames fail in more ways than are documented
        raise UnreadableFile(path, f"there is no frame {frame + 1} in it") from exc


def _load(image: "ImageFile", path: str) -> str:
    """Decode the pixels. What went wrong on the way is returned, "" if nothing.

    Raises:
        UnreadableFile: nothing was decoded.
    """
    try:
        image.load()
    except Exception as exc:  # decoders fail on damaged data in more ways than they document
        damage = _reason(exc)
        if not _keep_what_is_there(image):
            raise UnreadableFile(path, f"the picture is damaged or cut off: {damage}") from exc
        return damage
    return ""


def _keep_what_is_there(image: "ImageFile") -> bool:
    """Whether some pixels were decoded before it failed. If so they stand: nothing more is to be decoded."""
    if not image.tile:
        return False
    image.tile = []
    try:
        image.load()
    except OSError:
        return False
    return True


def _as_rgb(image: "Image") -> "Image":
    from PIL import Image

    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        import numpy as np

        image = Image.fromarray(_eight_bits(np.asarray(image)))
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    facts = {key: value for key, value in image.info.items() if key != "icc_profile"}  # that one is of other colours
    flat = _over_white(image) if image.has_transparency_data else image.convert("RGB")
    flat.info = facts
    return flat


def _over_white(image: "Image") -> "Image":
    from PIL import Image

    flat = Image.new("RGB", image.size, "white")
    for top, bottom in _bands(*image.size):  # a copy of the whole in every form would take three times the memory
        band = image.crop((0, top, image.width, bottom)).convert("RGBA")
        flat.paste(band, (0, top), mask=band)
    return flat


def _bands(width: int, height: int) -> Iterator[tuple[int, int]]:
    rows = max(_BAND // width, 1)
    yield from ((top, min(top + rows, height)) for top in range(0, height, rows))


def _eight_bits(values: "NDArray[Any]") -> "NDArray[np.uint8]":
    """Grey values of 10, 12, 16 or 32 bits, or fractions, as uint8: scaled, where Pillow would clip them."""
    import numpy as np

    bands = [slice(*band) for band in _bands(values.shape[1], values.shape[0])]
    extents = [_extent(values[band]) for band in bands]
    low, high = min(0, *(each[0] for each in extents)), max(0, *(each[1] for each in extents))
    scaled = np.empty(values.shape, np.uint8)
    if values.dtype.kind == "f":
        high = 1.0 if high <= 1 else max(high, 255.0)
        for band in bands:
            scaled[band] = (np.nan_to_num(values[band], posinf=high, neginf=low) - low) * (255 / (high - low))
    else:
        shift = max(int(high - low).bit_length() - 8, 0)  # cameras and microscopes write 10 or 12 bits into 16
        for band in bands:
            scaled[band] = (values[band].astype(np.int64) - int(low)) >> shift
    return scaled


def _extent(values: "NDArray[Any]") -> tuple[float, float]:
    import numpy as np

    finite = values[np.isfinite(values)]
    return float(finite.min(initial=0)), float(finite.max(initial=0))


def _upright(image: "Image") -> "Image":
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    try:
        turn = turns.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 broken EXIF fails in more ways than are documented, and the picture stands
        turn = None
    return image if turn is None else image.transpose(turn)
