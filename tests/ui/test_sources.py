"""The cards: the evidence is marked where it stands, and each card says who found it."""

from dataclasses import replace

from rag.records import Evidence, FoundBy
from tests.ui.fakes import make_document, make_passage
from ui.sources import excerpt, found_by, mark, render_sources

TEXT = "First sentence here. The second one matters. A third one follows."
NOTE = make_document("/home/ada/notes/odd<b>.md", TEXT, title="<b>Bold</b>")


def test_evidence_is_marked_at_its_offsets() -> None:
    start, end = TEXT.index("The second"), TEXT.index(" A third")
    assert excerpt(TEXT, 0, [Evidence(start, end, 0.9)]) == (
        "First sentence here. <mark>The second one matters.</mark> A third one follows."
    )


def test_evidence_offsets_count_from_the_document() -> None:
    passage = TEXT[21:]
    assert excerpt(passage, 21, [Evidence(21, 44, 0.9)]).startswith("<mark>The second one matters.</mark>")


def test_a_long_passage_begins_a_little_before_its_best_sentence() -> None:
    long = "word " * 100 + "The point. " + "word " * 10
    shown = excerpt(long, 0, [Evidence(500, 510, 0.9)])
    assert shown.startswith("… word")
    assert len(shown) < 250
    assert "<mark>The point.</mark>" in shown


def test_overlapping_and_outside_spans_are_cut() -> None:
    assert mark("abcdef", [(0, 3), (2, 4), (4, 99)]) == "<mark>abc</mark><mark>d</mark><mark>ef</mark>"
    assert excerpt("abc", 100, [Evidence(0, 50, 0.1), Evidence(101, 102, 0.9)]) == "a<mark>b</mark>c"


def test_no_evidence_shows_the_passage() -> None:
    assert excerpt("a < b", 0, []) == "a &lt; b"


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
