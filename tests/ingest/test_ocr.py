"""Reading text in pictures, with the real models on text that Pillow renders."""

import logging
import socket
import subprocess
import sys
import textwrap
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from rag.ingest.ocr import Ocr, OcrText
from rag.records import Box

pytestmark = pytest.mark.model

LINES = (
    "The kettle boils every morning at seven.",
    "Invoice 2024-117, due on 14 March: 31.90 EUR",
    "Anna Petersen, 12 Harbour Street, Leith",
    "Please call +44 131 496 0177 before noon.",
    "Bring the blue notebook & the spare keys!",
)
PAPER, INK = (250, 250, 248), (20, 20, 20)
SIZES = (12, 20, 48)
MOST_WRONG = 0.02  # character errors


@pytest.fixture(scope="module")
def ocr() -> Ocr:
    return Ocr(threads=1)


def page(size: int, ink: Any = INK, paper: Any = PAPER, lines: tuple[str, ...] = LINES) -> Image.Image:
    """`lines` in letters of `size` pixels, in the font that comes with Pillow."""
    font = ImageFont.load_default(size)
    image = Image.new("RGB", (size * 26, round(size * 1.8 * (len(lines) + 1))), paper)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((size, size + round(number * size * 1.8)), line, fill=ink, font=font)
    return image


def noisy(image: Image.Image, deviation: float = 15) -> Image.Image:
    grain = np.random.default_rng(0).normal(0, deviation, (image.height, image.width, 1))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def tilted(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=PAPER)


def error_rate(read: str, truth: str) -> float:
    """Levenshtein distance of the two, white space as single spaces, per character of `truth`."""
    read, truth = " ".join(read.split()), " ".join(truth.split())
    row = list(range(len(truth) + 1))
    for at, char in enumerate(read, 1):
        row, above = [at], row
        for place, other in enumerate(truth, 1):
            row.append(min(above[place] + 1, row[-1] + 1, above[place - 1] + (char != other)))
    return row[-1] / len(truth)


def assert_read(found: OcrText, truth: tuple[str, ...] = LINES) -> None:
    assert error_rate(found.text, " ".join(truth)) <= MOST_WRONG, found.text


def test_the_error_rate_counts_changes() -> None:
    assert error_rate("kitten", "sitting") == 3 / 7
    assert error_rate(" a\n b ", "a b") == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda image: image, id="plain"),
        pytest.param(noisy, id="noise"),
        pytest.param(lambda image: tilted(image, 3), id="3 degrees"),
        pytest.param(lambda image: noisy(tilted(image, -5)), id="-5 degrees, noise"),
        pytest.param(lambda image: image.rotate(90, expand=True), id="90 degrees"),
        pytest.param(lambda image: image.rotate(180), id="180 degrees"),
        pytest.param(lambda image: image.rotate(270, expand=True), id="270 degrees"),
        pytest.param(lambda image: noisy(tilted(image, 183)), id="183 degrees, noise"),
    ],
)
def test_at_most_two_percent_of_the_characters_are_wrong(ocr: Ocr, size: int, change: Any) -> None:
    found = ocr.read(change(page(size)))
    assert_read(found)
    assert len(found.text.splitlines()) == len(LINES)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("ink", "paper"),
    [((220, 220, 225), (30, 30, 34)), ((150, 150, 150), (190, 190, 190)), ((200, 40, 40), (250, 220, 120))],
    ids=["dark mode", "low contrast", "colours"],
)
def test_any_colours(ocr: Ocr, size: int, ink: Any, paper: Any) -> None:
    assert_read(ocr.read(page(size, ink, paper)))


def test_a_piece_of_text_has_its_place(ocr: Ocr) -> None:
    """Each OcrLine names its words and the box that they stand in, also on a page that lies on its side."""
    upright = page(24)
    box = Box(24 / 624, 0, 1, 80 / upright.height)  # the first line, generously
    for turns, expected in (
        (0, box),
        (1, Box(box.top, 1 - box.right, box.bottom, 1 - box.left)),
        (2, Box(1 - box.right, 1 - box.bottom, 1 - box.left, 1 - box.top)),
        (3, Box(1 - box.bottom, box.left, 1 - box.top, box.right)),
    ):
        found = ocr.read(upright.rotate(90 * turns, expand=True))
        assert " ".join(found.text[line.start : line.end] for line in found.lines).split() == found.text.split()
        first = found.lines[0]
        assert found.text[first.start : first.end] == LINES[0]
        assert expected.left - 0.02 <= first.box.left < first.box.right <= expected.right + 0.02
        assert expected.top - 0.02 <= first.box.top < first.box.bottom <= expected.bottom + 0.02
        assert 0.9 < first.score <= 1


def test_pieces_of_one_row_are_one_line(ocr: Ocr) -> None:
    image = Image.new("RGB", (600, 200), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(24)
    for number, (name, price) in enumerate([("Tea", "2.40"), ("Soup", "7.50"), ("TOTAL", "9.90")]):
        draw.text((20, 30 + 40 * number), name, fill="black", font=font)
        draw.text((500, 30 + 40 * number), price, fill="black", font=font)
    assert ocr.read(image).text == "Tea 2.40\nSoup 7.50\nTOTAL 9.90"


def test_small_text_on_a_large_screen(ocr: Ocr) -> None:
    """Twelve lines of 13 pixels on a screen of 2560 x 1440, where a photo would be looked at reduced to a quarter."""
    image = Image.new("RGB", (2560, 1440), (245, 245, 247))
    words = ("meeting", "garden", "invoice", "Thursday", "window", "kettle")
    lines = tuple(" ".join(np.random.default_rng(row).permutation(words)) for row in range(12))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    for number, line in enumerate(lines):
        draw.text((300, 200 + 18 * number), line, fill=INK, font=font)
    assert_read(ocr.read(image), lines)


def test_a_very_long_screenshot(ocr: Ocr) -> None:
    lines = tuple(f"Message number {number} of a long chat" for number in range(60))
    image = Image.new("RGB", (400, 4400), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    for number, line in enumerate(lines):
        draw.text((20, 40 + 72 * number), line, fill=INK, font=font)
    found = ocr.read(image)
    assert_read(found, lines)
    tops = [line.box.top for line in found.lines]
    assert tops == sorted(tops)
    assert tops[-1] == pytest.approx((40 + 72 * 59) / 4400, abs=0.003)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (20, 20), (1000, 800), (40_000, 10)])
@pytest.mark.parametrize("colour", ["white", "black", (120, 180, 240)])
def test_an_empty_picture_has_no_text(ocr: Ocr, size: tuple[int, int], colour: Any) -> None:
    assert ocr.read(Image.new("RGB", size, colour)) == OcrText()


def test_pictures_without_text_have_none_and_are_told_fast(ocr: Ocr) -> None:
    """A gradient and clouds of colour. In comparison with a page of text, as machines differ."""
    started = time.process_time()
    ocr.read(page(48))
    reading = time.process_time() - started
    grey = Image.linear_gradient("L").resize((2000, 1500))
    clouds = np.random.default_rng(2).integers(90, 160, (12, 16, 3), dtype=np.uint8)
    for image in (Image.merge("RGB", (grey, grey, grey)), Image.fromarray(clouds).resize((2000, 1500))):
        started = time.process_time()
        assert ocr.read(image) == OcrText()
        assert time.process_time() - started < reading


def test_a_single_small_word_is_found(ocr: Ocr) -> None:
    image = Image.new("RGB", (1600, 1200), (90, 120, 140))
    ImageDraw.Draw(image).text((900, 700), "Harbour 27", fill=(240, 240, 240), font=ImageFont.load_default(22))
    assert ocr.read(image).text == "Harbour 27"


def test_accents_and_signs(ocr: Ocr) -> None:
    """The font that comes with Pillow has none."""
    try:
        font = ImageFont.truetype("DejaVuSans.ttf", 32)
    except OSError:
        pytest.skip("the font DejaVu Sans is not installed")
    line = "Crème brûlée (für Zoë): 4,50 € 50% [a/b] #7"
    image = Image.new("RGB", (900, 100), "white")
    ImageDraw.Draw(image).text((20, 30), line, fill="black", font=font)
    assert_read(ocr.read(image), (line,))


def test_spans_can_be_moved(ocr: Ocr) -> None:
    found = ocr.read(page(20))
    moved = found.moved(100)
    assert [(line.start - 100, line.end - 100) for line in moved] == [(line.start, line.end) for line in found.lines]
    assert [line.box for line in moved] == [line.box for line in found.lines]


def test_reading_twice_gives_the_same(ocr: Ocr) -> None:
    assert ocr.read(page(20)) == ocr.read(page(20))


def test_it_reaches_for_no_network_and_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert "kettle" in Ocr(threads=1).read(page(20)).text
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert logging.getLogger("RapidOCR").level == logging.CRITICAL


def test_models_that_are_missing_are_not_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    import rapidocr
    from rapidocr.utils.download_file import DownloadFile

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it wanted to download")

    monkeypatch.setattr(DownloadFile, "run", refuse)
    monkeypatch.setattr(rapidocr, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(Exception, match="File doesn't exist"):
        Ocr(threads=1).read(page(20))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process's memory")
def test_memory_stays_below_the_stated_ceiling() -> None:
    """2.5 GiB for the largest picture that is taken at all, 120 megapixels, with text all over it."""
    program = """
        import re, resource
        from pathlib import Path
        from PIL import Image
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
        from rag.ingest.ocr import Ocr
        from rag.ingest.read_image import ImageReader
        from rag.records import Source
        from tests.ingest.test_ocr import page
        import io
        buffer = io.BytesIO()
        page(400).resize((12_000, 9_900)).save(buffer, "JPEG", progressive=True, subsampling=0, quality=60)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        document = ImageReader(Ocr(threads=1), True, 120).read(Source("/a.jpg", "image/jpeg", buffer.getvalue()))
        assert "kettle" in document.text, document.text
        print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) * 1024 < 2.5 * 2**30
