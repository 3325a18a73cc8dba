"""Picture files as documents."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from rag import pictures
from rag.errors import UnreadableFile
from rag.ingest import clock
from rag.ingest.media import sniff
from rag.ingest.ocr import OcrText
from rag.ingest.read_image import ImageReader
from rag.records import Box, Document, OcrLine, Page, Source

MODIFIED = datetime(2024, 5, 6, tzinfo=UTC)


class FakeOcr:
    """Reads the width of a picture, as a word in its upper half."""

    def read(self, image: Image.Image) -> OcrText:
        if image.width == 1:
            return OcrText()
        text = f"w{image.width}"
        return OcrText(text, (OcrLine(0, len(text), Box(0, 0, 1, 0.5), 0.9),))


def reader(ocr: bool = True, location: bool = True, max_megapixels: int = 120) -> ImageReader:
    return ImageReader(FakeOcr() if ocr else None, location, max_megapixels)  # type: ignore[arg-type]


def source(data: bytes, path: str = "/photos/IMG_2041.jpg", around: str = "") -> Source:
    return Source(path, "image/jpeg", data, MODIFIED, around=around)


def picture(*sizes: tuple[int, int], form: str = "PNG", **options: Any) -> bytes:
    """A frame of each size; red, green, blue in turn."""
    frames = [Image.new("RGB", size, colour) for size, colour in zip(sizes, ["red", "lime", "blue"] * 9, strict=False)]
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": frames[1:]} if len(frames) > 1 else {}
    frames[0].save(buffer, form, **more, **options)
    return buffer.getvalue()


def fields(document: Document) -> dict[str, str]:
    return dict(document.fields)


def test_a_photo() -> None:
    exif = Image.Exif()
    exif.update({0x010E: "The old pier", 0x0110: "X100V", 0x0112: 6, 0x9C9E: "sea;Leith".encode("utf-16-le")})
    exif.get_ifd(0x8769)[0x9003] = "2023:07:14 18:05:09"
    exif.get_ifd(0x8825).update({1: "N", 2: (55.5, 0.0, 0.0), 3: "W", 4: (3.25, 0.0, 0.0)})
    data = picture((800, 600), form="JPEG", exif=exif)
    document = reader().read(source(data, around="See the pier!"))
    assert (document.kind, document.media_type, document.text) == ("image", "image/jpeg", "w600")
    assert (document.title, document.tags) == ("The old pier", ("sea", "Leith"))
    assert document.date == datetime(2023, 7, 14, 18, 5, 9, tzinfo=UTC)
    assert document.fields == (("Camera", "X100V"), ("Place", "55.5000, -3.2500"), ("Size", "600 x 800"))
    assert (document.pages, document.warnings) == ((), ())
    (found,) = document.pictures
    assert (found.number, found.digest) == (1, document.sha256)
    assert (found.width, found.height) == (600, 800)  # upright
    assert (found.start, found.end, found.at, found.page, found.box) == (0, 4, 0, None, None)
    assert (found.caption, found.around, found.path) == ("The old pier", "See the pier!", "")
    assert found.lines == (OcrLine(0, 4, Box(0, 0, 1, 0.5), 0.9),)
    assert pictures.media_type(found.preview) == "image/webp"
    assert Image.open(io.BytesIO(found.preview)).size == (384, 512)


def test_the_place_can_be_left_out() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (55.5, 0.0, 0.0), 3: "W", 4: (3.25, 0.0, 0.0)})
    data = picture((8, 8), form="JPEG", exif=exif)
    assert "Place" in fields(reader().read(source(data)))
    document = reader(location=False).read(source(data))
    assert "Place" not in fields(document)
    assert b"Exif" not in document.pictures[0].preview


def test_without_ocr_the_rest_is_the_same() -> None:
    data = picture((80, 60))
    document = reader(ocr=False).read(source(data))
    (found,) = document.pictures
    assert (document.text, found.start, found.end, found.lines) == ("", 0, 0, ())
    assert (found.width, found.digest, bool(found.preview)) == (80, document.sha256, True)
    assert fields(document) == {"Size": "80 x 60"}


def test_a_file_without_a_caption_is_named_after_its_name_and_dated_by_its_file() -> None:
    document = reader().read(source(picture((8, 8))))
    assert (document.title, document.date) == ("IMG_2041", MODIFIED)


def test_the_frames_of_a_tiff_are_pages() -> None:
    document = reader().read(source(picture((30, 20), (1, 20), (10, 20), form="TIFF")))
    assert document.text == "w30\n\nw10"
    assert document.pages == (Page(1, 0, 3), Page(2, 3, 3), Page(3, 5, 8))
    assert [(each.number, each.page, each.width, each.start, each.end) for each in document.pictures] == [
        (1, 1, 30, 0, 3), (2, 2, 1, 3, 3), (3, 3, 10, 5, 8)
    ]  # fmt: skip
    sha = document.sha256
    assert [each.digest for each in document.pictures] == [sha, f"{sha}#2", f"{sha}#3"]
    assert [(line.start, line.end) for line in document.pictures[2].lines] == [(5, 8)]
    assert fields(document) == {"Size": "30 x 20", "Frames": "3"}


def test_the_pages_of_a_tiff_stop_before_smaller_copies() -> None:
    buffer = io.BytesIO()
    small = Image.new("RGB", (3, 2))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    Image.new("RGB", (30, 20)).save(buffer, "TIFF", save_all=True, append_images=[small])
    document = reader().read(source(buffer.getvalue()))
    assert (len(document.pictures), document.pages, fields(document)) == (1, (), {"Size": "30 x 20"})


def test_a_page_that_is_too_large_is_left_out_and_told() -> None:
    document = reader(max_megapixels=1).read(source(picture((30, 20), (1100, 1000), (10, 20), form="TIFF")))
    assert [each.number for each in document.pictures] == [1, 3]
    assert [page.number for page in document.pages] == [1, 2, 3]
    assert document.text == "w30\n\nw10"
    (warning,) = document.warnings
    assert "page 2 was left out: it has 1,100 x 1,000 pixels" in warning


def test_pages_for_which_no_time_is_left_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: Iterator[float] = iter(range(100))
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    with clock.limited_to(3):  # the clock goes on by one whenever it is looked at
        document = reader().read(source(picture((30, 20), (20, 20), (10, 20), form="TIFF")))
    assert len(document.pictures) < 3
    assert "were not read: there was no time left" in document.warnings[0]
    assert fields(document)["Frames"] == "3"


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "AVIF"])
def test_of_an_animation_the_first_frame_is_taken(form: str) -> None:
    document = reader().read(source(picture((30, 20), (30, 20), (30, 20), form=form)))
    assert (document.text, document.pages, len(document.pictures)) == ("w30", (), 1)
    assert fields(document) == {"Size": "30 x 20", "Frames": "3"}


def test_a_drawing() -> None:
    data = b"""<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><title>Plan</title>
        <desc>Where the beds are</desc><rect width="9" height="9" fill="red"/></svg>"""
    document = reader().read(Source("/a.svg", "image/svg+xml", data))
    assert (document.title, document.pictures[0].caption, document.fields) == ("Plan", "Where the beds are", ())
    assert (document.pictures[0].width, document.pictures[0].height) == (1600, 800)
    assert document.pictures[0].digest == document.sha256


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_a_wrong_ending_does_not_matter(form: str) -> None:
    assert reader().read(source(picture((30, 20), form=form), "/a.jpg")).text == "w30"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"<!doctype html><html><body>hello", "its content is text/html"),
        (b"%PDF-1.7 ...", "its content is application/pdf"),
        (b"hello there", "it is no picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "damaged or cut off"),
    ],
)
def test_what_is_no_picture_is_reported(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason) as failed:
        reader().read(source(data, "/photos/a.jpg"))
    assert failed.value.path == "/photos/a.jpg"


def test_half_a_picture_is_taken_with_a_warning() -> None:
    data = picture((300, 200), form="BMP")
    document = reader().read(source(data[: len(data) // 2]))
    assert document.text == "w300"
    assert "only part of the picture could be read" in document.warnings[0]


def test_a_bomb_is_reported() -> None:
    with pytest.raises(UnreadableFile, match="1,100 x 1,000 pixels"):
        reader(max_megapixels=1).read(source(picture((1100, 1000))))


def test_pictures_are_known_without_an_ending() -> None:
    assert sniff(picture((2, 2)), "photo") == "image/png"
    assert sniff(b"<svg xmlns='x'>", "drawing") == "image/svg+xml"
