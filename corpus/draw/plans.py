"""Plans and figures: beds, a way through a town, a whiteboard, a jar's label, bars and lines."""

from functools import cache
from html import escape

from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTFont
from PIL import Image, ImageFilter

from draw.ink import Face, Sheet, font_file, grained, jpeg, png, webp

INK, FAINT = "#22302b", "#6b7280"


# --- the bed plan, an SVG --------------------------------------------------------------------------------------------


def bed_plan() -> bytes:
    """Plot 23 from above. Its letters are outlines, so that it looks the same where no font is installed."""
    beds = (("A", "#c9dfb2"), ("B", "#a9cfa0"), ("C", "#e2c79a"), ("D", "#d9b7a0"))
    parts = [
        '<rect width="960" height="640" fill="#f7f3e8"/>',
        '<rect x="30" y="90" width="900" height="520" fill="none" stroke="#7a6a4f" stroke-width="4"/>',
        _words("Plot 23, measured 1 March 2026", 30, 56, 30, "serif-bold"),
    ]
    for number, (name, fill) in enumerate(beds):
        left = 60 + number * 150
        parts.append(f'<rect x="{left}" y="120" width="120" height="300" rx="6" fill="{fill}" stroke="#6d7f5a"/>')
        parts += [_words(f"Bed {name}", left + 22, 165, 26), _words("1.2 x 6 m", left + 16, 205, 22)]
    parts += [
        '<rect x="60" y="450" width="270" height="130" rx="6" fill="#d7e3c8" stroke="#6d7f5a"/>',
        _words("Bed E: rhubarb", 76, 490, 24),
        _words("hives behind it", 76, 528, 22),
        '<rect x="360" y="450" width="270" height="130" rx="6" fill="#cfe0c0" stroke="#6d7f5a"/>',
        _words("Bed F: asparagus", 376, 490, 24),
        _words("18 crowns in 3 rows", 376, 528, 22),
        '<rect x="690" y="130" width="200" height="130" fill="#b98f63" stroke="#5f4630" stroke-width="3"/>',
        _words("Shed", 755, 205, 28, fill="#ffffff"),
        _words("comfrey: 9 plants", 690, 296, 22),
        '<circle cx="760" cy="380" r="52" fill="#9cc3d5" stroke="#3b6f86" stroke-width="3"/>',
        _words("dipping tank", 700, 460, 22),
        '<path d="M870 590 V500 M870 500 l-14 26 M870 500 l14 26" stroke="#22302b" stroke-width="4" fill="none"/>',
        _words("N", 860, 490, 26),
    ]
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="960" height="640" viewBox="0 0 960 640">'
    return "\n".join([head, "<title>Plot 23, measured 1 March 2026</title>", *parts, "</svg>\n"]).encode()


@cache
def _outlines(face: Face) -> TTFont:
    return TTFont(font_file(face))


def _words(text: str, x: float, y: float, size: float, face: Face = "serif", fill: str = INK) -> str:
    """`text` as one path that begins at x on the baseline y."""
    outlines = _outlines(face)
    glyphs, names = outlines.getGlyphSet(), outlines.getBestCmap()
    scale = size / outlines["head"].unitsPerEm
    pen = SVGPathPen(glyphs, ntos=lambda value: f"{value:.1f}".rstrip("0").rstrip("."))
    for letter in text:
        glyph = glyphs[names[ord(letter)]]
        glyph.draw(TransformPen(pen, (scale, 0, 0, -scale, x, y)))
        x += glyph.width * scale
    return f'<path fill="{fill}" aria-label="{escape(text)}" d="{pen.getCommands()}"/>'


# --- by hand ---------------------------------------------------------------------------------------------------------


def way_to_saint_lorenz() -> bytes:
    """Liesel's sketch, for the walk from the station to the church."""
    sheet = Sheet(800, 640, "#fdfbf3", 2)
    sheet.shape([(0, 470), (240, 440), (520, 462), (800, 420), (800, 640), (0, 640)], "#d3e5ee")
    sheet.line([(90, 130), (210, 200), (330, 210), (420, 300), (560, 320), (640, 230)], "#9a8f7c", 16)
    sheet.line([(330, 210), (350, 120), (470, 90)], "#cfc6b4", 12)
    sheet.line([(90, 130), (210, 200), (330, 210), (420, 300), (560, 320), (640, 230)], "#c0392b", 3)
    sheet.box(50, 84, 130, 130, "#f1d9b5", INK, 2)
    sheet.write(44, 52, "station", 24, INK, "hand")
    sheet.box(640, 150, 710, 226, "#e8c4b4", INK, 2)
    sheet.shape([(632, 150), (675, 84), (718, 150)], "#b5543f")
    sheet.write(668, 244, "St Lorenz,", 23, INK, "hand")
    sheet.write(668, 272, "green door", 23, INK, "hand")
    sheet.write(180, 150, "12 minutes on foot", 23, "#c0392b", "hand")
    sheet.write(400, 52, "Liesel: bell says MOELLER", 23, INK, "hand")
    sheet.write(250, 320, "baker, buy Franzbroetchen", 23, INK, "hand")
    sheet.oval(420, 300, 9, 9, "#c0392b")
    sheet.write(60, 520, "river Trave", 28, "#35698a", "hand")
    sheet.line([(520, 560), (600, 590), (690, 590), (730, 555), (520, 560)], INK, 3)
    sheet.write(470, 500, "old lighthouse: not this way", 23, INK, "hand")
    return png(sheet.done(), 96)


def whiteboard() -> bytes:
    """The wall of the drill hall before the third concert, photographed askew."""
    sheet = Sheet(1000, 700, "#aab0b4", 2)
    sheet.box(30, 30, 970, 660, "#f7f9f9", "#6d7276", 10, 8)
    sheet.write(80, 64, "THIRD CONCERT, 28 March", 38, "#1f4e9c", "hand")
    sheet.line([(80, 118), (560, 114)], "#1f4e9c", 4)
    for number, (words, colour) in enumerate((
        ("Load the van 15:20 (not 16:00!)", "#b3261e"), ("Driver: Miss Hale, keys with Gustav", "#222222"),
        ("Stand lights: 24, spare bulbs in tin", "#222222"), ("Violas: black folders, page 7 is torn", "#1f7a3d"),
        ("Tea urn stays here this time", "#222222"),
    )):  # fmt: skip
        sheet.oval(98, 172 + number * 74, 7, 7, colour)
        sheet.write(124, 152 + number * 74, words, 35, colour, "hand")
    for left, top, name in ((742, 140, "vc"), (842, 140, "va"), (742, 240, "vn 1"), (842, 240, "vn 2")):
        sheet.box(left, top, left + 92, top + 84, line="#1f4e9c", width=4, radius=10)
        sheet.write(left + 46, top + 42, name, 28, "#1f4e9c", "hand", "mm")
    sheet.oval(838, 390, 36, 22, line="#b3261e", width=4)
    sheet.write(838, 434, "Helen", 28, "#b3261e", "hand", "mm")
    sheet.box(380, 652, 620, 672, "#d6d9db", "#6d7276", 2)
    turned = sheet.done().rotate(1.3, Image.Resampling.BICUBIC, fillcolor="#aab0b4")
    return jpeg(grained(turned.filter(ImageFilter.GaussianBlur(0.7)), 31, 4), 60)


def honey_label() -> bytes:
    """On the sixty-one jars of 2025."""
    sheet = Sheet(760, 520, "#e9d9b6", 2)
    sheet.box(20, 20, 740, 500, "#fff8e6", "#a9711c", 6, 26)
    sheet.write(380, 56, "LARCH HOUSE HONEY", 46, "#8a5a12", "serif-bold", "ma")
    sheet.write(380, 124, "from two hives at Saltings Lane", 27, "#5d4a23", "slanted", "ma")
    for x, y in ((110, 300), (150, 277), (150, 323), (190, 300), (110, 254), (190, 254), (190, 346), (110, 346)):
        six = [(x + 26 * dx, y + 26 * dy) for dx, dy in ((-0.5, -0.87), (0.5, -0.87), (1, 0), (0.5, 0.87),
                                                        (-0.5, 0.87), (-1, 0))]  # fmt: skip
        sheet.shape(six, "#f1b93a")
        sheet.line([*six, six[0]], "#a9711c", 3)
    for number, words in enumerate(("Net weight 340 g", "Lot 25-08 B", "Best before August 2028", "Lime blossom")):
        sheet.write(270, 210 + number * 54, words, 32, "#3d3216", "bold" if number == 1 else "sans")
    sheet.write(380, 440, "T. Fenwick, 14 Tanner's Row, Aldermouth", 23, "#5d4a23", "sans", "ma")
    return webp(sheet.done(), 70)


# --- figures ---------------------------------------------------------------------------------------------------------

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def gas_bars() -> bytes:
    """Gas at Larch House, month by month."""
    burnt = (231, 198, 164, 92, 47, 28, 25, 26, 39, 88, 149, 206)
    sheet = Sheet(900, 560, "white", 2)
    sheet.write(450, 26, "Gas at Larch House in 2025, cubic metres a month", 24, INK, "bold", "ma")
    for value in range(0, 251, 50):
        y = 490 - value * 1.6
        sheet.line([(80, y), (870, y)], "#dfe3e8")
        sheet.write(70, y, str(value), 18, FAINT, anchor="rm")
    for number, (month, value) in enumerate(zip(MONTHS, burnt, strict=True)):
        left = 94 + number * 65
        sheet.box(left, 490 - value * 1.6, left + 44, 490, "#d9803a" if value > 100 else "#e8b98a")
        sheet.write(left + 22, 482 - value * 1.6, str(value), 18, INK, "bold", "mb")
        sheet.write(left + 22, 500, month, 18, INK, anchor="ma")
    return png(sheet.done(), 64)


def hive_scales() -> Image.Image:
    """The weight of Beatrix on the scales, 2025: Figure 1 of the report."""
    weights = (24, 25, 27, 31, 34, 33, 41, 48, 52, 57, 39, 36, 34, 36)
    sheet = Sheet(860, 480, "white", 2)
    _axes(sheet, (20, 60), 10, "kg")
    points = [(100 + number * 56, 410 - (weight - 20) * 8.6) for number, weight in enumerate(weights)]
    sheet.line(points, "#a9711c", 4)
    for x, y in points:
        sheet.oval(x, y, 5, 5, "#a9711c")
    for number, month in enumerate(MONTHS[2:9]):
        sheet.write(100 + number * 112, 424, month, 18, INK, anchor="ma")
    sheet.write(612, 62, "57.3 kg on 31 July", 20, "#b3261e", "bold", "ra")
    sheet.write(676, 214, "honey taken", 20, INK, "bold")
    sheet.write(448, 206, "flow begins 11 June", 20, INK, "bold", "ra")
    return sheet.done()


def robbing_traffic() -> Image.Image:
    """Bees a minute at both entrances: Figure 2 of the report."""
    sheet = Sheet(860, 420, "white", 2)
    _axes(sheet, (0, 80), 20, "bees a minute")
    for base, colour, name, values in (
        (0, "#5b8db8", "Agnes", (18, 26, 61, 22, 15)),
        (1, "#d9a441", "Beatrix", (34, 47, 72, 51, 40)),
    ):
        for number, value in enumerate(values):
            left = 120 + number * 140 + base * 48
            sheet.box(left, 350 - value * 3.6, left + 44, 350, colour)
        sheet.box(640, 26 + base * 32, 660, 46 + base * 32, colour)
        sheet.write(670, 36 + base * 32, name, 19, INK, anchor="lm")
    for number, day in enumerate(("28 July", "1 Aug", "4 Aug", "8 Aug", "12 Aug")):
        sheet.write(166 + number * 140, 364, day, 18, INK, anchor="ma")
    sheet.write(446, 62, "fight on 4 August", 20, "#b3261e", "bold", "ma")
    return sheet.done()


def _axes(sheet: Sheet, span: tuple[int, int], step: int, unit: str) -> None:
    height = sheet.size[1]
    low, high = span
    for value in range(low, high + 1, step):
        y = height - 70 - (value - low) * (height - 136) / (high - low)
        sheet.line([(80, y), (840, y)], "#dfe3e8")
        sheet.write(70, y, str(value), 18, FAINT, anchor="rm")
    sheet.write(80, 20, unit, 18, FAINT)
