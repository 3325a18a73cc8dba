"""Markers to citations, and markers for sentences whose source is clear."""

from dataclasses import replace

import pytest

from rag.answer.cite import Cited, cite, stands_in, with_marker
from rag.answer.evidence import SentencePool
from rag.answer.sources import numbered
from rag.embed.hashing import HashingEmbedder
from rag.records import Box, Chunk, Citation, Hit, OcrLine
from tests.answer.passages import found_result, passages, picture_hit, scanned_hit

TEXTS = (
    "The bakery smells of bread. It was opened by Ana Flores in 1962.",
    "The boat is blue. The first ferry leaves at 6:40 in the morning.",
    "The first ferry is old.",
)
PASSAGES = passages(*TEXTS, start=50)
POOL = SentencePool(PASSAGES, HashingEmbedder())


def found(text: str) -> tuple[str, list[tuple[int, str, bool]]]:
    told = cite(text, PASSAGES, POOL)
    return told.text, [(c.number, c.quote, c.added) for c in told.citations]


def test_a_marker_points_to_the_sentence_that_its_sentence_rests_on() -> None:
    text = "Ana Flores opened it in 1962 [1]. The first ferry leaves at 6:40 [2]."
    assert found(text) == (
        text,
        [
            (1, "It was opened by Ana Flores in 1962.", False),
            (2, "The first ferry leaves at 6:40 in the morning.", False),
        ],
    )


def test_a_citation_names_the_place_in_the_document() -> None:
    (citation,) = cite("The boat is blue [2].", PASSAGES, POOL).citations
    assert citation == Citation(2, "chunk-2", "document-2", "/notes/2.md", None, 50, 67, "The boat is blue.", True)


def test_a_marker_behind_the_full_stop_belongs_to_the_sentence_before() -> None:
    assert found("The boat is blue.[2] Rye rises slowly.[1]")[1][0] == (2, "The boat is blue.", False)


def test_the_same_place_twice_is_one_citation() -> None:
    assert len(found("The boat is blue [2]. Yes, the boat is blue [2].")[1]) == 1


def test_a_lone_marker_cites_the_whole_passage() -> None:
    assert found("[3]")[1] == [(3, "The first ferry is old.", False)]


def test_clear_sentences_without_a_marker_get_one() -> None:
    assert found("It was opened by Ana Flores in 1962. Bicycles are fun!") == (
        "It was opened by Ana Flores in 1962 [1]. Bicycles are fun!",
        [(1, "It was opened by Ana Flores in 1962.", True)],
    )


@pytest.mark.parametrize(
    "text",
    [
        "It was opened by Ana Flores in 1963.",  # another number
        "The first ferry.",  # two passages as near
        "Cats sleep all day.",
        "",
        "…",
    ],
)
def test_what_is_not_clear_stays_unmarked(text: str) -> None:
    assert found(text) == (text, [])


def test_a_model_that_left_one_sentence_unmarked_is_helped_with_that() -> None:
    text = "The boat is blue [2]. It was opened by Ana Flores in 1962."
    assert found(text)[0] == "The boat is blue [2]. It was opened by Ana Flores in 1962 [1]."


def test_a_marker_to_the_wrong_source_is_put_right_where_another_bears_it_out() -> None:
    assert found("It was opened by Ana Flores in 1962 [3].") == (
        "It was opened by Ana Flores in 1962 [1].",
        [(1, "It was opened by Ana Flores in 1962.", True)],
    )
    assert found("It was opened by Ana Flores in 1962 [3][1].")[0] == "It was opened by Ana Flores in 1962 [1]."


def test_a_wrong_marker_stays_where_no_source_is_right_and_its_sentence_is_unsupported() -> None:
    told = cite("Napoleon sank the submarine in 1815 [3].", PASSAGES, POOL)
    assert told.text == "Napoleon sank the submarine in 1815 [3]."
    assert [(c.number, c.supported) for c in told.citations] == [(3, False)]
    (sentence,) = told.sentences
    assert sentence.support == "unsupported"
    assert "“1815” stands in no source" in sentence.reasons


def test_sentences_are_judged_where_they_stand_in_the_new_text() -> None:
    text = "It was opened by Ana Flores in 1962. Who knows? The boat is blue.[2] The moon is made of cheese."
    told = cite(text, PASSAGES, POOL)
    assert [(told.text[s.start : s.end], s.support) for s in told.sentences] == [
        ("It was opened by Ana Flores in 1962 [1].", "supported"),
        ("The boat is blue.[2]", "supported"),
        ("The moon is made of cheese.", "unsupported"),
    ]


def test_a_marker_behind_a_full_stop_and_a_space_belongs_to_the_sentence_before() -> None:
    told = cite("The boat is blue. [2] It was opened by Ana Flores in 1962. [1]", PASSAGES, POOL)
    assert told.text == "The boat is blue. [2] It was opened by Ana Flores in 1962. [1]"
    assert [s.support for s in told.sentences] == ["supported", "supported"]
    assert [(c.number, c.quote) for c in told.citations] == [
        (2, "The boat is blue."),
        (1, "It was opened by Ana Flores in 1962."),
    ]


def test_what_the_program_says_itself_is_judged_only_where_it_cites() -> None:
    notice = "The model failed. “The boat is blue.” [2]"
    told = cite(f"The moon is made of cheese. {notice}", PASSAGES, POOL, model_wrote=28)
    assert [s.support for s in told.sentences] == ["unsupported", "supported"]
    assert told.text[told.sentences[1].start :] == "“The boat is blue.” [2]"


def test_a_model_that_saw_pictures_may_say_what_no_words_bear_out() -> None:
    assert cite("A red awning hangs over the door.", PASSAGES, POOL, saw=True).sentences == ()
    assert [s.support for s in cite("The boat is blue.", PASSAGES, POOL, saw=True).sentences] == ["supported"]


def test_without_sentences_there_are_no_citations() -> None:
    assert cite("Anything.", (), SentencePool((), HashingEmbedder())) == Cited("Anything.", (), ())


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("It is so.", "It is so [3]."),
        ("It is so", "It is so [3]"),
        ("“It is so!”", "“It is so [3]!”"),
        ("是的。", "是的 [3]。"),
    ],
)
def test_the_marker_goes_before_the_closing_punctuation(sentence: str, expected: str) -> None:
    assert with_marker(sentence, 3) == expected


@pytest.mark.parametrize(
    ("sentence", "holds"),
    [
        ("Ana Flores opened the bakery in 1962.", True),
        ("The bakery was opened by Ana Flores [1].", True),
        ("Ana Flores opened the bakery in 1963.", False),
        ("Ana Flores opened the bakery in 19.", False),
        ("Bob Flores opened it.", False),
        ("", False),
    ],
)
def test_a_sentence_that_adds_nothing_of_its_own(sentence: str, holds: bool) -> None:
    assert stands_in(sentence, "It was opened by Ana Flores in 1962.", "Who opened the bakery?") is holds


# --- pictures ---

LABEL = "BAKERY FLORES\n\nRye bread 4.20\n\nTOTAL 5.80"
TOP, BOTTOM = Box(0.1, 0.1, 0.9, 0.2), Box(0.2, 0.5, 0.8, 0.6)


def lines_of(chunk: Chunk) -> list[OcrLine]:
    at = chunk.start
    return [OcrLine(at, at + 13, TOP, 0.9), OcrLine(at + 15, at + 29, TOP, 0.9), OcrLine(at + 31, at + 41, BOTTOM, 0.9)]


def cited(text: str, *hits: Hit, lines_of=lines_of) -> Citation:  # type: ignore[no-untyped-def]
    given = numbered(found_result("?", *hits))
    (citation,) = cite(text, given, SentencePool(given, HashingEmbedder()), lines_of).citations
    return citation


def test_words_in_a_picture_are_cited_with_their_place_on_it() -> None:
    citation = cited("The total was 5.80 [1].", picture_hit(1, LABEL, start=100))
    assert (citation.quote, citation.start, citation.end) == ("TOTAL 5.80", 131, 141)
    assert (citation.picture, citation.region) == (1, BOTTOM)
    assert citation.supported


def test_what_a_picture_shows_is_cited_as_the_picture_and_not_judged() -> None:
    given = picture_hit(1, LABEL, caption="Breakfast for two", start=100)
    citation = cited("Two people sit under a red awning [1].", given)
    assert (citation.quote, citation.start, citation.end) == ("Breakfast for two", 100, 100)
    assert (citation.picture, citation.region, citation.supported) == (1, None, None)
    assert cited("Breakfast for two [1].", given) == replace(citation, supported=True)
    assert cited("A red awning [1].", picture_hit(1, LABEL)).quote == "BAKERY FLORES · Rye bread 4.20 · TOTAL 5.80"


def test_a_picture_without_words_can_be_cited() -> None:
    citation = cited("It shows a harbour [1].", picture_hit(1))
    assert (citation.quote, citation.picture, citation.region) == ("", 1, None)


def test_a_clear_sentence_gets_the_picture_as_its_source() -> None:
    given = numbered(found_result("?", picture_hit(1, LABEL), *(p.hit for p in PASSAGES[1:2])))
    told = cite("TOTAL 5.80.", given, SentencePool(given, HashingEmbedder()), lines_of)
    text, (citation,) = told.text, told.citations
    assert text == "TOTAL 5.80 [1]."
    assert (citation.added, citation.region) == (True, BOTTOM)


def test_words_on_a_scanned_page_are_cited_with_their_place_on_the_page() -> None:
    page = scanned_hit(1, LABEL)
    assert cited("The total was 5.80 [1].", page).region == BOTTOM
    assert cited("Rye bread, total 5.80: the bakery Flores [1].", page).picture is None
    assert cited("The total was 5.80 [1].", page, lines_of=lambda _: ()).region == page.chunk.region


def test_the_place_of_a_figure_on_its_page_is_not_a_place_on_the_figure() -> None:
    photo = picture_hit(1, LABEL)
    figure = replace(photo, chunk=replace(photo.chunk, kind="pdf", page=3, region=TOP))
    assert cited("The total was 5.80 [1].", figure).region == BOTTOM
    assert cited("The total was 5.80 [1].", figure, lines_of=lambda _: ()).region is None
    assert cited("The total was 5.80 [1].", figure).page == 3


def test_a_quotation_over_two_lines_is_in_one_box() -> None:
    given = numbered(found_result("?", picture_hit(1, "Open on Sunday from\neight to twelve.")))
    lines = [OcrLine(0, 19, TOP, 0.9), OcrLine(20, 36, BOTTOM, 0.9)]
    (citation,) = cite(
        "Open on Sunday from eight [1].", given, SentencePool(given, HashingEmbedder()), lambda _: lines
    ).citations
    assert citation.region == Box(0.1, 0.1, 0.9, 0.6)
