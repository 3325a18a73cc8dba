"""How sources read: text, pictures with and without words, scanned pages."""

from dataclasses import replace

import pytest

from rag.answer.sources import numbered, sentence_spans, source_text, words_at
from rag.records import Hit, Passage
from tests.answer.passages import found_result, hit, picture_hit, scanned_hit

RECEIPT = "BAKERY FLORES\nRye bread 4.20\n2 rolls 1.60\nTOTAL 5.80\n\nThank you for coming. Come again!"
PARAGRAPH = (
    "The first ferry leaves at 6:40 in the morning and\nthe last one at 22:10. Bicycles travel free of charge on the\n"
    "Sunday boats only. Dogs\nneed a ticket."
)


def passage(given: Hit) -> Passage:
    return numbered(found_result("?", given))[0]


def read(given: Hit) -> list[str]:
    source = passage(given)
    return [source.text[a:b] for a, b in sentence_spans(source)]


def test_rows_of_a_picture_are_sentences() -> None:
    rows = ["BAKERY FLORES", "Rye bread 4.20", "2 rolls 1.60", "TOTAL 5.80", "Thank you for coming.", "Come again!"]
    assert read(picture_hit(1, RECEIPT)) == rows
    assert read(scanned_hit(1, RECEIPT)) == rows
    assert len(read(hit(1, RECEIPT))) < len(rows)  # in a text, a line may end anywhere


def test_a_paragraph_in_a_picture_keeps_its_sentences() -> None:
    assert read(picture_hit(1, PARAGRAPH)) == [
        "The first ferry leaves at 6:40 in the morning and\nthe last one at 22:10.",
        "Bicycles travel free of charge on the\nSunday boats only.",
        "Dogs\nneed a ticket.",
    ]


@pytest.mark.parametrize("text", ["", "\n", "\n\n \n", "one", "A\n" * 3])
def test_spans_lie_in_the_text_and_hold_every_sign(text: str) -> None:
    source = passage(picture_hit(1, text))
    spans = sentence_spans(source)
    assert "".join(text[a:b] for a, b in spans) == "".join(text.split())
    assert all(0 <= a < b <= len(text) for a, b in spans)


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
