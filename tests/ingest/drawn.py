"""Pictures drawn for the tests, and PDFs that show them."""

import io
import random
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from rag.ingest.ocr import OcrText
from rag.records import Box, OcrLine

Draw = Callable[[Canvas], None]


class HandClock:
    """Stands for the module `time` in rag.ingest.clock: time passes only where a test lets it."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class FixedOcr:
    """Reads the same words in every picture, and counts what it was shown."""

    def __init__(self, words: str = "WORDS IN PIXELS") -> None:
        self.words = words
        self.seen: list[tuple[int, int]] = []

    def read(self, image: Image.Image) -> OcrText:
        self.seen.append(image.size)
        return OcrText(self.words, (OcrLine(0, len(self.words), Box(0.1, 0.2, 0.9, 0.4), 0.9),) if self.words else ())


class SlowOcr(FixedOcr):
    """Takes a second of `clock` for every picture."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__()
        self._clock = clock

    def read(self, image: Image.Image) -> OcrText:
        self._clock.now += 1
        return super().read(image)


def picture(width: int = 400, height: int = 300, words: str = "", seed: int = 1) -> Image.Image:
    """Coloured discs, the same for the same seed, with black words on a white band across them."""
    dice = random.Random(seed)
    image = Image.new("RGB", (width, height), (200, 220, 240))
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y, size = dice.randrange(width), dice.randrange(height), dice.randrange(20, 80)
        draw.ellipse((x, y, x + size, y + size), fill=tuple(dice.randrange(256) for _ in range(3)))
    if words:
        draw.rectangle((0, height // 2 - 40, width, height // 2 + 40), fill="white")
        draw.text((20, height // 2 - 20), words, fill="black", font=ImageFont.load_default(36))
    return image


def scan(*lines: str) -> Image.Image:
    """A sheet of A4 at 100 dots an inch with lines of words."""
    image = Image.new("RGB", (827, 1169), "white")
    draw = ImageDraw.Draw(image)
    for at, line in enumerate(lines):
        draw.text((80, 100 + 50 * at), line, fill="black", font=ImageFont.load_default(30))
    return image


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def pdf_of(*pages: Draw, size: tuple[float, float] = A4, **page_facts: object) -> bytes:
    """A PDF with a page drawn by each function; `page_facts` go to the canvas, such as a rotation or a crop box."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size)
    for draw in pages:
        draw(canvas)
        for name, value in page_facts.items():
            getattr(canvas, name)(value)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def show(
    canvas: Canvas, image: Image.Image, left: float, bottom: float, width: float = 200, height: float = 150
) -> None:
    canvas.drawImage(ImageReader(image), left, bottom, width, height)


def write(canvas: Canvas, lines: Sequence[str], left: float, top: float) -> None:
    canvas.setFont("Helvetica", 12)
    for at, line in enumerate(lines):
        canvas.drawString(left, top - 14 * at, line)


def chart(canvas: Canvas, left: float, bottom: float) -> None:
    """Axes and four bars, 300 points wide and 180 high, with labels below."""
    canvas.line(left, bottom, left, bottom + 180)
    canvas.line(left, bottom, left + 300, bottom)
    for at, height in enumerate((40, 90, 130, 60)):
        canvas.rect(left + 20 + at * 60, bottom, 40, height, fill=1)
        canvas.drawString(left + 25 + at * 60, bottom - 12, f"Q{at + 1}")
