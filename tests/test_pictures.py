"""Decoding: every format and mode as it is looked at, within limits, and what is damaged as far as it goes."""

import io
import struct
import subprocess
import sys
import textwrap
import threading
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageFile
from PIL.Image import Transpose

from rag import pictures
from rag.errors import UnreadableFile

pillow_heif.register_heif_opener()  # for writing; what is tested opens its files itself
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow's, of what is broken

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
FORMATS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
}
HUGE = 50_000


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def corners() -> Image.Image:
    """64 x 32: red, green, blue and white, from the upper left corner round."""
    image = Image.new("RGB", (64, 32), RED)
    image.paste(GREEN, (32, 0, 64, 16))
    image.paste(BLUE, (32, 16, 64, 32))
    image.paste(WHITE, (0, 16, 32, 32))
    return image


def textured(width: int = 400, height: int = 300) -> Image.Image:
    small = np.random.default_rng(1).integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def seen_corners(image: Image.Image) -> list[tuple[int, ...]]:
    """The colours near the four corners, from the upper left one round, each channel rounded to 0 or 255."""
    width, height = image.size
    places = [(4, 4), (width - 5, 4), (width - 5, height - 5), (4, height - 5)]
    found = [image.getpixel(place) for place in places]
    return [tuple(255 * (value > 127) for value in colour) for colour in found]  # type: ignore[union-attr]


# --- formats and modes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_known_by_its_first_bytes_and_decoded(form: str) -> None:
    data = encoded(corners(), form)
    assert pictures.media_type(data[: pictures.HEAD]) == FORMATS[form]
    image = pictures.decode(data)
    assert (image.mode, image.size) == ("RGB", (64, 32))
    assert seen_corners(image) == [RED, GREEN, BLUE, WHITE]
    assert pictures.DAMAGED not in image.info


@pytest.mark.parametrize(
    "head", [b"", b"<html><svg></svg>", b"%PDF-1.7", b"RIFF\0\0\0\0WAVE", b"\0\0\0\x14ftypisom\0\0\0\0mp42", b"BMW is"]
)
def test_what_is_no_picture_is_not_taken_for_one(head: bytes) -> None:
    assert pictures.media_type(head) is None
    with pytest.raises(UnreadableFile, match=r"x\.jpg"):
        pictures.decode(head, path="x.jpg")


@pytest.mark.parametrize(
    "head",
    [
        b"<svg xmlns='x'>",
        b"\xef\xbb\xbf\n<?xml version='1.0'?>\n<!-- a -->\n<!-- b --><svg>",
        b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'x.dtd' [<!ENTITY a 'b'> ]>\n<svg:svg xmlns:svg='x'>",
    ],
)
def test_drawings_are_known_by_their_first_element(head: bytes) -> None:
    assert pictures.media_type(head) == "image/svg+xml"


@pytest.mark.parametrize("head", [b"<!---->" * 2300 + b"x", b"<!--" * 4000, b"<?xml " + b" " * 16_000])
def test_telling_the_kind_takes_linear_time(head: bytes) -> None:
    done = threading.Event()
    threading.Thread(target=lambda: (pictures.media_type(head), done.set()), daemon=True).start()
    assert done.wait(60)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_pictures_are_turned_upright(orientation: int, form: str) -> None:
    """What is stored is the picture turned away from upright, with the EXIF tag that says how to turn it back."""
    undo = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_90,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_270,
    }
    stored = corners().transpose(undo[orientation]) if orientation > 1 else corners()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = pictures.decode(encoded(stored, form, exif=exif.tobytes()))
    assert image.size == (64, 32)
    assert seen_corners(image) == [RED, GREEN, BLUE, WHITE]


def _half_transparent(mode: str) -> Image.Image:
    """Left half black, right half fully transparent black."""
    image = Image.new("RGBA", (20, 10), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (10, 0, 20, 10))
    return image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "form"), [("RGBA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF"), ("LA", "PNG"), ("RGBA", "GIF")]
)
def test_transparency_lies_over_white(mode: str, form: str) -> None:
    image = pictures.decode(encoded(_half_transparent(mode), form, **({"lossless": True} if form == "WEBP" else {})))
    assert (image.getpixel((2, 5)), image.getpixel((17, 5))) == (BLACK, WHITE)


@pytest.mark.parametrize(
    ("mode", "transparency"), [("P", 1), ("P", b"\xff\x00"), ("L", 0), ("RGB", (0, 0, 255)), ("1", 0)]
)
def test_a_transparent_colour_lies_over_white(mode: str, transparency: Any) -> None:
    image = Image.new("P", (20, 10), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (10, 0, 20, 10))  # right half: blue, black in grey and in black and white
    if mode in ("L", "1"):
        image.putpalette([255, 255, 255, 0, 0, 0])
    stored = image if mode == "P" else image.convert(mode)
    decoded = pictures.decode(encoded(stored, "PNG", transparency=transparency))
    assert decoded.getpixel((17, 5)) == WHITE
    assert decoded.getpixel((2, 5)) == (RED if mode in ("P", "RGB") else WHITE)


def test_half_transparency_mixes() -> None:
    image = pictures.decode(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 127)), "PNG"))
    assert image.getpixel((1, 1)) == (128, 128, 128)  # 255 - 127


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk(form: str) -> None:
    assert seen_corners(pictures.decode(encoded(corners().convert("CMYK"), form))) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_clipped(form: str) -> None:
    ramp = np.arange(256, dtype=np.uint16)[None].repeat(4, axis=0) * 257  # 0 .. 65535
    image = pictures.decode(encoded(Image.fromarray(ramp), form))
    assert np.array_equal(np.asarray(image)[0, :, 0], np.arange(256))


def test_twelve_bits_in_sixteen_fill_the_range() -> None:
    ramp = np.arange(0, 4096, 16, dtype=np.uint16)[None]
    image = pictures.decode(encoded(Image.fromarray(ramp), "TIFF"))
    assert np.array_equal(np.asarray(image)[0, :, 0], np.arange(256))


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ([0.0, 0.5, 1.0], [0, 127, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([-1.0, 0.0, 1.0], [0, 127, 255]),
        ([0.0, float("nan"), float("inf")], [0, 0, 255]),
        ([0.0, 500.0, 1000.0], [0, 127, 255]),
    ],
)
def test_fractions(values: list[float], seen: list[int]) -> None:
    image = pictures.decode(encoded(Image.fromarray(np.array([values], np.float32)), "TIFF"))
    assert np.asarray(image)[0, :, 0].tolist() == seen


def test_whole_numbers_below_zero() -> None:
    image = pictures.decode(encoded(Image.fromarray(np.array([[-1000, 0, 1000]], np.int32)), "TIFF"))
    assert np.asarray(image)[0, :, 0].tolist() == [0, 1000 >> 3, 2000 >> 3]  # 2000 has eleven bits


@pytest.mark.parametrize("form", ["PNG", "TIFF", "GIF"])
def test_black_and_white(form: str) -> None:
    image = Image.new("1", (20, 10), 1)
    image.paste(0, (0, 0, 10, 10))
    decoded = pictures.decode(encoded(image, form))
    assert (decoded.getpixel((2, 5)), decoded.getpixel((17, 5))) == (BLACK, WHITE)


@pytest.mark.parametrize("form", FORMATS)
def test_one_pixel(form: str) -> None:
    assert pictures.decode(encoded(Image.new("RGB", (1, 1), WHITE), form)).size == (1, 1)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_frames(form: str) -> None:
    first, second = Image.new("RGB", (40, 20), RED), Image.new("RGB", (40, 20), BLUE)
    data = encoded(first, form, save_all=True, append_images=[second])
    assert seen_corners(pictures.decode(data)) == [RED] * 4
    assert seen_corners(pictures.decode(data, frame=1)) == [BLUE] * 4
    with pytest.raises(UnreadableFile, match="no frame 3"):
        pictures.decode(data, frame=2)


# --- limits ------------------------------------------------------------------------------------------------------


def _png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    written = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def _gif(width: int, height: int) -> bytes:
    screen = struct.pack("<HH", width, height)
    return b"GIF89a" + screen + b"\x80\0\0" + bytes(6) + b"," + bytes(4) + screen + b"\0\x02\x02\x44\x01\0;"


def _tiff(width: int, height: int) -> bytes:
    small = bytearray(encoded(Image.new("RGB", (7, 9)), "TIFF", compression="tiff_lzw"))
    for old, new in ((7, width), (9, height)):  # tags 256 and 257: width and height, as LONG or SHORT
        tag = 256 if old == 7 else 257
        for kind, form in ((4, "<HHII"), (3, "<HHIHxx")):
            before = struct.pack(form, tag, kind, 1, old)
            at = small.find(before[:8])
            if at >= 0:
                small[at : at + 12] = struct.pack("<HHII", tag, 4, 1, new)
    return bytes(small)


def _webp(width: int, height: int) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = encoded(Image.new("RGB", (8, 8)), "WEBP")[12:]
    chunk = b"VP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + canvas + body
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


def _bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def _jpeg(width: int, height: int) -> bytes:
    small = encoded(Image.new("RGB", (16, 16)), "JPEG")
    at = small.index(b"\xff\xc0") + 5
    return small[:at] + struct.pack(">HH", height, width) + small[at + 4 :]


def _heif(width: int, height: int) -> bytes:
    small = encoded(Image.new("RGB", (64, 64)), "HEIF")
    at = small.index(b"ispe") + 8
    return small[:at] + struct.pack(">II", width, height) + small[at + 8 :]


BOMBS = {"png": _png, "gif": _gif, "tiff": _tiff, "webp": _webp, "bmp": _bmp, "jpeg": _jpeg, "heif": _heif}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process's memory")
@pytest.mark.parametrize("kind", BOMBS)
def test_a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded(kind: str) -> None:
    peak = _peak_megabytes(
        """
        from rag import pictures
        from rag.errors import UnreadableFile
        try:
            pictures.decode(data, path="bomb")
        except UnreadableFile as exc:
            print(exc.reason, file=sys.stderr)
            assert "50,000 x 50,000 pixels, more than the 120 million" in exc.reason, exc.reason
            assert "RAG_MAX_MEGAPIXELS" in exc.reason
        else:
            raise SystemExit("it was decoded")
    """,
        BOMBS[kind](HUGE, HUGE),
    )
    assert peak < 150


def test_the_limit_is_a_setting() -> None:
    data = encoded(Image.new("RGB", (1100, 1000)), "PNG")
    assert pictures.decode(data, max_megapixels=2).size == (1100, 1000)
    with pytest.raises(UnreadableFile, match="1,100 x 1,000 pixels, more than the 1 million"):
        pictures.decode(data, max_megapixels=1)


def test_a_large_jpeg_is_decoded_at_half_size() -> None:
    image = textured(2000, 1800)
    assert pictures.decode(encoded(image, "JPEG"), max_megapixels=1).size == (1000, 900)
    with pytest.raises(UnreadableFile, match="2,000 x 1,800"):
        pictures.decode(encoded(image, "JPEG", progressive=True), max_megapixels=1)
    with pytest.raises(UnreadableFile, match="2,100 x 2,000"):
        pictures.decode(encoded(textured(2100, 2000), "JPEG"), max_megapixels=1)


def test_a_later_frame_is_measured_too() -> None:
    data = encoded(Image.new("RGB", (10, 10)), "TIFF", save_all=True, append_images=[Image.new("RGB", (1100, 1000))])
    assert pictures.decode(data, max_megapixels=1).size == (10, 10)
    with pytest.raises(UnreadableFile, match="1,100 x 1,000"):
        pictures.decode(data, max_megapixels=1, frame=1)


def test_pillows_switches_are_left_alone() -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    data = encoded(textured(), "JPEG")
    pictures.decode(data[: len(data) // 2])
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


BYTES_PER_PIXEL = 18  # what `decode` says that it takes
PYTHON = 80  # megabytes of the interpreter with Pillow and NumPy


def _rgba(size: tuple[int, int]) -> Image.Image:
    image = textured(400, 300).resize(size)
    image.putalpha(Image.linear_gradient("L").resize(size))
    return image


WORST: dict[str, Callable[[tuple[int, int]], bytes]] = {
    "progressive jpeg": lambda size: encoded(
        textured().resize(size), "JPEG", progressive=True, subsampling=0, quality=50
    ),
    "rgba png": lambda size: encoded(_rgba(size), "PNG", compress_level=1),
    "rgba webp": lambda size: encoded(_rgba(size), "WEBP", quality=10, method=0),
    "16 bit png": lambda size: encoded(Image.new("I;16", size, 30_000), "PNG", compress_level=1),
    "float tiff": lambda size: encoded(Image.new("F", size, 0.5), "TIFF", compression="tiff_lzw"),
    "cmyk tiff": lambda size: encoded(Image.new("CMYK", size, (9, 9, 9, 9)), "TIFF", compression="tiff_lzw"),
    "heic": lambda size: encoded(textured().resize(size), "HEIF", quality=10),
    "avif": lambda size: encoded(textured().resize(size), "AVIF", quality=10, speed=10),
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process's memory")
@pytest.mark.parametrize("kind", WORST)
def test_memory_stays_below_the_stated_bytes_per_pixel(kind: str) -> None:
    width, height = (1500, 1000) if kind == "heic" else (4000, 3000)  # HEIC takes long to write
    data = WORST[kind]((width, height))
    peak = _peak_megabytes(
        f"""
        from rag import pictures
        from PIL import Image
        assert pictures.decode(data, max_megapixels=24).size == ({width}, {height})
    """,
        data,
    )
    assert peak < PYTHON + (3 * len(data) + BYTES_PER_PIXEL * width * height) / 1e6


def _peak_megabytes(code: str, data: bytes) -> float:
    """The most memory that a Python had that ran `code` with `data`; it may not claim more than 8 GiB."""
    start = """
        import re, resource, sys
        from pathlib import Path
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        data = sys.stdin.buffer.read()
        def peak():
            return re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
    """
    program = textwrap.dedent(start) + textwrap.dedent(code) + "\nprint(peak())"
    done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return int(done.stdout) * 1024 / 1e6


# --- damage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "TIFF", "BMP"])
def test_half_a_picture_is_given_with_a_warning(form: str) -> None:
    data = encoded(textured(), form, **({"interlace": 0} if form == "GIF" else {}))
    whole, image = pictures.decode(data), pictures.decode(data[: len(data) // 2])
    assert "only part of the picture" in image.info[pictures.DAMAGED]
    same = np.asarray(image) == np.asarray(whole)
    first_third = same[-100:] if form == "BMP" else same[:100]  # BMP begins at the bottom
    assert first_third.mean() > 0.99


@pytest.mark.parametrize("form", ["WEBP", "AVIF", "HEIF"])
def test_half_a_picture_of_other_kinds_is_refused(form: str) -> None:
    data = encoded(textured(), form)
    with pytest.raises(UnreadableFile, match="damaged or cut off"):
        pictures.decode(data[: len(data) // 2])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kept", [0, 1, 12, 40])
def test_a_beginning_is_refused(form: str, kept: int) -> None:
    with pytest.raises(UnreadableFile):
        pictures.decode(encoded(textured(), form)[:kept])


def test_a_header_alone_is_refused_as_nothing_can_be_seen() -> None:
    data = encoded(textured(), "JPEG")
    with pytest.raises(UnreadableFile, match="nothing of the picture can be read"):
        pictures.decode(data[: data.index(b"\xff\xda") + 20])


def test_broken_exif_does_not_matter() -> None:
    data = encoded(corners(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(range(200)))
    assert seen_corners(pictures.decode(data)) == [RED, GREEN, BLUE, WHITE]


def test_threads_decode_side_by_side() -> None:
    whole, half = encoded(textured(), "PNG"), encoded(textured(), "JPEG")[:9000]
    expected = np.asarray(pictures.decode(whole))
    wrong: list[str] = []

    def work() -> None:
        for _ in range(10):
            if not np.array_equal(np.asarray(pictures.decode(whole)), expected):
                wrong.append("whole")
            if pictures.DAMAGED not in pictures.decode(half).info:
                wrong.append("half")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- encoding ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "longest", "encoded_size"),
    [((1000, 500), 512, (512, 256)), ((100, 50), 512, (100, 50)), ((5000, 2), 512, (512, 1)), ((1, 1), 512, (1, 1))],
)
def test_encoding_reduces_and_never_enlarges(
    size: tuple[int, int], longest: int, encoded_size: tuple[int, int]
) -> None:
    data = pictures.encode(Image.new("RGB", size, RED), longest)
    assert pictures.media_type(data) == "image/webp"
    assert Image.open(io.BytesIO(data)).size == encoded_size


def test_nothing_but_the_picture_is_encoded() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    image = pictures.decode(encoded(textured(), "JPEG", exif=exif, xmp=b"<x>a secret place</x>"))
    assert b"secret" not in pictures.encode(image, 512)
    assert b"secret" not in pictures.encode(image, 64)


def test_colours_of_another_space_are_not_carried_on() -> None:
    image = pictures.decode(encoded(corners().convert("CMYK"), "TIFF", icc_profile=b"of CMYK"))
    assert b"of CMYK" not in pictures.encode(image, 512)


def test_the_digest_is_that_of_the_bytes() -> None:
    assert pictures.digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
