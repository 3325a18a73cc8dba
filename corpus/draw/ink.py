"""Paper, ink and light: what all drawings share. The fonts, all of them free, are those that come with Gradio."""

import io
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Literal

import gradio
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Point = tuple[float, float]
Colour = str | tuple[int, int, int]
Face = Literal["sans", "bold", "mono", "mono-bold", "serif", "serif-bold", "slanted", "hand"]

_FONTS = Path(gradio.__file__).parent / "templates" / "frontend"
_FACES: dict[Face, str] = {
    "sans": "static/fonts/IBMPlexSans/IBMPlexSans-Regular.woff2",
    "bold": "static/fonts/IBMPlexSans/IBMPlexSans-Bold.woff2",
    "mono": "static/fonts/IBMPlexMono/IBMPlexMono-Regular.woff2",
    "mono-bold": "static/fonts/IBMPlexMono/IBMPlexMono-Bold.woff2",
    "serif": "assets/KaTeX_Main-Regular*.ttf",
    "serif-bold": "assets/KaTeX_Main-Bold-*.ttf",
    "slanted": "assets/KaTeX_Main-Italic*.ttf",
    "hand": "assets/KaTeX_SansSerif-Italic*.ttf",
}


@cache
def font_file(face: Face) -> Path:
    """The file of `face`, inside an installed package."""
    return next(iter(sorted(_FONTS.glob(_FACES[face]))))


@cache
def font(face: Face, size: float) -> ImageFont.FreeTypeFont:
    """`face` at `size` pixels."""
    return ImageFont.truetype(font_file(face), size)


class Sheet:
    """A surface to draw on. Drawn `scale` times larger and reduced at the end, which smooths every edge."""

    def __init__(self, width: int, height: int, fill: Colour = "white", scale: int = 1) -> None:
        self.size = (width, height)
        self.scale = scale
        self.image = Image.new("RGB", (width * scale, height * scale), fill)
        self.draw = ImageDraw.Draw(self.image)

    def scaled(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self.scale, y * self.scale) for x, y in points]

    def box(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        fill: Colour | None = None,
        line: Colour | None = None,
        width: float = 1,
        radius: float = 0,
    ) -> None:
        corners = self.scaled([(left, top), (right, bottom)])
        self.draw.rounded_rectangle(corners, radius * self.scale, fill, line, round(width * self.scale))

    def oval(
        self, x: float, y: float, rx: float, ry: float, fill: Colour | None = None, line: Colour | None = None,
        width: float = 1,
    ) -> None:  # fmt: skip
        corners = self.scaled([(x - rx, y - ry), (x + rx, y + ry)])
        self.draw.ellipse(corners, fill, line, round(width * self.scale))

    def line(self, points: Sequence[Point], colour: Colour, width: float = 1) -> None:
        self.draw.line(self.scaled(points), colour, round(width * self.scale), joint="curve")

    def shape(self, points: Sequence[Point], fill: Colour) -> None:
        self.draw.polygon(self.scaled(points), fill)

    def write(
        self, x: float, y: float, text: str, size: float = 16, colour: Colour = "#1c1c1c", face: Face = "sans",
        anchor: str = "la",
    ) -> None:  # fmt: skip
        """`text` with its anchor (as Pillow names them; "la" is upper left) at x, y."""
        self.draw.text((x * self.scale, y * self.scale), text, colour, font(face, size * self.scale), anchor)

    def paragraph(
        self, x: float, y: float, width: float, text: str, size: float = 16, colour: Colour = "#1c1c1c",
        face: Face = "sans", leading: float = 1.4,
    ) -> float:  # fmt: skip
        """`text` broken into lines of at most `width` pixels; returns the y below it."""
        for line in broken(text, width, face, size):
            self.write(x, y, line, size, colour, face)
            y += size * leading
        return y

    def shade(self, top: Colour, bottom: Colour, upper: float = 0, lower: float | None = None) -> None:
        """A field from the colour `top` down to `bottom`, over the whole width."""
        start, end = round(upper * self.scale), round((self.size[1] if lower is None else lower) * self.scale)
        mask = Image.linear_gradient("L").resize((self.image.width, end - start))
        over, under = (Image.new("RGB", mask.size, colour) for colour in (top, bottom))
        self.image.paste(Image.composite(under, over, mask), (0, start))

    def done(self) -> Image.Image:
        return self.image if self.scale == 1 else self.image.resize(self.size, Image.Resampling.LANCZOS)


def broken(text: str, width: float, face: Face, size: float) -> list[str]:
    """`text` as lines of at most `width` pixels, broken between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font(face, size).getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def grained(image: Image.Image, seed: int, amount: float) -> Image.Image:
    """`image` with normal noise of standard deviation `amount` (of 255) in its lightness."""
    pixels = np.asarray(image.convert("RGB"), np.float32)
    noise = np.random.default_rng(seed).normal(0, amount, (*pixels.shape[:2], 1))
    return Image.fromarray(np.clip(pixels + noise, 0, 255).round().astype(np.uint8))


def scanned(image: Image.Image, degrees: float, seed: int, amount: float = 7, paper: Colour = "#d9d6cf") -> Image.Image:
    """`image` as it comes out of a scanner: a little askew, soft and noisy, in shades of grey."""
    turned = image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=paper)
    return grained(turned.filter(ImageFilter.GaussianBlur(0.6)), seed, amount).convert("L")


# --- files ---------------------------------------------------------------------------------------------------------


def png(image: Image.Image, colours: int = 0) -> bytes:
    """`colours` > 0 keeps so many of them in a palette."""
    flat = image.quantize(colours, dither=Image.Dither.NONE) if colours else image
    return _saved(flat, "PNG", optimize=True)


def jpeg(image: Image.Image, quality: int = 72, exif: Image.Exif | None = None) -> bytes:
    return _saved(image, "JPEG", quality=quality, optimize=True, exif=exif or Image.Exif())


def webp(image: Image.Image, quality: int = 70) -> bytes:
    return _saved(image, "WEBP", quality=quality, method=6)


def gif(image: Image.Image) -> bytes:
    return _saved(image.quantize(32, dither=Image.Dither.NONE), "GIF", optimize=True)


def fax(pages: Sequence[Image.Image]) -> bytes:
    """Pages in black and white, as an office scanner writes them: a TIFF in CCITT group 4."""
    first, *others = (page.convert("L").point(lambda value: 255 * (value > 150), "1") for page in pages)
    return _saved(first, "TIFF", compression="group4", save_all=True, append_images=others, dpi=(150, 150))


def _saved(image: Image.Image, format_: str, **how: object) -> bytes:
    target = io.BytesIO()
    image.save(target, format_, **how)
    return target.getvalue()


def camera_facts(
    taken: datetime, place: tuple[float, float] | None = None, height: int = 0, words: str = "", orientation: int = 1
) -> Image.Exif:
    """What a camera writes beside a picture. `place` is latitude and longitude in degrees, `height` in metres."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Lumen", "Pocket 3", orientation
    if words:
        exif[0x010E] = words
    stamp = f"{taken:%Y:%m:%d %H:%M:%S}"
    exif[0x0132] = stamp
    exif.get_ifd(0x8769).update({0x9003: stamp, 0x9004: stamp, 0x829A: 1 / 250, 0x829D: 5.6, 0x8827: 100})
    if place:
        north, east = place
        exif.get_ifd(0x8825).update(
            {
                1: "N" if north >= 0 else "S",
                2: _degrees(abs(north)),
                3: "E" if east >= 0 else "W",
                4: _degrees(abs(east)),
                5: b"\0",
                6: height,
            }
        )
    return exif


def _degrees(value: float) -> tuple[float, float, float]:
    """Degrees, minutes and seconds, as EXIF has them."""
    minutes = value % 1 * 60
    return float(int(value)), float(int(minutes)), round(minutes % 1 * 60, 2)
