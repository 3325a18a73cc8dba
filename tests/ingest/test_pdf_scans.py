"""Pages without usable text are read from their pixels, at the right page, as long as there is time."""

import pytest
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from rag.ingest.chunk import chunk
from rag.ingest.clock import limited_to
from rag.ingest.ocr import Ocr
from rag.ingest.pdf_scans import is_blank, pages_named
from rag.ingest.read_pdf import PdfReader
from rag.records import Document, Source
from tests.ingest.drawn import FixedOcr, HandClock, SlowOcr, pdf_of, picture, scan, show, write

WORDS = "The kettle was read from its pixels by a machine that knows letters"
SHEET = scan("THE KETTLE OF 1987", "was sold to Mrs Brewer", "for twelve pounds and a cup of tea")


def read(data: bytes, ocr: FixedOcr | Ocr | None) -> Document:
    return PdfReader(ocr, 120).read(Source("/docs/scan.pdf", "application/pdf", data))  # type: ignore[arg-type]


def scanned(canvas: Canvas) -> None:
    show(canvas, SHEET, 0, 0, *A4)


def typed(canvas: Canvas) -> None:
    write(canvas, ["A typed page with words of its own, of which there are enough for a page."] * 2, 72, 700)


def empty(canvas: Canvas) -> None:
    del canvas


def test_a_scan_among_typed_pages_is_read_for_real_at_its_page() -> None:
    document = read(pdf_of(typed, scanned, typed), Ocr())
    first, second, third = document.pages
    text = document.text[second.start : second.end]
    assert "KETTLE OF 1987" in text
    assert "twelve pounds and a cup of tea" in text
    assert document.text[first.start : first.end] == document.text[third.start : third.end] != text
    assert (first.lines, third.lines) == ((), ())
    line = next(each for each in second.lines if "twelve" in document.text[each.start : each.end])
    # 80 of 827 pixels from the left, the third line 200 of 1169 from the top, some 30 high
    assert (line.box.left, line.box.top, line.box.bottom) == pytest.approx((0.097, 0.17, 0.2), abs=0.02)
    assert (document.pictures, document.headings, document.warnings) == ((), (), ())


def test_chunks_of_a_scanned_page_know_their_region() -> None:
    document = read(pdf_of(typed, scanned), FixedOcr(WORDS))
    pieces = chunk(document, lambda text: [(at, at + 1) for at, char in enumerate(text) if char == " "], 100)
    assert [(each.page, each.modality, each.region is None) for each in pieces] == [
        (1, "text", True),
        (2, "text", False),
    ]
    region = pieces[1].region
    assert region
    assert (region.left, region.top, region.right, region.bottom) == (0.1, 0.2, 0.9, 0.4)  # as FixedOcr says


def test_pages_are_drawn_at_two_hundred_dots_an_inch_within_the_limit() -> None:
    ocr = FixedOcr(WORDS)
    read(pdf_of(scanned), ocr)
    assert ocr.seen == [pytest.approx((595 / 72 * 200, 842 / 72 * 200), abs=2)]
    small = FixedOcr(WORDS)
    PdfReader(small, 2).read(Source("/s.pdf", "application/pdf", pdf_of(scanned)))  # type: ignore[arg-type]
    [(width, height)] = small.seen
    assert 1_900_000 < width * height <= 2_000_000


def test_a_poster_is_drawn_no_longer_than_six_thousand_pixels() -> None:
    ocr = FixedOcr(WORDS)
    read(pdf_of(lambda canvas: show(canvas, SHEET, 0, 0, 7200, 1200), size=(7200, 1200)), ocr)
    assert ocr.seen == [pytest.approx((6000, 1000), abs=1)]


def test_without_ocr_the_page_is_named_with_advice() -> None:
    document = read(pdf_of(typed, scanned), None)
    assert document.warnings == ("no text on page 2; set RAG_OCR=true to read the text in pixels, and add it again",)
    assert document.pictures == ()


def test_a_page_without_anything_on_it_is_nothing_to_tell_of() -> None:
    ocr = FixedOcr(WORDS)
    document = read(pdf_of(typed, empty), ocr)
    assert (ocr.seen, document.warnings, document.pages[1].start == document.pages[1].end) == ([], (), True)


def test_a_page_that_is_one_photo_is_a_figure() -> None:
    document = read(pdf_of(typed, lambda canvas: show(canvas, picture(), 0, 0, *A4)), FixedOcr(""))
    [found] = document.pictures
    assert (found.page, found.box and (found.box.left, found.box.top)) == (2, (0.0, 0.0))
    assert document.warnings == ()


def test_a_photo_with_a_word_on_it_is_both() -> None:
    ocr = FixedOcr("EXIT")
    document = read(pdf_of(lambda canvas: show(canvas, picture(), 0, 0, *A4)), ocr)
    assert document.text == "EXIT"
    assert [(each.start, each.end, each.around) for each in document.pictures] == [(0, 0, "EXIT")]
    assert len(ocr.seen) == 1


def test_a_stamp_on_a_scan_does_not_hide_it() -> None:
    def stamped(canvas: Canvas) -> None:
        scanned(canvas)
        write(canvas, ["Received 4 May"], 400, 800)

    assert read(pdf_of(stamped), FixedOcr(WORDS)).text == WORDS
    assert read(pdf_of(stamped), FixedOcr("short")).text == "Received 4 May"


def test_few_words_over_no_scan_are_believed() -> None:
    ocr = FixedOcr(WORDS)
    assert read(pdf_of(lambda canvas: write(canvas, ["Chapter One"], 72, 700)), ocr).text == "Chapter One"
    assert ocr.seen == []


def test_text_drawn_as_lines_is_read() -> None:
    def outlined(canvas: Canvas) -> None:
        for at in range(20):
            canvas.line(72 + 10 * at, 500, 80 + 10 * at, 520)

    document = read(pdf_of(outlined), FixedOcr(WORDS))
    assert document.text == WORDS
    assert document.pictures == ()


@pytest.mark.parametrize(("seconds", "named"), [(6, "pages 6-9 were"), (9, "page 9 was")])
def test_a_long_scan_is_kept_in_part_and_the_rest_named(seconds: int, named: str, clock: HandClock) -> None:
    data = pdf_of(*[scanned] * 9)
    with limited_to(seconds):
        document = read(data, SlowOcr(clock))
    # A page takes a second, and another one is begun only if there were time for one that takes half as long again.
    done = seconds - 1
    assert [page.number for page in document.pages if page.lines] == list(range(1, done + 1))
    whose = "its" if done == 8 else "their"
    assert document.warnings == (
        f"{named} not read, as there was no time left for {whose} text in pixels; "
        "set RAG_READ_SECONDS higher and add it again",
    )
    assert [page.number for page in document.pages] == list(range(1, 10))


def test_without_any_time_no_pixel_is_read() -> None:
    ocr = FixedOcr(WORDS)
    with limited_to(0):
        document = read(pdf_of(typed, scanned), ocr)
    assert ocr.seen == []
    assert "typed page" in document.text
    assert "page 2 was not read" in document.warnings[0]


@pytest.mark.parametrize(
    ("numbers", "named"),
    [([4], "page 4"), ([1, 2, 3, 7], "pages 1-3, 7"), ([1, 3], "pages 1, 3"), ([2, 3], "pages 2-3")],
)
def test_pages_are_named_in_ranges(numbers: list[int], named: str) -> None:
    assert pages_named(numbers) == named


def test_blank_is_what_shows_nothing() -> None:
    paper = Image.new("RGB", (20, 20), (250, 248, 240))
    assert is_blank(paper)
    paper.putpixel((3, 3), (238, 238, 238))  # a shade
    assert is_blank(paper)
    paper.putpixel((3, 3), (10, 10, 10))
    assert not is_blank(paper)
