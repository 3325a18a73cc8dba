import pytest

from rag.ingest.pdf_layout import HYPHEN, Line, Outline, lay_out

WIDTH = 5.0  # points of a character in these made-up lines


def line(text: str, row: float, left: float = 50, height: float = 10) -> Line:
    """`text` on line `row` from the top, lines being 12 points apart."""
    return Line(text, left, left + WIDTH * len(text), 800 - 12 * row, height)


FULL = "words that fill the whole width of this column"


def text_of(*lines: Line) -> str:
    return lay_out([list(lines)]).text


def test_a_line_is_joined_where_the_next_word_did_not_fit() -> None:
    assert text_of(line(FULL, 0), line("and go on", 1)) == f"{FULL} and go on"
    assert text_of(line(FULL, 0), line("short", 1), line("next", 2)) == f"{FULL} short\nnext"


@pytest.mark.parametrize("sign", [HYPHEN, "-", "\xad", "\u2010"])
def test_hyphens_are_mended(sign: str) -> None:
    assert text_of(line(f"a temper{sign}", 0), line("ature", 1), line(FULL, 2)).startswith("a temperature")


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        (f"it is well{HYPHEN}", "known here", "it is well-known here"),  # the word stands elsewhere with its hyphen
        (f"with Jean{HYPHEN}", "Pierre", "with Jean-Pierre"),
        (f"years 1914{HYPHEN}", "18 were", "years 1914-18 were"),
    ],
)
def test_hyphens_that_belong_to_the_word_stay(first: str, second: str, joined: str) -> None:
    wide = first.rjust(len(FULL), "x")
    assert text_of(line("a well-known thing in it", 0), line(wide, 1), line(second, 2)).endswith(joined)


def test_indents_gaps_and_sizes_part_paragraphs() -> None:
    assert text_of(line(FULL, 0), line("indented", 1, left=60)) == f"{FULL}\n\nindented"
    assert text_of(line(FULL, 0), line(FULL, 1), line("below a gap", 3)) == f"{FULL} {FULL}\n\nbelow a gap"
    assert text_of(line(FULL, 0), line("small print", 1, height=7)) == f"{FULL}\n\nsmall print"


def test_list_items_hang() -> None:
    item = "- an item that fills the whole of this column"
    assert text_of(line(item, 0), line("and hangs", 1, left=60), line("- next", 2)) == f"{item} and hangs\n- next"


def test_the_next_column_goes_on_in_the_middle_of_a_sentence_only() -> None:
    assert text_of(line(FULL, 5), line("goes on", 0, left=400)) == f"{FULL} goes on"
    assert text_of(line(f"{FULL}.", 5), line("New", 0, left=400)) == f"{FULL}.\n\nNew"


def test_headings_by_size_over_several_lines() -> None:
    layout = lay_out(
        [[line("A heading of", 0, height=20), line("two lines", 1.5, height=20), line(FULL, 4), line(FULL, 5)]]
    )
    assert [(each.level, each.text, each.start) for each in layout.headings] == [(1, "A heading of two lines", 0)]
    assert layout.text == f"A heading of two lines\n\n{FULL} {FULL}"


def test_levels_follow_sizes_and_a_sentence_in_large_type_is_no_heading() -> None:
    page = [line("Big", 0, height=30), line("Mid", 3, height=20), line("x" * 151, 6, height=20), line(FULL * 4, 8)]
    assert [(each.level, each.text) for each in lay_out([page]).headings] == [(1, "Big"), (2, "Mid")]


def test_bookmarks_name_headings_of_body_size_on_their_page() -> None:
    pages = [[line("Same words", 0), line(FULL, 3)], [line("Same words", 0), line(FULL, 3)]]
    layout = lay_out(pages, [Outline("SAME  words", 2, 2)])
    assert [(each.level, each.start) for each in layout.headings] == [(2, layout.pages[1].start)]


def test_page_numbers_go_and_numbers_in_the_text_stay() -> None:
    assert text_of(line("3", 0), line(FULL, 1), line("7", 3), line("1", 9)) == f"3\n{FULL}\n\n7"


def test_running_heads_stay_on_their_first_page() -> None:
    pages = [
        [line(f"Kettles, part {number}", 0), line("body", 3), line(f"{name} end", 4)]
        for number, name in ((1, "one"), (2, "two"), (3, "three"))
    ]
    texts = [part.split() for part in lay_out(pages).text.split("\n\n")]
    assert texts == [
        ["Kettles,", "part", "1"],
        ["body", "one", "end"],
        ["body", "two", "end"],
        ["body", "three", "end"],
    ]


def test_pages_are_spans_also_where_they_are_empty_or_plain() -> None:
    layout = lay_out([[line("one", 0)], [], " plain text \n"])
    assert [layout.text[page.start : page.end] for page in layout.pages] == ["one", "", "plain text"]
    assert [page.number for page in layout.pages] == [1, 2, 3]


def test_nothing() -> None:
    assert lay_out([]).text == ""
