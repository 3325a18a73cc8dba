"""A picture among the sources: what it is called, where it stands, why it is here; hostile words stay words."""

import html
import re
from dataclasses import replace

import pytest

from rag.records import Evidence, FoundBy, Hit, Passage
from tests.ui.fakes import make_document, make_image, make_picture, picture_chunk
from ui.picture_card import also_in, thumbnail, title_of, whence
from ui.sources import found_by, render_sources
from ui.words import chance_words

HOSTILE = "\"><script>alert(1)</script><img src=x onerror='alert(1)'>\u202egnp.exe"
RECEIPT = make_image("/home/ada/shots/receipt.png", "Hobb & Sons\nTotal 41.70\n14 March")
PDF = make_document(
    "/home/ada/manual.pdf", "Pump.\nFig. 2 The drain\nValve A\nEnd.", kind="pdf", pages=1, title="Manual"
)
FIGURE = replace(PDF, pictures=(make_picture(1, PDF.text, 23, 30, page=1, caption="Fig. 2 The drain", around="Pump."),))


def passage_of(document, evidence: str = "", found: tuple[FoundBy, ...] = ()) -> Passage:  # type: ignore[no-untyped-def]
    chunk = picture_chunk(document)
    at = document.text.find(evidence) if evidence else -1
    sentences = (Evidence(at, at + len(evidence), 0.8),) if at >= 0 else ()
    return Passage(1, Hit(chunk, 1, 1.0, found), chunk.text, chunk.start, chunk.end, sentences)


def test_a_picture_is_called_by_its_caption_else_by_its_document() -> None:
    assert title_of(picture_chunk(FIGURE)) == "Fig. 2 The drain"
    assert title_of(picture_chunk(RECEIPT)) == "receipt"


def test_it_says_where_it_stands() -> None:
    assert "figure on p. 1 of" in whence(picture_chunk(FIGURE))
    assert f'href="/source/{PDF.id}?start=23&amp;end=23#picture-1"' in whence(picture_chunk(FIGURE))
    assert "ada/shots/receipt.png" in whence(picture_chunk(RECEIPT))
    note = replace(make_document("/n/garden.md", "Beds."), pictures=(make_picture(1, "Beds.", 5, 5, at=2),))
    assert "shown in the note" in whence(picture_chunk(note))


def test_a_card_shows_it_small_and_leads_to_it_large_with_the_evidence() -> None:
    made = render_sources([passage_of(RECEIPT, "Total 41.70")])
    picture = picture_chunk(RECEIPT)
    assert f'src="/preview/{RECEIPT.id}/1?v={picture.digest[:16]}"' in made
    assert re.search(r'<img[^>]* width="\d+" height="\d+" loading="lazy"', made)
    assert "<mark>Total 41.70</mark>" in made
    assert f'href="/source/{RECEIPT.id}?picture=1&amp;start=12&amp;end=23&amp;chunk={picture.id}"' in made
    assert f'href="/#search/like/{picture.id}/{RECEIPT.id}/1"' in made


def test_what_is_heard_is_the_name_never_what_was_read() -> None:
    alt = re.search(r' alt="([^"]*)"', thumbnail(picture_chunk(RECEIPT), "/x") or "")
    assert alt is not None
    assert alt[1] == "receipt"


def test_a_picture_without_words_shows_what_is_written_around_it() -> None:
    note = replace(
        make_document("/n/g.md", "Beds."), pictures=(make_picture(1, "Beds.", 5, 5, at=2, around="The long bed"),)
    )
    made = render_sources([passage_of(note)])
    assert 'class="around"' in made
    assert "The long bed" in made


def test_chips_say_how_surprising_a_picture_is() -> None:
    hit = passage_of(RECEIPT, found=(FoundBy("bm25", 3, 4.0), FoundBy("image", 1, 0.31, 0.002))).hit
    assert ">picture 1st: stands out, by chance .002 pictures would</span>" in found_by(hit)
    assert ">words 3rd</span>" in found_by(hit)
    assert ">meaning –</span>" in found_by(hit)
    alike = passage_of(RECEIPT, found=(FoundBy("likeness", 2, 0.9, 3.2),)).hit
    assert found_by(alike).count('class="chip') == 1
    assert ">likeness 2nd: by chance 3 pictures would</span>" in found_by(alike)


@pytest.mark.parametrize(
    ("chance", "said"),
    [
        (0.00001, "stands out, by chance less than .001 pictures would"),
        (0.04, "stands out, by chance .04 pictures would"),
        (0.3, "by chance .3 pictures would"),
        (0.97, "by chance 1 picture would"),
        (1.0, "by chance 1 picture would"),
        (1204.0, "by chance 1,204 pictures would"),
    ],
)
def test_chances_in_words(chance: float, said: str) -> None:
    assert chance_words(chance) == said


def test_the_same_picture_elsewhere() -> None:
    made = also_in((picture_chunk(FIGURE),))
    assert made is not None
    assert "The same picture: " in made
    assert also_in(()) is None


def test_hostile_captions_titles_and_words_are_only_text() -> None:
    document = make_image(f"/n/{HOSTILE}.png", f"{HOSTILE}\nTotal", title=HOSTILE, caption=HOSTILE)
    around = replace(document, pictures=(replace(document.pictures[0], around=HOSTILE),))
    made = render_sources([passage_of(around, "Total")])
    assert "<script" not in made
    assert re.findall(r"<img (?!src=\"/preview/)", made) == []
    assert " onerror='" not in made.replace(html.escape(HOSTILE), "")
    assert 'dir="auto"' in made  # an override of the writing direction ends with the element that holds it
