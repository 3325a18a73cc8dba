"""Search results: the words of the query are marked, and the list says what to do when it is empty."""

from rag.filters import In, Or
from rag.records import SearchResult
from tests.ui.fakes import FakeLibrary, make_chunk, make_document, make_image, picture_chunk
from ui.search import best_line, render_results, where_kinds, word_spans


def test_whole_words_whatever_their_case() -> None:
    assert word_spans("The Queen, queens and QUEEN", "queen") == [(4, 9), (22, 27)]


def test_short_words_are_not_marked() -> None:
    assert word_spans("to be or not to be", "to be") == []


def test_a_query_of_a_hundred_thousand_characters() -> None:
    assert word_spans("word and more", "word " * 20_000) == [(0, 4)]


def test_results_say_why_they_are_here(library: FakeLibrary) -> None:
    made = render_results(library.search("When does the queen leave?"))
    assert "1 passage in 3 ms" in made
    assert "words 1st" in made


def test_the_line_of_a_picture_in_which_most_words_of_the_query_stand() -> None:
    chunk = picture_chunk(make_image("/n/a.png", "The spare parts\nThe spare key of the shed\nThe end"))
    assert best_line(chunk, "where is the spare key of the shed") == (16, 41)
    assert best_line(chunk, "the") == (0, 15)  # nothing longer to go by
    assert best_line(chunk, "zebra") is None
    assert best_line(make_chunk(make_document("/n/a.md", "key")), "key") is None


def test_the_pictures_chip_means_every_picture_also_those_in_documents() -> None:
    assert where_kinds(()) is None
    assert where_kinds(("pdf", "note")) == In("kind", ("pdf", "note"))
    assert where_kinds(("image",)) == In("modality", ("image",))
    assert where_kinds(("image", "pdf")) == Or((In("kind", ("pdf",)), In("modality", ("image",))))


def test_what_could_not_be_searched_is_said() -> None:
    made = render_results(SearchResult("x", (), {}, ("Pictures are not compared <by looks>.",)))
    assert "Pictures are not compared &lt;by looks&gt;." in made


def test_nothing_found_and_nothing_asked() -> None:
    assert "Nothing in your library matches" in render_results(SearchResult("x", (), {}))
    assert "Nothing is sent anywhere" in render_results(None)
