"""What every Reader promises, whatever the bytes."""

import base64
import io
import random
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pillow_heif
import pytest
from PIL import Image, ImageDraw, ImageFont

from rag.errors import UnreadableFile
from rag.ingest.chunk import chunk
from rag.ingest.media import IMAGES
from rag.ingest.options import STRUCTURE, ReadOptions
from rag.ingest.readers import build_readers
from rag.protocols import Reader
from rag.records import Document, Source
from tests.ingest.files import PROSE, mail, pdf, pdf_with

MODIFIED = datetime(2024, 5, 6, tzinfo=UTC)
SVG = "image/svg+xml"
pillow_heif.register_heif_opener()  # for writing
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow's, of what is broken


def _mail() -> bytes:
    message = mail("Dear Bo,\n\n" + PROSE, html=f"<p>{PROSE}</p>", Date="Tue, 16 Sep 2025 20:41:07 +0100")
    message.add_attachment("# Plan", filename="plan.md")
    message.add_attachment(mail("inner"))
    return message.as_bytes()


def _picture(form: str, **options: Any) -> bytes:
    """PROSE in letters of 20 pixels."""
    image = Image.new("RGB", (640, 220), "white")
    text = "\n".join(textwrap.wrap(PROSE, 55))
    ImageDraw.Draw(image).multiline_text((20, 20), text, fill="black", font=ImageFont.load_default(20), spacing=10)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _drawing() -> bytes:
    inside = base64.b64encode(_picture("PNG")).decode()
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="220"><title>Tea</title>'
        f'<image width="640" height="220" href="data:image/png;base64,{inside}"/></svg>'
    ).encode()


def _exif() -> bytes:
    exif = Image.Exif()
    exif.update({0x010E: "Tea", 0x0110: "X100V", 0x0112: 1})
    exif.get_ifd(0x8769)[0x9003] = "2023:07:14 18:05:09"
    exif.get_ifd(0x8825).update({1: "N", 2: (55.5, 0.0, 0.0), 3: "W", 4: (3.25, 0.0, 0.0)})
    return exif.tobytes()


SAMPLES = {
    "text/markdown": (
        "---\ntitle: Tea\ntags: [a, b]\ndate: 2025-03-04\n---\n# Tea ☕\n\n" + PROSE
        + "\n\n## More\n\n- [a](b) [[c|d]] #tag\n\n```\n# x\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    ).encode(),
    "text/plain": ("Dear Anna,\n\n" + PROSE + "naïve 東京 😀\n").encode(),
    "text/html": (
        f"<!DOCTYPE html><html><head><meta charset=utf-8><title>Tea</title></head><body><nav><a href=/>x</a></nav>"
        f"<article><h1>Tea ☕</h1><p>{PROSE * 3}</p><h2>More</h2><ul><li>one</li></ul><p>{PROSE}</p></article>"
        "</body></html>"
    ).encode(),
    "application/pdf": pdf_with(
        pdf([[("Title", "Tea"), ("BodyText", PROSE * 3)], [("Heading2", "More"), ("BodyText", PROSE)]]), a_dot_md=b"# x"
    ),
    "message/rfc822": _mail(),
    "image/jpeg": _picture("JPEG", exif=_exif(), quality=90),
    "image/png": _picture("PNG", exif=_exif()),
    "image/webp": _picture("WEBP", exif=_exif()),
    "image/gif": _picture("GIF"),
    "image/tiff": _picture("TIFF", compression="tiff_lzw"),
    "image/bmp": _picture("BMP"),
    "image/avif": _picture("AVIF", exif=_exif()),
    "image/heic": _picture("HEIF", exif=_exif()),
    SVG: _drawing(),
}  # fmt: skip


def cases(options: ReadOptions) -> list[Any]:
    return [
        pytest.param(reader, kind, id=kind)
        for reader in build_readers(options)
        for kind in sorted(reader.media_types & set(SAMPLES))
    ]


readers = pytest.mark.parametrize(("reader", "media_type"), cases(STRUCTURE))
"""Most of what is promised has nothing to do with reading pixels, which takes long."""

seeing_readers = pytest.mark.parametrize(("reader", "media_type"), cases(ReadOptions()))


def test_every_kind_of_picture_has_a_sample() -> None:
    assert set(IMAGES) <= set(SAMPLES)


def source(media_type: str, data: bytes, path: str = "/a folder/it's 😀.x") -> Source:
    return Source(path, media_type, data, MODIFIED, "p" * 32)


def words(text: str) -> list[tuple[int, int]]:
    return [(at, at + 1) for at, char in enumerate(text) if char.isspace()]


def assert_sound(document: Document, read: Source) -> None:
    assert (document.id, document.path, document.sha256) == (read.id, read.path, read.sha256)
    assert (document.media_type, document.parent) == (read.media_type, read.parent)
    assert document.title == document.title.strip() != ""
    document.text.encode("utf-8")
    assert "\x00" not in document.text
    assert all(
        0 <= each.start < len(document.text) and 1 <= each.level <= 6 and each.text for each in document.headings
    )
    assert [each.start for each in document.headings] == sorted(each.start for each in document.headings)
    assert [page.number for page in document.pages] == list(range(1, len(document.pages) + 1))
    edges = [edge for page in document.pages for edge in (page.start, page.end)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= len(document.text) for edge in edges)
    assert document.date is None or document.date.utcoffset() is not None
    assert all(each.parent == read.id and each.path.startswith(read.path + "!/") for each in document.attachments)
    for text in (document.title, *(value for pair in document.fields for value in pair), *document.tags):
        text.encode("utf-8")
    assert_sound_pictures(document)
    pieces = chunk(document, words, 100)
    assert "".join("".join(each.text.split()) for each in pieces) == "".join(document.text.split())


def assert_sound_pictures(document: Document) -> None:
    numbers = [picture.number for picture in document.pictures]
    assert numbers == sorted(set(numbers))
    for picture in document.pictures:
        assert picture.width > 0
        assert picture.height > 0
        assert picture.digest
        assert 0 <= picture.start <= picture.end <= len(document.text)
        assert 0 <= picture.at <= len(document.text)
        picture.caption.encode("utf-8")
    for holder in (*document.pictures, *document.pages):
        for line in holder.lines:
            assert holder.start <= line.start < line.end <= holder.end
            assert 0 <= line.box.left <= line.box.right <= 1
            assert 0 <= line.box.top <= line.box.bottom <= 1
            assert 0 <= line.score <= 1


def damaged(data: bytes, seed: int) -> Iterator[bytes]:
    """The sample cut short, with bytes changed, swapped, doubled and lost; and bytes of pure chance."""
    dice = random.Random(seed)
    yield data[: dice.randrange(len(data))]
    yield data[dice.randrange(len(data)) :]
    for _ in range(3):
        changed = bytearray(data)
        for _ in range(dice.choice([1, 5, 50])):
            changed[dice.randrange(len(changed))] = dice.randrange(256)
        yield bytes(changed)
    at, size = dice.randrange(len(data)), dice.randrange(1, 200)
    yield data[:at] + data[at + size :]
    yield data[:at] + data[at : at + size] * dice.randrange(2, 50) + data[at:]
    yield dice.randbytes(dice.randrange(1, 3000))
    yield data[: dice.randrange(20)] + dice.randbytes(500)
    yield bytes(dice.choices(data, k=len(data)))


@readers
def test_it_is_a_reader(reader: Reader, media_type: str) -> None:
    assert isinstance(reader, Reader)
    assert media_type in reader.media_types


@seeing_readers
def test_a_sound_file_is_read(reader: Reader, media_type: str) -> None:
    read = source(media_type, SAMPLES[media_type])
    document = reader.read(read)
    assert_sound(document, read)
    assert "kettle boils" in document.text
    assert document.language == "en"
    assert document.warnings == ()


@readers
def test_reading_twice_gives_the_same(reader: Reader, media_type: str) -> None:
    read = source(media_type, SAMPLES[media_type])
    assert reader.read(read) == reader.read(read)


@pytest.mark.parametrize("seed", range(25))
@readers
def test_damaged_bytes_give_a_sound_document_or_unreadable_file(reader: Reader, media_type: str, seed: int) -> None:
    if media_type == SVG and seed > 1:
        return  # each is drawn in a process of its own, which takes long
    for data in damaged(SAMPLES[media_type], seed):
        read = source(media_type, data)
        try:
            document = reader.read(read)
        except UnreadableFile as exc:
            assert exc.path == read.path  # noqa: PT017
            assert exc.reason  # noqa: PT017
        else:
            assert_sound(document, read)


@readers
@pytest.mark.parametrize("other", sorted(SAMPLES))
def test_a_file_of_another_kind_is_read_or_refused(reader: Reader, media_type: str, other: str) -> None:
    read = source(media_type, SAMPLES[other])
    try:
        assert_sound(reader.read(read), read)
    except UnreadableFile as exc:
        assert exc.path == read.path  # noqa: PT017


@readers
@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\n", b"\xff\xfe", b"\xef\xbb\xbf", b" " * 5000, b"\xff" * 50, b"%PDF-", b"<", b"---\n"]
)
def test_tiny_files(reader: Reader, media_type: str, data: bytes) -> None:
    read = source(media_type, data)
    try:
        assert_sound(reader.read(read), read)
    except UnreadableFile as exc:
        assert exc.path == read.path  # noqa: PT017


@readers
@pytest.mark.parametrize(
    "path", ["/", "/x", "/a/.hidden", "/a/\n.md", "C:\\notes\\a.md", "/m.eml!/1/x.md", "/a/😀", "/a/..."]
)
def test_any_path_gives_a_title(reader: Reader, media_type: str, path: str) -> None:
    read = source(media_type, SAMPLES[media_type], path)
    assert_sound(reader.read(read), read)
