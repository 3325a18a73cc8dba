import numpy as np
import pytest

from rag.ingest.reading_order import Piece, paragraphs


def piece(text: str, left: float, top: float, height: float = 20, width: float | None = None) -> Piece:
    """Words of 10 pixels per letter, unless `width` is given."""
    right, bottom = left + (10 * len(text) if width is None else width), top + height
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
    return Piece(text, 0.99, corners)


def turned(pieces: list[Piece], degrees: float) -> list[Piece]:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return [Piece(each.text, each.score, (each.corners @ turn.T + 500).astype(np.float32)) for each in pieces]


def read(pieces: list[Piece]) -> list[list[str]]:
    """Paragraphs of rows."""
    return [[" ".join(each.text for each in row) for row in paragraph] for paragraph in paragraphs(pieces)]


RECEIPT = [
    piece("CAFE LUNA", 160, 0),
    piece("12 Harbour Street", 120, 26),
    *(
        part
        for number, (name, price) in enumerate([("Tea", "2.40"), ("Soup of the day", "7.50"), ("TOTAL", "9.90")])
        for part in (piece(name, 20, 80 + 26 * number), piece(price, 380, 82 + 26 * number))
    ),
]
LEFT = [
    "The kettle boils every day", "before anyone says a word", "and then the street wakes", "up to the sound of rain.",
]  # fmt: skip
RIGHT = [
    "In the second column there", "is another story, of a cat", "who slept on the keyboard", "until a letter was sent.",
]  # fmt: skip


def columns(shift: float = 0) -> list[Piece]:
    left = [piece(text, 0, 100 + 26 * number) for number, text in enumerate(LEFT)]
    return left + [piece(text, 320, 100 + shift + 26 * number) for number, text in enumerate(RIGHT)]


def test_nothing() -> None:
    assert paragraphs([]) == []


def test_a_row_is_read_from_the_left_to_the_right() -> None:
    assert read([piece("30.90", 300, 2), piece("TOTAL", 0, 0)]) == [["TOTAL 30.90"]]


def test_a_receipt_is_read_row_by_row() -> None:
    assert read(RECEIPT[::-1]) == [
        ["CAFE LUNA", "12 Harbour Street"],
        ["Tea 2.40", "Soup of the day 7.50", "TOTAL 9.90"],
    ]


@pytest.mark.parametrize("degrees", [-8, -2, 3, 8])
def test_a_receipt_at_an_angle_is_read_the_same(degrees: float) -> None:
    assert read(turned(RECEIPT, degrees)) == read(RECEIPT)


@pytest.mark.parametrize("shift", [0, 9])
@pytest.mark.parametrize("degrees", [0, 4])
def test_columns_of_prose_are_read_one_after_the_other(shift: float, degrees: float) -> None:
    """Also where their lines stand level."""
    assert read(turned(columns(shift), degrees)) == [LEFT, RIGHT]


def test_three_columns() -> None:
    third = [piece(text, 640, 100 + 26 * number) for number, text in enumerate(LEFT)]
    assert read(columns() + third) == [LEFT, RIGHT, LEFT]


def test_a_heading_above_columns_and_a_line_below_them() -> None:
    heading = piece("A heading that goes over both of the columns", 100, 40, height=24)
    footer = piece("A footer that goes over both of the columns too", 60, 260)
    assert read([*columns(), heading, footer]) == [
        ["A heading that goes over both of the columns"],
        LEFT,
        RIGHT,
        ["A footer that goes over both of the columns too"],
    ]


def test_a_side_bar_whose_lines_do_not_stand_level_is_read_for_itself() -> None:
    bar = [piece(text, 0, 100 + 35 * number) for number, text in enumerate(["Inbox", "Drafts", "Sent", "Archive"])]
    mails = [
        piece(text, 200, 100 + 26 * number) for number, text in enumerate(["Hello Anna,", "thank you", "Bo", "PS"])
    ]
    assert read(bar + mails) == [["Inbox", "Drafts", "Sent", "Archive"], ["Hello Anna,", "thank you", "Bo", "PS"]]


def test_a_table_of_short_cells_is_read_row_by_row() -> None:
    cells = [piece(f"{row}{column}", 150 * column, 30 * row) for row in range(5) for column in range(4)]
    assert read(cells) == [[f"{row}0 {row}1 {row}2 {row}3" for row in range(5)]]


def test_a_wide_gap_begins_a_paragraph() -> None:
    assert read([piece("one", 0, 0), piece("two", 0, 26), piece("three", 0, 90)]) == [["one", "two"], ["three"]]


def test_small_print_beside_large_stands_in_its_row() -> None:
    assert read([piece("Price", 0, 10, height=60, width=200), piece("per kilo", 230, 30)]) == [["Price per kilo"]]


def test_lines_that_touch_are_not_one_row() -> None:
    lines = [piece(text, 0, 17 * number) for number, text in enumerate(LEFT)]
    assert read(lines) == [LEFT]


def test_no_piece_is_lost_or_read_twice() -> None:
    dice = np.random.default_rng(3)
    pieces = [piece(str(number), *dice.uniform(0, 1000, 2), height=dice.uniform(8, 60)) for number in range(300)]
    words = [word for paragraph in read(pieces) for row in paragraph for word in row.split()]
    assert sorted(words, key=int) == [str(number) for number in range(300)]
