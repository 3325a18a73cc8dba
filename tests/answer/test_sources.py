"""How sources read: text, pictures with and without words, scanned pages."""

from dataclasses import replace

import pytest

from rag.answer.sources import numbered, source_text, words_at
from rag.records import Hit, Passage
from tests.answer.passages import found_result, hit, picture_hit, scanned_hit

RECEIPT = "BAKERY FLORES\nRye bread 4.20\n2 rolls 1.60\nTOTAL 5.80\n\nThank you for coming. Come again!"
PARAGRAPH = (
    "The first ferry leaves at 6:40 in the morning and\nthe last one at 22:10. Bicycles travel free of charge on the\n"
    "Sunday boats only. Dogs\nneed a ticket."
)


def passage(given: Hit) -> Passage:
    return numbered(found_result("?", given))[0]


def test_rows_of_a_picture_are_quoted_as_rows() -> None:
    rows = "BAKERY FLORES · Rye bread 4.20 · 2 rolls 1.60 · TOTAL 5.80 · Thank you for coming. Come again!"
    for given in (picture_hit(1, RECEIPT, start=50), scanned_hit(1, RECEIPT, start=50)):
        assert words_at(passage(given), 50, 50 + len(RECEIPT)) == rows
    assert words_at(passage(hit(1, RECEIPT, start=50)), 50, 50 + len(RECEIPT)) == RECEIPT


def test_a_paragraph_in_a_picture_is_quoted_as_one() -> None:
    assert words_at(passage(picture_hit(1, PARAGRAPH)), 0, len(PARAGRAPH)) == PARAGRAPH.replace("\n", " ")


@pytest.mark.parametrize(
    ("text", "expected"), [("", ""), ("\n\n \n", ""), ("one", "one"), ("A\n\nB\n", "A · B"), ("A\nb", "A b")]
)
def test_odd_words_in_a_picture(text: str, expected: str) -> None:
    assert words_at(passage(picture_hit(1, text)), 0, len(text)) == expected


def test_an_empty_span_of_a_picture_is_the_picture() -> None:
    captioned, wordy, text = (
        passage(picture_hit(1, "EXIT", caption="The harbour at night", start=50)),
        passage(picture_hit(2, "EXIT", start=50)),
        passage(hit(3, "EXIT", start=50)),
    )
    assert words_at(captioned, 50, 50) == "The harbour at night"
    assert words_at(captioned, 50, 54) == words_at(wordy, 50, 50) == "EXIT"
    assert words_at(text, 50, 50) == ""


def test_a_picture_in_the_prompt_says_what_is_known_of_it() -> None:
    source = passage(picture_hit(2, "EXIT 12\nHarbour", caption="A sign [3]", around="We came by\nboat."))
    assert source_text(replace(source, number=2), source.text) == (
        "[2] Title 2, a picture, 2024-05-01\n"
        "Caption: A sign (3)\nWords in it: EXIT 12\nHarbour\nNear it: We came by boat."
    )
    bare = passage(picture_hit(1))
    assert source_text(bare, bare.text) == "[1] Title 1, a picture, 2024-05-01"


def test_a_figure_has_its_page_and_no_date_of_its_own() -> None:
    given = picture_hit(1, caption="Figure 3")
    figure = passage(replace(given, chunk=replace(given.chunk, kind="pdf", page=7)))
    assert source_text(figure, figure.text) == "[1] Title 1, page 7, a picture\nCaption: Figure 3"
