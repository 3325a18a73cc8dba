"""Figures of real PDFs: which are found, where they lie, what is known of them, and that they are found again."""

import io
import subprocess
import sys
import time
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pypdf
import pytest
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from rag.ingest.chunk import chunk
from rag.ingest.clock import limited_to
from rag.ingest.ocr import Ocr
from rag.ingest.originals import open_picture
from rag.ingest.pdf_pictures import MOST_FIGURES, digest_of
from rag.ingest.read_pdf import PdfReader
from rag.records import Document, Picture, Source
from tests.ingest.drawn import FixedOcr, chart, pdf_of, picture, show, write
from tests.ingest.files import locked_pdf, written

WIDTH, HEIGHT = A4


def source(data: bytes) -> Source:
    return Source("/docs/kettle.pdf", "application/pdf", data)


def read(data: bytes, ocr: FixedOcr | Ocr | None = None) -> Document:
    return PdfReader(ocr, 120).read(source(data))  # type: ignore[arg-type]


def opened(document: Document, data: bytes, number: int = 1) -> Image.Image:
    return Image.open(io.BytesIO(open_picture(document, number, source(data))))


def box_of(found: Picture) -> tuple[float, float, float, float]:
    assert found.box
    return found.box.left, found.box.top, found.box.right, found.box.bottom


def with_figure(canvas: Canvas) -> None:
    write(canvas, ["The kettle boils early on the mountain, as Figure 1 shows."], 72, 780)
    show(canvas, picture(), 72, 500)
    write(canvas, ["Figure 1: The kettle in the morning,", "before it is warm."], 72, 485)
    write(canvas, ["Another paragraph stands below it."], 72, 430)


FIGURE = pdf_of(with_figure)


def test_a_picture_with_a_caption_is_a_figure() -> None:
    document = read(FIGURE)
    [found] = document.pictures
    assert (found.number, found.page, found.path) == (1, 1, "")
    assert box_of(found) == pytest.approx((72 / WIDTH, 1 - 650 / HEIGHT, 272 / WIDTH, 1 - 500 / HEIGHT), abs=1e-4)
    assert found.caption == "Figure 1: The kettle in the morning, before it is warm."
    assert found.around == (
        "The kettle boils early on the mountain, as Figure 1 shows. Another paragraph stands below it."
    )
    assert document.text[found.at :].startswith("Figure 1: The kettle")
    assert found.start == found.end
    assert Image.open(io.BytesIO(found.preview)).format == "WEBP"
    assert document.warnings == ()


def test_a_figure_is_drawn_again_with_the_same_pixels() -> None:
    document = read(FIGURE)
    [found] = document.pictures
    image = opened(document, FIGURE)
    assert (image.size, image.format) == ((found.width, found.height), "PNG")
    assert digest_of(image) == found.digest
    assert 800 <= max(image.size) <= 802  # 200 points at 200 dots an inch are 556 pixels, fewer than the least


def test_the_drawn_figure_shows_the_picture_itself() -> None:
    document = read(FIGURE)
    shown = opened(document, FIGURE).resize((400, 300))
    difference = sum(
        abs(a - b)
        for p, q in zip(shown.get_flattened_data(), picture().get_flattened_data(), strict=True)
        for a, b in zip(p, q, strict=True)
    )
    assert difference / (400 * 300 * 3) < 8


def test_words_in_a_figure_become_a_block_of_its_page() -> None:
    ocr = FixedOcr("KETTLE 4711")
    document = read(pdf_of(with_figure, lambda canvas: write(canvas, ["The second page."], 72, 700)), ocr)
    [found] = document.pictures
    first, second = document.pages
    assert document.text[found.start : found.end] == "KETTLE 4711"
    assert first.start <= found.start < found.end == first.end
    assert document.text[second.start : second.end] == "The second page."
    assert [document.text[line.start : line.end] for line in found.lines] == ["KETTLE 4711"]
    assert len(ocr.seen) == 1
    assert document.text[found.at :].startswith("Figure 1")


def test_the_words_in_a_figure_are_read_for_real() -> None:
    def with_words(canvas: Canvas) -> None:
        write(canvas, ["Text of the page."], 72, 700)
        show(canvas, picture(600, 300, "KETTLE 4711"), 72, 500, 300, 150)

    document = read(pdf_of(with_words), Ocr())
    [found] = document.pictures
    assert document.text[found.start : found.end] == "KETTLE 4711"


def test_text_that_the_page_has_already_is_not_read_again() -> None:
    def labelled(canvas: Canvas) -> None:
        show(canvas, picture(), 72, 500)
        write(canvas, ["A label over the picture"], 90, 580)
        write(canvas, ["Plain text of the page stands here."], 72, 400)

    ocr = FixedOcr()
    [found] = read(pdf_of(labelled), ocr).pictures
    assert (found.start, ocr.seen) == (found.end, [])


def test_a_drawing_with_a_caption_is_a_figure_with_its_labels() -> None:
    def drawn(canvas: Canvas) -> None:
        write(canvas, ["Words above the drawing which go on for most of the width of the page."], 72, 780)
        chart(canvas, 100, 150)
        write(canvas, ["Fig. 2. Warmth over the year"], 100, 110)

    document = read(pdf_of(drawn), FixedOcr())
    [found] = document.pictures
    left, top, right, bottom = box_of(found)
    assert (left, right) == pytest.approx((100 / WIDTH, 400 / WIDTH), abs=0.01)
    assert top == pytest.approx(1 - 330 / HEIGHT, abs=0.01)
    assert 1 - 138 / HEIGHT < bottom < 1 - 110 / HEIGHT  # the labels are in it, the caption is not
    assert found.caption == "Fig. 2. Warmth over the year"
    assert document.text.count("Q1 Q2 Q3 Q4") == 1


def test_a_drawing_without_a_caption_is_none() -> None:
    assert read(pdf_of(lambda canvas: chart(canvas, 100, 150))).pictures == ()


def test_a_figure_inside_another_drawing_lies_where_it_is_seen() -> None:
    def nested(canvas: Canvas) -> None:
        canvas.beginForm("inner")
        show(canvas, picture(), 10, 20)
        canvas.endForm()
        canvas.translate(50, 300)
        canvas.scale(1.5, 1.5)
        canvas.doForm("inner")

    [found] = read(pdf_of(nested)).pictures
    corners = (65, 330, 365, 555)  # 50 + 1.5 * 10 ..., 50 + 1.5 * 210 ...
    expected = (corners[0] / WIDTH, 1 - corners[3] / HEIGHT, corners[2] / WIDTH, 1 - corners[1] / HEIGHT)
    assert box_of(found) == pytest.approx(expected, abs=1e-4)


def test_a_picture_that_is_clipped_has_the_frame_that_is_seen() -> None:
    def clipped(canvas: Canvas) -> None:
        path = canvas.beginPath()
        path.rect(100, 520, 120, 100)
        canvas.clipPath(path, stroke=0)
        show(canvas, picture(), 72, 500)

    [found] = read(pdf_of(clipped)).pictures
    assert box_of(found) == pytest.approx((100 / WIDTH, 1 - 620 / HEIGHT, 220 / WIDTH, 1 - 520 / HEIGHT), abs=1e-4)


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_on_a_turned_page_the_figure_is_where_it_is_seen(turned: int) -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(FIGURE))
    writer.pages[0].rotate(turned)
    data = written(writer)
    document = read(data)
    [found] = document.pictures
    left, top, right, bottom = box_of(read(FIGURE).pictures[0])
    expected = {
        90: (1 - bottom, left, 1 - top, right),
        180: (1 - right, 1 - bottom, 1 - left, 1 - top),
        270: (top, 1 - right, bottom, 1 - left),
    }[turned]
    assert box_of(found) == pytest.approx(expected, abs=1e-4)
    upright = opened(document, data).rotate(turned, expand=True)
    assert upright.size == pytest.approx((800, 600), abs=2)


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_page_that_is_drawn_sideways_and_turned_upright_is_read_as_it_is_seen(turned: int) -> None:
    size = (WIDTH, HEIGHT) if turned == 180 else (HEIGHT, WIDTH)
    origin = {90: (HEIGHT, 0), 180: (WIDTH, HEIGHT), 270: (0, WIDTH)}[turned]

    def sideways(canvas: Canvas) -> None:
        canvas.translate(*origin)
        canvas.rotate(turned)
        with_figure(canvas)

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf_of(sideways, size=size)))
    writer.pages[0].rotate(turned)
    document, upright = read(written(writer)), read(FIGURE)
    assert document.text == upright.text
    [found], [expected] = document.pictures, upright.pictures
    assert box_of(found) == pytest.approx(box_of(expected), abs=1e-3)
    assert (found.caption, found.around, found.at) == (expected.caption, expected.around, expected.at)


def test_on_a_cropped_page_places_are_those_of_what_is_shown() -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(FIGURE))
    writer.pages[0].cropbox = pypdf.generic.RectangleObject((50, 400, 350, 700))
    data = written(writer)
    [found] = read(data).pictures
    assert box_of(found) == pytest.approx((22 / 300, 50 / 300, 222 / 300, 200 / 300), abs=1e-4)
    assert opened(read(data), data).size == pytest.approx((800, 600), abs=2)


def test_a_locked_file_with_an_empty_password_has_its_figures() -> None:
    data = locked_pdf(FIGURE, "", algorithm="AES-256")
    document = read(data)
    assert digest_of(opened(document, data)) == document.pictures[0].digest == read(FIGURE).pictures[0].digest


def test_strips_that_touch_are_one_figure() -> None:
    def strips(canvas: Canvas) -> None:
        whole = picture(400, 300)
        for at in range(10):
            show(canvas, whole.crop((0, at * 30, 400, at * 30 + 30)), 72, 500 + 150 - 15 * (at + 1), 200, 15)

    [found] = read(pdf_of(strips)).pictures
    assert box_of(found) == pytest.approx((72 / WIDTH, 1 - 650 / HEIGHT, 272 / WIDTH, 1 - 500 / HEIGHT), abs=1e-4)


def test_two_pictures_with_a_gap_between_them_are_two_under_one_caption() -> None:
    def pair(canvas: Canvas) -> None:
        show(canvas, picture(), 72, 500)
        show(canvas, picture(seed=2), 290, 500)
        write(canvas, ["Figure 4: Before, and behind it the same kettle some hours after"], 100, 485)

    first, second = read(pdf_of(pair)).pictures
    assert first.caption == second.caption != ""
    assert first.digest != second.digest


def test_icons_rules_and_banners_are_none() -> None:
    def decorated(canvas: Canvas) -> None:
        show(canvas, picture(), 72, 700, 30, 30)
        show(canvas, picture(), 72, 600, 400, 20)
        show(canvas, Image.new("RGB", (300, 200), "beige"), 72, 200)
        write(canvas, ["Some text of the page."], 72, 500)

    assert read(pdf_of(decorated)).pictures == ()


def test_a_logo_on_every_page_is_none_and_a_figure_beside_it_is() -> None:
    def branded(canvas: Canvas) -> None:
        show(canvas, picture(seed=7), 400, 700, 120, 90)
        write(canvas, ["Some text of the page."], 72, 500)

    def with_both(canvas: Canvas) -> None:
        branded(canvas)
        show(canvas, picture(seed=8), 72, 200)

    [found] = read(pdf_of(branded, branded, with_both)).pictures
    assert found.page == 3
    assert len(read(pdf_of(branded, with_both)).pictures) == 3  # on two pages it may be an illustration


def test_what_lies_under_a_whole_page_of_text_is_no_figure() -> None:
    def printed(canvas: Canvas) -> None:
        show(canvas, picture(600, 850), 0, 0, WIDTH, HEIGHT)
        write(canvas, ["The kettle boils on a page that was scanned and read by somebody else."] * 3, 72, 700)

    assert read(pdf_of(printed), FixedOcr()).pictures == ()


def test_the_same_picture_in_two_files_has_one_digest() -> None:
    def elsewhere(canvas: Canvas) -> None:
        write(canvas, ["Quite another document."], 72, 300)
        show(canvas, picture(), 72, 500)

    assert read(pdf_of(elsewhere)).pictures[0].digest == read(FIGURE).pictures[0].digest


def raw_pdf(content: bytes, images: Sequence[bytes]) -> bytes:
    """A page of A4 whose content may draw the pictures /I0, /I1 ...; each is given as a whole stream object."""
    names = b" ".join(b"/I%d %d 0 R" % (at, at + 5) for at in range(len(images)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /XObject << %s >> "
        b"/Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>" % names,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        *images,
    ]
    made, places = bytearray(b"%PDF-1.7\n"), []
    for number, each in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    start = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(made) + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)


def raw_image(
    data: bytes, width: int, height: int, *, bits: int = 8, colours: bytes = b"Gray", packed: bool = True
) -> bytes:
    packing = b"/Filter /FlateDecode" if packed else b""
    return (
        b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /BitsPerComponent %d /ColorSpace /Device%s %s "
        b"/Length %d >>\nstream\n%s\nendstream" % (width, height, bits, colours, packing, len(data), data)
    )


def one_image(image: bytes) -> bytes:
    return raw_pdf(b"BT /F 12 Tf 72 700 Td (Words of the page) Tj ET q 300 0 0 200 72 300 cm /I0 Do Q", [image])


def five_thousand(step: float, size: float) -> bytes:
    places = ((40 + at % 70 * step, 40 + at // 70 * step) for at in range(5000))
    content = b" ".join(
        b"q %g 0 0 %g %g %g cm /I%d Do Q" % (size, size, *at, number) for number, at in enumerate(places)
    )
    pixels = (bytes([number % 256, number // 256, 100, 0, 0, 0]) for number in range(5000))
    images = [raw_image(each, 2, 1, colours=b"RGB", packed=False) for each in pixels]
    return raw_pdf(content, images)


def test_five_thousand_tiny_pictures_are_none_in_little_time() -> None:
    data = five_thousand(7.5, 4)
    started = time.process_time()
    assert read(data).pictures == ()
    assert time.process_time() - started < 15  # 1 s when idle


def test_five_thousand_tiles_are_one_figure() -> None:
    data = five_thousand(7, 7)
    started = time.process_time()
    [found] = read(data).pictures
    assert time.process_time() - started < 30  # 2 s when idle
    assert box_of(found)[2] - box_of(found)[0] == pytest.approx(70 * 7 / 595, abs=1e-3)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
@pytest.mark.parametrize("case", ["tiles", "one of 110 million pixels"])
def test_pictures_of_pdfs_stay_within_bounds_of_memory(tmp_path: Path, case: str) -> None:
    row = bytes(range(256)) * 123
    large = (row[: 10_500 * 3] for _ in range(10_500))
    data = (
        five_thousand(7, 7)
        if case == "tiles"
        else one_image(raw_image(deflated(large), 10_500, 10_500, colours=b"RGB"))
    )
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    code = (
        "import sys; from pathlib import Path; from rag.ingest.read_pdf import PdfReader; "
        "from rag.records import Source; source = Source('/a.pdf', 'application/pdf', Path(sys.argv[1]).read_bytes()); "
        "document = PdfReader(None, 120).read(source); "
        "peak = Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0]; "
        "print(len(document.pictures), int(peak) // 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, timeout=300
    )
    figures, megabytes = map(int, done.stdout.split())
    assert figures == 1
    assert megabytes < 400  # 180 on 64-bit Linux


def deflated(parts: Iterable[bytes]) -> bytes:
    packer = zlib.compressobj(1)
    return b"".join([*(packer.compress(part) for part in parts), packer.flush()])


def test_figures_have_a_limit_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_FIGURES == 500
    monkeypatch.setattr("rag.ingest.pdf_pictures.MOST_FIGURES", 3)

    def many(canvas: Canvas) -> None:
        for at in range(5):
            show(canvas, picture(80, 60, seed=at), 72, 40 + at * 150, 120, 90)

    document = read(pdf_of(many))
    assert [each.number for each in document.pictures] == [1, 2, 3]
    assert document.warnings[0] == "it has 5 figures; those after the first 3 are left out"


def test_out_of_time_the_text_is_kept_and_the_missing_figures_are_told() -> None:
    with limited_to(0):
        document = read(FIGURE, FixedOcr())
    assert "boils early" in document.text
    assert document.pictures == ()
    assert document.warnings == (
        "the figures from page 1 on were not read, as there was no time left; "
        "set RAG_READ_SECONDS higher and add it again",
    )


@pytest.mark.parametrize(
    "image",
    [b"", b"not deflated at all", zlib.compress(bytes(range(256)) * 40)[:60], zlib.compress(b"")],
    ids=["empty", "garbage", "cut off", "nothing inside"],
)
def test_a_broken_picture_costs_no_text(image: bytes) -> None:
    document = read(one_image(raw_image(image, 100, 100)), FixedOcr())
    assert document.text.startswith("Words of the page")


def test_a_huge_picture_is_refused_by_name_before_it_is_unpacked() -> None:
    started = time.process_time()
    document = read(one_image(raw_image(zlib.compress(b"\0" * 1_000_000), 50_000, 50_000, bits=1)))
    assert document.text == "Words of the page"
    assert document.pictures == ()
    assert document.warnings == (
        "a picture on page 1 has 2500 million pixels, more than 120; set RAG_MAX_MEGAPIXELS higher to look at it",
    )
    assert time.process_time() - started < 30


def test_a_sound_raw_picture_is_a_figure() -> None:
    pixels = bytes((x * y) % 256 for y in range(200) for x in range(300))
    assert len(read(one_image(raw_image(zlib.compress(pixels), 300, 200))).pictures) == 1


def test_without_figures_there_are_none() -> None:
    document = PdfReader(None, 120, figures=False).read(source(FIGURE))
    assert document.pictures == ()
    assert document.text == read(FIGURE).text


def test_chunks_of_figures_carry_their_place() -> None:
    document = read(FIGURE, FixedOcr("KETTLE 4711"))
    images = [
        each
        for each in chunk(document, lambda text: [(at, at + 1) for at in range(len(text))], 400)
        if each.modality == "image"
    ]
    [found] = document.pictures
    assert [(each.picture, each.page, each.region, each.text, each.digest) for each in images] == [
        (1, 1, found.box, "KETTLE 4711", found.digest)
    ]


def test_reading_twice_gives_the_same() -> None:
    assert read(FIGURE) == read(FIGURE)
