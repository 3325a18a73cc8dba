"""Paper as a scanner sees it: a receipt, a letter, a recipe, a guarantee, a valuation and a museum's index card."""

from PIL import Image

from draw.ink import Face, Sheet, fax, jpeg, scanned

INK = "#26241f"


def receipt() -> bytes:
    """What the sash windows took from the ironmonger's in May 2025."""
    sheet = Sheet(520, 900, "#f4f2ec")
    sheet.write(260, 44, "HOBB & DAUGHTER", 30, INK, "mono-bold", "ma")
    sheet.write(260, 84, "Ironmongers since 1921", 19, INK, "mono", "ma")
    sheet.write(260, 112, "8 Quay Street, Aldermouth", 19, INK, "mono", "ma")
    sheet.write(44, 166, "Sat 10 May 2025   11:26", 20, INK, "mono")
    bought = (
        ("Sash cord, waxed 6 mm", "28.40"),
        ("Axle pulley, brass x2", "17.90"),
        ("Parting bead 2.4 m x3", "13.35"),
        ("Linseed putty 1 kg", "6.80"),
        ("Glazing sprigs 100 g", "3.25"),
        ("Candle, plain x2", "1.70"),
    )
    for number, (what, price) in enumerate(bought):
        y = 220 + number * 46
        sheet.write(44, y, what, 21, INK, "mono")
        sheet.write(476, y, price, 21, INK, "mono", "ra")
    sheet.line([(44, 506), (476, 506)], INK, 2)
    for y, what, price, face in ((524, "TOTAL", "71.40", "mono-bold"), (568, "Card", "71.40", "mono")):
        sheet.write(44, y, what, 24, INK, face)
        sheet.write(476, y, price, 24, INK, face, "ra")
    for y, words in ((640, "Served by Maud"), (670, "Receipt no. 50817"), (726, "Goods may be returned"),
                     (754, "within 28 days, uncut"), (810, "Mind the step!")):  # fmt: skip
        sheet.write(260, y, words, 20, INK, "mono", "ma")
    return jpeg(scanned(_on_glass(sheet.done()), 1.6, 11), 58)


def letter() -> bytes:
    """The pastor of Saint Lorenz answers about the clock that nobody winds."""
    sheet = Sheet(860, 1120, "#f6f3ea")
    sheet.write(780, 70, "Pastorate of Saint Lorenz, Travemunde", 22, INK, "serif-bold", "ra")
    sheet.write(780, 116, "22 January 2026", 22, INK, "serif", "ra")
    y = 190.0
    for words in (
        "Dear Ms Fenwick,",
        "Your cousin Mrs Brandt-Moeller has told me of your search, and I have been behind the robes with a torch. "
        "The long-case clock in our vestry is two metres and eleven centimetres tall, of oak, without a striking "
        "train.",
        "On the back plate of the movement stand the letters A. B. and the number 118. Inside the door somebody has "
        "pencilled a list of Saturdays; the last one that I can read is the 9th of August 1914. After that nobody "
        "seems to have wound it.",
        "The weight is missing. Our sexton, Frau Harms, believes that it was given for the war in 1917 together with "
        "the smaller bell. The pendulum hangs in its place, wrapped in a page of a hymn book.",
        "The church is open again from Palm Sunday. If you come in Easter week, ring at the green door beside the "
        "tower between ten and noon. You may open the case, but please do not set the clock going before our council "
        "has met on the 21st of April.",
        "With kind regards,",
        "Joachim Petersen, pastor",
    ):
        y = sheet.paragraph(80, y, 700, words, 25, INK, "serif", 1.45) + 20
    return jpeg(scanned(_on_glass(sheet.done()), -0.9, 12), 45)


def recipe_card() -> bytes:
    """Mother's seed cake, typed on both sides of a card: two pages of a TIFF."""
    front, back = (Sheet(900, 560, "white") for _ in range(2))
    front.write(450, 40, "SEED CAKE  (Ingrid's, from the Rectory)", 26, INK, "mono-bold", "ma")
    _typed(front, 110, (
        "175 g butter, soft", "175 g caster sugar", "3 eggs", "225 g plain flour",
        "1 teaspoon baking powder", "4 teaspoons caraway seed", "2 tablespoons brandy, or tea",
    ))  # fmt: skip
    front.write(860, 500, "turn over", 24, INK, "mono", "ra")
    _typed(back, 50, (
        "Cream butter and sugar till white.", "Eggs one at a time, beating.", "Flour, powder and seeds, folded in.",
        "Brandy last. Tin of 18 cm, lined.", "Bake 1 hour 10 minutes at 160 degrees.",
        "Paper over the top after 40 minutes.", "Keep five days in the blue tin", "before anyone is told of it.",
    ))  # fmt: skip
    return fax([scanned(front.done(), 0.8, 13, 4, "white"), scanned(back.done(), -1.1, 14, 4, "white")])


def _typed(sheet: Sheet, top: float, lines: tuple[str, ...]) -> None:
    for number, words in enumerate(lines):
        sheet.write(60, top + number * 56, words, 28, INK, "mono")


def guarantee() -> bytes:
    """The card that came with the red kettle."""
    sheet = Sheet(900, 600, "#f7f4ee")
    sheet.box(24, 24, 876, 576, line="#8c2f2a", width=4, radius=10)
    sheet.write(450, 58, "EMBERLINE", 44, "#8c2f2a", "bold", "ma")
    sheet.write(450, 116, "Guarantee card for enamelled kettles", 24, INK, "sans", "ma")
    rows = (
        ("Model", "Whistler 2.1 litres, red"),
        ("Serial number", "EK-30772-R"),
        ("Bought on", "29 November 2024"),
        ("Dealer", "Marden & Sons, Thornby"),
        ("Enamel", "guaranteed for twelve years"),
        ("Whistle and knob", "guaranteed for two years"),
    )
    for number, (name, value) in enumerate(rows):
        y = 180 + number * 50
        sheet.write(70, y, name, 24, "#5b564c", "sans")
        sheet.write(340, y, value, 24, INK, "mono")
        sheet.line([(330, y + 36), (830, y + 36)], "#b9b2a3")
    sheet.paragraph(70, 496, 760, "Descale with vinegar, never with wire wool. Do not let it boil dry: that voids the "
                    "guarantee.", 21, INK)  # fmt: skip
    return jpeg(scanned(_on_glass(sheet.done()), -1.7, 15), 55)


def valuation() -> list[bytes]:
    """Two pages about the viola, which exist on paper only."""
    first, second = (Sheet(780, 1080, "#f7f5ef") for _ in range(2))
    first.write(390, 70, "Benedict Sorley", 36, INK, "serif-bold", "ma")
    first.write(390, 116, "Violins, violas and bows, 3 Ropewalk Yard, Aldermouth", 21, INK, "slanted", "ma")
    first.write(80, 190, "Valuation for insurance", 30, INK, "serif-bold")
    _paragraphs(first, 250, (
        "Property of Ms T. Fenwick. Examined on 18 November 2024.",
        "Viola, length of back 40.6 cm. The back is one piece of maple with narrow flame; the ribs match it. The top "
        "is of two pieces of spruce. The scroll is by another and better hand. No label.",
        "Condition: seam of the lower bout reglued; a crack below the bass f-hole, cleated; pegs of rosewood, not "
        "original. Nothing that harms the tone.",
        "I value the instrument at 5,800 pounds and the bow, stamped but worn, at 950 pounds.",
    ))  # fmt: skip
    first.write(80, 940, "B. Sorley", 34, "#2a3b6e", "hand")
    second.write(80, 70, "Remarks", 30, INK, "serif-bold")
    _paragraphs(second, 130, (
        "With a mirror a line in pencil can be read on the inside of the top: repaired 1931, Lindner, Markneukirchen. "
        "This makes the date of 1920 to 1925 likely.",
        "The bass bar is new, about 1985, and well fitted.",
        "This valuation is good for five years. The next one is due in November 2029.",
    ))  # fmt: skip
    return [jpeg(scanned(first.done(), 0.7, 16, 6), 45), jpeg(scanned(second.done(), -0.6, 17, 6), 45)]


def _paragraphs(sheet: Sheet, y: float, paragraphs: tuple[str, ...], face: Face = "serif") -> None:
    for words in paragraphs:
        y = sheet.paragraph(80, y, 620, words, 25, INK, face, 1.45) + 20


def index_card() -> bytes:
    """What Liesel photographed in the museum's store: the card of Anselm's medal."""
    sheet = Sheet(760, 480, "#efe6cf")
    for number in range(6):
        sheet.line([(40, 130 + number * 56), (720, 130 + number * 56)], "#b8c4cf", 2)
    sheet.line([(40, 74), (720, 74)], "#c46a5f", 3)
    sheet.write(40, 30, "Museum store, medals", 27, INK, "mono-bold")
    for number, words in enumerate((
        "Inventory number 1909/77-b", "Silver, 41 mm, trades exhibition", "Given to A. Brandt, clockmaker",
        "Cabinet 6, drawer 23", "Lent out 1936, returned 1951", "Box damaged by water",
    )):  # fmt: skip
        sheet.write(52, 90 + number * 56, words, 27, "#2d3550", "mono")
    return jpeg(scanned(_on_glass(sheet.done(), 20), 2.1, 18, 5), 60)


def _on_glass(image: Image.Image, margin: int = 34) -> Image.Image:
    """`image` on the grey of the scanner's lid."""
    glass = Image.new("RGB", (image.width + 2 * margin, image.height + 2 * margin), "#d9d6cf")
    glass.paste(image, (margin, margin))
    return glass
