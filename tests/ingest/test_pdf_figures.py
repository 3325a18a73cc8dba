"""The rules by which marks on a page become figures, on pages made of numbers."""

import random
import time

import pytest

from rag.ingest.pdf_figures import (
    Figure,
    background,
    figures_of_page,
    is_caption,
    mention_of,
    merged,
    without_repeated,
)
from rag.ingest.pdf_file import Mark, Rect
from rag.ingest.pdf_layout import Line

PAGE = Rect(0, 0, 600, 800)


def line(text: str, left: float, top: float, width: float = 200, height: float = 10) -> Line:
    return Line(text, left, left + width, PAGE.bottom - top - height, height)


@pytest.mark.parametrize(
    "text",
    [
        "Figure 1: A kettle", "Fig. 12. The tea", "FIGURE 3", "Figure 2", "Fig 4 | Tea", "Figure A1. Tea",
        "Fig. 2-3: x", "Figure 3.1 The kettle", "Abbildung 4: Der Kessel", "Abb. 7 – Tee", "Figure 5a) left",
        "Chart 2: Rain",
    ],
)  # fmt: skip
def test_lines_that_name_a_figure(text: str) -> None:
    assert is_caption(text)


@pytest.mark.parametrize(
    "text",
    [
        "Figure 3 shows a kettle",
        "Fig. 2 and others",
        "Figures are rare",
        "see Figure 3",
        "Figure",
        "Configure 3: x",
        "",
    ],
)
def test_lines_that_do_not(text: str) -> None:
    assert not is_caption(text)


def test_mentions_are_of_that_number_only() -> None:
    pattern = mention_of("Figure 3: A kettle")
    assert pattern
    assert [bool(pattern.search(text)) for text in ("see Fig. 3.", "(figure 3)", "Figure 31", "Table 3")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert mention_of("A kettle") is None


def test_what_touches_is_merged_however_it_comes() -> None:
    tiles = [Rect(x * 10, y * 10, x * 10 + 10, y * 10 + 10) for x in range(8) for y in range(5)]
    tiles += [Rect(300 + x * 10, 0, 310 + x * 10, 10) for x in range(3)]
    for seed in range(5):
        random.Random(seed).shuffle(tiles)
        found = sorted((each.rect for each in merged(map(Figure, tiles), 1)), key=lambda rect: rect.left)
        assert found == [Rect(0, 0, 80, 50), Rect(300, 0, 330, 10)]


def test_what_grows_together_is_merged_too() -> None:
    # the first two are apart, until the third joins them and the frame of all reaches the fourth
    apart = [Rect(0, 0, 10, 10), Rect(30, 30, 40, 40), Rect(8, 8, 32, 32), Rect(35, 0, 38, 3)]
    assert [each.rect for each in merged(map(Figure, apart), 0)] == [Rect(0, 0, 40, 40)]


def test_merging_stays_quick_for_thousands_that_do_not_touch() -> None:
    started = time.process_time()
    grid = (Figure(Rect(x * 10, y * 10, x * 10 + 4, y * 10 + 4)) for x in range(100) for y in range(100))
    assert len(merged(grid, 1)) == 10_000
    assert time.process_time() - started < 20  # .6 s when idle


def test_the_nearest_caption_is_taken_and_the_one_below_before_the_one_above() -> None:
    marks = [Mark("picture", Rect(50, 100, 250, 200)), Mark("picture", Rect(50, 230, 250, 330))]
    first, second = line("Figure 1: A", 50, 205), line("Figure 2: B", 50, 335)
    assert [each.caption for each in figures_of_page(PAGE, marks, [first, second])] == [first, second]
    above = line("Figure 1: A", 50, 80)
    assert [each.caption for each in figures_of_page(PAGE, marks[:1], [above])] == [above]
    aside, far = line("Figure 3: C", 300, 205), line("Figure 4: D", 50, 270)
    assert [each.caption for each in figures_of_page(PAGE, marks[:1], [aside, far])] == [None]


def test_a_drawing_takes_labels_beside_it_but_not_the_text_below() -> None:
    drawn = [Mark("drawing", Rect(100, 100, 300, 100)), Mark("drawing", Rect(100, 100, 100, 250))]
    labels = [line("10 °C", 70, 120, 25), line("a wide label that spans the axis", 100, 255, 200)]
    body = [line("Running text of the column above.", 60, 84, 400), line("Behind the caption.", 100, 300, 100)]
    caption = line("Figure 1: Rain", 100, 275)
    [found] = figures_of_page(PAGE, drawn, [*body, *labels, caption])
    assert found == Figure(Rect(70, 100, 300, 265), caption=caption)


def test_a_drawing_around_a_picture_is_one_figure_with_it() -> None:
    marks = [Mark("picture", Rect(100, 100, 300, 250), 7), Mark("drawing", Rect(95, 95, 305, 255))]
    caption = line("Figure 1: Framed", 100, 260)
    assert figures_of_page(PAGE, marks, [caption]) == [Figure(Rect(95, 95, 305, 255), caption=caption)]


def test_frames_of_the_page_and_rules_draw_no_figure() -> None:
    caption = line("Figure 1: Nothing", 100, 260)
    frame = Mark("drawing", Rect(5, 5, 595, 795))
    rule = Mark("drawing", Rect(50, 240, 550, 241))
    assert figures_of_page(PAGE, [frame, rule], [caption]) == []


@pytest.mark.parametrize(
    ("rect", "named", "kept"),
    [
        (Rect(0, 0, 50, 50), True, True),
        (Rect(0, 0, 35, 90), True, False),
        (Rect(0, 0, 49, 49), True, False),
        (Rect(0, 0, 60, 60), False, False),
        (Rect(0, 0, 72, 72), False, True),
        (Rect(0, 0, 590, 54), False, False),
        (Rect(0, 0, 530, 54), False, True),
        (Rect(0, 0, 600, 700), False, False),
    ],
)
def test_how_large_a_picture_must_be(rect: Rect, named: bool, kept: bool) -> None:
    lines = [line("Figure 1: A", 0, rect.bottom + 5)] if named else []
    assert bool(figures_of_page(PAGE, [Mark("picture", rect)], lines)) is kept


def test_a_background_may_come_in_strips() -> None:
    strips = [Mark("picture", Rect(0, at * 100, 600, at * 100 + 100)) for at in range(8)]
    assert background(PAGE, strips) == PAGE
    assert background(PAGE, strips[:4]) is None
    assert background(PAGE, [Mark("drawing", PAGE)]) is None
    assert figures_of_page(PAGE, strips, []) == []


def test_a_picture_on_three_pages_is_a_logo_unless_it_is_named() -> None:
    logo, other, unknown = Figure(PAGE, 7), Figure(PAGE, 8), Figure(PAGE, 0)
    named = Figure(PAGE, 7, line("Figure 1: The logo", 0, 0))
    pages = [[logo, other], [logo, unknown], [logo, unknown], [named, unknown, other]]
    assert without_repeated(pages) == [[other], [unknown], [unknown], [named, unknown, other]]
    assert without_repeated([[logo, logo, logo], [logo]]) == [[logo, logo, logo], [logo]]
