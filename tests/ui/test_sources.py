"""The cards: each says who found it, where it is from, and whether it is cited."""

from dataclasses import replace

from rag.records import FoundBy
from tests.ui.fakes import make_document, make_passage
from ui.sources import found_by, render_sources

TEXT = "First sentence here. The second one matters. A third one follows."
NOTE = make_document("/home/ada/notes/odd<b>.md", TEXT, title="<b>Bold</b>")


def test_chips_say_who_found_it() -> None:
    hit = make_passage(NOTE).hit
    assert ">meaning 1st</span>" in found_by(hit)
    assert ">words 3rd</span>" in found_by(hit)
    only_words = replace(hit, found_by=(FoundBy("bm25", 2, 3.25),))
    assert ">meaning –</span>" in found_by(only_words)
    assert 'title="score 3.250"' in found_by(only_words)


def test_cited_cards_are_told_apart_and_titles_escaped() -> None:
    passages = [make_passage(NOTE, 1), make_passage(NOTE, 2)]
    made = render_sources(passages, cited=[2])
    assert made.count('class="card cited"') == 1
    assert "&lt;b&gt;Bold&lt;/b&gt;" in made
    assert "<b>" not in made


def test_a_page_is_named_and_opened() -> None:
    pdf = make_document("/p/a.pdf", TEXT, kind="pdf", pages=1)
    made = render_sources([make_passage(pdf, page=1)])
    assert "p. 1" in made
    assert f'href="/original/{pdf.id}#page=1"' in made


def test_without_sources_there_is_a_sentence() -> None:
    assert "Looking through your library" in render_sources((), searching=True)
