"""The page of one picture, and pictures in the pages of documents: marked where the words stand."""

import html
import re
from dataclasses import replace

import pytest

from rag.records import Box, Document, Page
from tests.ui.fakes import make_document, make_image, make_picture
from ui.figures import fitted, marked_lines
from ui.source_page import render_source

WORDS = "Hobb & Sons\nTotal 41.70\n14 March"
RECEIPT = make_image("/home/ada/shots/receipt.png", WORDS)
HOSTILE = '"><script>alert(1)</script><svg onload=alert(1)>\u202egnp'


def shown(page: str) -> str:
    """What a reader sees of the page's text."""
    without_marks = re.sub(r"<svg class=\"marks\".*?</svg>", "", page.partition("<main")[2], flags=re.S)
    return html.unescape(re.sub(r"<[^>]+>", "", without_marks))


def note(text: str, read: str, at: int, **more: str) -> Document:
    """A note that shows one picture, whose words stand behind its text."""
    whole = f"{text}\n\n{read}"
    picture = make_picture(1, whole, len(text) + 2, len(whole), at=at, path="/n/beds.png", **more)
    return replace(make_document("/n/garden.md", whole), pictures=(picture,))


def test_the_line_that_was_asked_for_stands_out() -> None:
    start = WORDS.index("Total")
    page = render_source(RECEIPT, (), start, start + 5, picture=1)
    assert page.count('class="hit"') == 1
    assert page.count('class="line"') == 2
    # the second of three lines: a third of the picture's height down, eight tenths of that third high
    assert 'class="hit" x="100.0" y="333.3" width="800.0" height="266.7"' in page
    assert '<mark id="passage">Total</mark>' in page


def test_a_picture_file_is_its_picture() -> None:
    page = render_source(RECEIPT)
    assert f'src="/view/{RECEIPT.id}/1?v={RECEIPT.sha256[:16]}"' in page
    assert '<dt>camera</dt><dd dir="auto">Brownie No. 2</dd>' in page
    assert "640 × 480 pixels" in page
    assert f'href="/original/{RECEIPT.id}"' in page
    assert 'href="/#search/like/' in page
    assert " style=" not in page


def test_marks_can_be_hidden_without_any_script() -> None:
    page = render_source(RECEIPT)
    assert re.search(r'<input type="checkbox" id="marks" checked', page)
    assert "<script" not in page
    without = replace(RECEIPT, text="", pictures=(replace(RECEIPT.pictures[0], start=0, end=0, lines=()),))
    assert 'id="marks"' not in render_source(without)
    assert "No words were read in it." in render_source(without)


def test_a_note_shows_its_picture_in_its_place_with_the_words_in_it_as_its_legend() -> None:
    document = note("Before. After.", "Bed one\nBed two", at=8, caption="The beds")
    page = render_source(document)
    said = shown(page)
    assert said.index("Before.") < said.index("The beds") < said.index("Bed one") < said.index("After.")
    assert said.count("Bed one") == 1
    assert page.count('<div class="text">') == 2
    assert 'id="picture-1"' in page


def test_the_mark_that_shows_a_picture_gives_way_to_it() -> None:
    for mark in ("![the beds](beds.png)", "![[beds.png]]"):
        document = note(f"Before {mark} after.", "Bed one", at=7)
        said = shown(render_source(document))
        assert mark not in said
        assert said.index("Before") < said.index("beds.png") < said.index("after.")


@pytest.mark.parametrize("at", [0, 14, 16, 20])
def test_a_picture_at_any_place_is_shown_once_and_no_word_is_lost(at: int) -> None:
    document = note("Before. After.", "Bed one\nBed two", at=at)
    page = render_source(document)
    assert page.count("<figure") == 1
    parts = re.findall(r'<div class="text">(.*?)</div>', page, re.S)
    assert "".join(parts).split() == ["Before.", "After."]


def test_words_in_a_picture_that_are_asked_for_are_marked_in_its_legend() -> None:
    document = note("Before. After.", "Bed one\nBed two", at=8)
    start = document.text.index("Bed two")
    page = render_source(document, (), start, start + 7)
    assert re.search(r'<figcaption>.*<mark id="passage">Bed two</mark>', page, re.S)
    assert page.count('class="hit"') == 1


def test_the_figure_of_a_document_leads_back_to_its_place() -> None:
    text = "Pump.\nFig. 2\nValve A\nEnd."
    document = make_document("/n/manual.pdf", text, kind="pdf", pages=1, title="Manual")
    figure = make_picture(1, text, 13, 20, page=1, caption="Fig. 2", box=Box(0.2, 0.3, 0.6, 0.5))
    document = replace(document, pictures=(figure,))
    page = render_source(document, picture=1)
    assert "Figure on page 1 of" in shown(page)
    assert f'href="/source/{document.id}?start=13&amp;end=13#picture-1"' in page
    whole = render_source(document)
    assert f'src="/page/{document.id}/1?v=' in whole  # the page as it looks, beside its text
    assert 'class="figure" x="200.0" y="300.0" width="400.0" height="200.0"' in whole
    assert f'href="/source/{document.id}?picture=1"' in whole


def test_a_scanned_page_is_shown_with_its_lines() -> None:
    text = "Dear Anna,\nthe snow came early."
    scan = make_picture(1, text, 0, len(text))
    document = replace(make_document("/n/letter.pdf", text, kind="pdf"), pages=(Page(1, 0, len(text), scan.lines),))
    page = render_source(document, (), 11, 31)
    assert f'src="/page/{document.id}/1' in page
    assert page.count('class="hit"') == 1
    assert page.count('class="line"') == 1
    assert '<mark id="passage">the snow came early.</mark>' in page


def test_frames_of_a_moving_picture_are_shown_one_after_the_other() -> None:
    text = "one\ntwo"
    document = replace(
        make_image("/n/a.gif", text), pictures=(make_picture(1, text, 0, 3), make_picture(2, text, 4, 7))
    )
    document = replace(
        document,
        pages=(Page(1, 0, 3), Page(2, 4, 7)),
        pictures=tuple(replace(picture, page=picture.number) for picture in document.pictures),
    )
    page = render_source(document)
    assert page.count("<figure") == 2
    assert "/page/" not in page  # only pages of PDFs are drawn
    assert "picture 2 of 2" in shown(render_source(document, picture=2))


def test_a_number_that_is_not_there_shows_the_document() -> None:
    document = note("Before. After.", "Bed one", at=8)
    assert "Before." in shown(render_source(document, picture=7))


def test_hostile_pictures_are_only_text() -> None:
    document = make_image(f"/n/{HOSTILE}.png", f"{HOSTILE}\nx", title=HOSTILE, caption=HOSTILE)
    document = replace(
        document,
        fields=((HOSTILE, HOSTILE),),
        tags=(HOSTILE,),
        pictures=(replace(document.pictures[0], around=HOSTILE, path=f"/n/{HOSTILE}"),),
    )
    in_a_note = note(f"{HOSTILE} Beds.", HOSTILE, at=3, caption=HOSTILE)
    for page in (render_source(document, (), 0, 9), render_source(in_a_note), render_source(in_a_note, picture=1)):
        assert "<script" not in page
        assert "<svg onload" not in page
        assert re.findall(r"<img (?!src=\"/(?:view|page)/)", page) == []


def test_sizes_fit_the_frame_and_are_never_nothing() -> None:
    assert fitted(4000, 3000, 1000, 1000) == (1000, 750)
    assert fitted(100, 50, 1000, 1000) == (100, 50)
    assert fitted(1, 50_000, 640, 400) == (1, 400)
    assert fitted(0, 0, 640, 400) == (1, 1)


def test_no_lines_no_marks() -> None:
    assert marked_lines("text", (), (0, 4)) is None
