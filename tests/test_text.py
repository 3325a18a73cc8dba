import random
import time
from itertools import pairwise

import pytest

from rag.text import duration, encodable, gigabytes, one_line, sentences, size_words, table_rows, trimmed


def cut(text: str, language: str = "en") -> list[str]:
    return [text[start:end] for start, end in sentences(text, language)]


def test_sentences_are_exact_spans_in_code_points() -> None:
    text = "  Café 😀 Dr. Smith left. He said “naïve.”  Done!\n\nNew one"
    assert cut(text) == ["Café 😀 Dr. Smith left.", "He said “naïve.”", "Done!", "New one"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t ", []),
        ("我喜欢它。你呢？好！", ["我喜欢它。", "你呢？", "好！"]),
        ("यह अच्छा है। वह गया।", ["यह अच्छा है।", "वह गया।"]),
        ("Title\n- one\n- two\n1. three", ["Title", "- one", "- two", "1. three"]),
        (
            "Codes:\n| E1 | Dr. No. Yes. |\n|---|---|\n|E2|x|\nNext. One",
            [
                "Codes:",
                "| E1 | Dr. No. Yes. |",
                "|---|---|",
                "|E2|x|",
                "Next.",
                "One",
            ],
        ),
        (
            "height | boils\n3000 m | 90 °C. Cold!\n\nBy Bayes, P(a | b) is so. And",
            [
                "height | boils",
                "3000 m | 90 °C. Cold!",
                "By Bayes, P(a | b) is so.",
                "And",
            ],
        ),
        ("  | a |  \n\n- one | two\n- three", ["| a |", "- one | two", "- three"]),
        ("soft\nwrapped line. Next", ["soft\nwrapped line.", "Next"]),
        ("lone \ud800 half. NUL \x00 too.", ["lone \ud800 half.", "NUL \x00 too."]),
    ],
)
def test_boundaries(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


def test_an_unknown_language_is_cut_by_the_english_rules() -> None:
    assert cut("One. Two.", "und") == ["One.", "Two."]


@pytest.mark.parametrize("seed", range(30))
def test_nothing_is_lost_and_nothing_overlaps(seed: int) -> None:
    dice = random.Random(seed)
    alphabet = [
        "word ",
        "Dr. ",
        "end. ",
        "“Quote.” ",
        "我们。",
        "\n",
        "\n\n",
        "\n- ",
        "\n| ",
        " | ",
        "é😀",
        "  ",
        "? ",
        "(a. b) ",
        "x" * 300,
    ]
    text = "".join(dice.choices(alphabet, k=dice.randrange(1, 900)))
    spans = sentences(text)
    assert "".join(cut(text)).replace(" ", "").replace("\n", "") == text.replace(" ", "").replace("\n", "")
    assert all(start < end for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert all(piece == piece.strip() for piece in cut(text))


@pytest.mark.parametrize("unit", ["a", "a. ", "我们。", "\n", "Dr. ", ".", "\n- x", " ", "a | b\n"])
def test_a_megabyte_takes_linear_time(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    started = time.process_time()
    sentences(text)
    assert time.process_time() - started < 20  # it is 0.01 to 2 s; quadratic cutting takes minutes


def test_a_sentence_across_windows_stays_whole() -> None:
    long = "word " * 300 + "end."  # 1,504 characters: two fit a window, the third crosses its edge
    assert cut(" ".join([long] * 7)) == [long] * 7


def test_encodable_keeps_the_length() -> None:
    assert encodable("a\x00b\ud800c😀") == "a�b�c😀"


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        (" a\n\tb\x00c ", None, "a b c"),
        ("short", 5, "short"),
        ("alpha beta gamma", 12, "alpha beta…"),
        ("abcdefghij", 5, "abcd…"),
        ("", 5, ""),
    ],
)
def test_one_line(text: str, limit: int | None, expected: str) -> None:
    assert one_line(text, limit) == expected
    assert limit is None or len(one_line(text, limit)) <= limit


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "a moment"), (42.4, "42 s"), (185, "3 min 5 s"), (7800, "2 h 10 min")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_sizes_as_people_say_them() -> None:
    mib = 1 << 20
    assert [size_words(size) for size in (90 * mib, 1024 * mib, 1536 * mib)] == ["90 MiB", "1.0 GiB", "1.5 GiB"]


@pytest.mark.parametrize(
    ("size", "words"), [(4_336_349_920, "4.3 GB"), (95_000_000, "0.1 GB"), (94_999_999, "95 MB"), (0, "0 MB")]
)
def test_downloads_are_told_in_powers_of_ten(size: int, words: str) -> None:
    assert gigabytes(size) == words


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a\n| b |\n|---|\n c", ["| b |", "|---|"]),
        ("a | b\nc | d\n\ne | f", ["a | b", "c | d"]),
        ("head | of\n---|---\nit", ["head | of"]),
        ("ls|wc\nP(a|b)", []),
        ("", []),
    ],
)
def test_rows_of_tables(text: str, rows: list[str]) -> None:
    assert [text[start:end] for start, end in table_rows(text)] == rows


def test_trimmed() -> None:
    assert trimmed("a  b \n", 1, 6) == (3, 4)
    assert trimmed("a   ", 1, 4) == (4, 4)
