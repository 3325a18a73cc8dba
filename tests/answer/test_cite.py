"""Markers to citations, and markers for sentences whose source is clear."""

import pytest

from rag.answer.cite import cite, stands_in, with_marker
from rag.answer.evidence import SentencePool
from rag.embed.hashing import HashingEmbedder
from rag.records import Citation
from tests.answer.passages import passages

TEXTS = (
    "The bakery smells of bread. It was opened by Ana Flores in 1962.",
    "The boat is blue. The first ferry leaves at 6:40 in the morning.",
    "The first ferry is old.",
)
PASSAGES = passages(*TEXTS, start=50)
POOL = SentencePool(PASSAGES, HashingEmbedder())


def found(text: str) -> tuple[str, list[tuple[int, str, bool]]]:
    written, citations = cite(text, PASSAGES, POOL)
    return written, [(c.number, c.quote, c.added) for c in citations]


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
    _, (citation,) = cite("The boat is blue [2].", PASSAGES, POOL)
    assert citation == Citation(2, "chunk-2", "document-2", "/notes/2.md", None, 50, 67, "The boat is blue.")


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


def test_a_model_that_cites_at_all_is_left_alone() -> None:
    text = "The boat is blue [2]. It was opened by Ana Flores in 1962."
    assert found(text)[0] == text


def test_without_sentences_there_are_no_citations() -> None:
    assert cite("Anything.", (), SentencePool((), HashingEmbedder())) == ("Anything.", ())


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
