"""What is read of a passage that was written in Markdown, and where each stretch of it stands."""

import random
from itertools import pairwise

import pytest

from ui.written import Block, Run, blocks


def read(block: Block, text: str) -> list[str]:
    """The words of each cell, with what emphasises them behind a slash."""

    def word(run: Run) -> str:
        return text[run.start : run.end] + "".join(f"/{style}" for style in sorted(run.styles))

    return ["".join(map(word, cell)) for cell in block.cells]


def told(text: str, headings: tuple[str, ...] = ()) -> list[tuple[str, list[str]]]:
    return [(block.shape, read(block, text)) for block in blocks(text, headings)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("## Swarms ##\nIn May.", [("heading", ["Swarms"]), ("text", ["In May."])]),
        ("one\ntwo\n\nthree", [("text", ["one\ntwo"]), ("text", ["three"])]),
        ("> quoted\n> twice", [("text", ["quoted\ntwice"])]),
        ("above\n\n---\n\nbelow", [("text", ["above"]), ("text", ["below"])]),
        (
            "```sh\n# no heading\n\n  rag add\n```\nend",
            [("code", ["# no heading"]), ("code", ["  rag add"]), ("text", ["end"])],
        ),
        ("#tag and C# 7 #1", [("text", ["#tag and C# 7 #1"])]),
        ("", []),
        ("\n \n", []),
    ],
)
def test_headings_paragraphs_and_code(text: str, expected: list[tuple[str, list[str]]]) -> None:
    assert told(text) == expected


def test_lines_that_are_known_as_headings_are_headings() -> None:
    assert told("Swarms\nIn May.", ("Swarms",)) == [("heading", ["Swarms"]), ("text", ["In May."])]


def test_lists_keep_their_numbers_and_levels() -> None:
    found = blocks("- bees\n  goes on\n    * wasps\n12. jars\n• hives")
    assert [(b.shape, b.label, b.depth) for b in found] == [
        ("item", "•", 0),
        ("item", "•", 2),
        ("item", "12.", 0),
        ("item", "•", 0),
    ]


def test_a_table_with_its_head() -> None:
    text = "| code | what |\n|:---|---:|\n| E168 | a \\| b |\n|E193||"
    assert told(text) == [
        ("head", ["code", "what"]),
        ("row", ["E168", "a | b"]),
        ("row", ["E193", ""]),
    ]


def test_rows_that_a_passage_begins_with_and_rows_of_web_pages() -> None:
    assert told("| E168 | drain |\n| E193 | sensor |") == [("row", ["E168", "drain"]), ("row", ["E193", "sensor"])]
    assert told("3000 m | 90 °C\n0 m | 100 °C") == [("row", ["3000 m", "90 °C"]), ("row", ["0 m", "100 °C"])]


def test_a_bar_in_a_sentence_or_a_list_makes_no_table() -> None:
    assert told("By Bayes, P(a | b) is so.") == [("text", ["By Bayes, P(a | b) is so."])]
    assert told("- tea | milk\n- coffee | none") == [("item", ["tea | milk"]), ("item", ["coffee | none"])]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a **b** and __c__", "a b/strong and c/strong"),
        ("*a* _b_ snake_case_name 2*3*4", "a/em b/em snake_case_name 2*3*4"),
        ("`**x**` y", "**x**/code y"),
        ("[the note](notes/a.md) and [[b|c]] and [[d]]", "the note and c and d"),
        ("![a bee](bee.png)![[wasp.png]]", "a beewasp.png"),
        ("[x](javascript:alert(1)) [y](<https://evil.example>)", "x y"),
        (r"\*no\* 5 \< 6", "*no* 5 < 6"),
        ("**open and *open", "**open and *open"),
        ("[1] stays, (2) too", "[1] stays, (2) too"),
    ],
)
def test_emphasis_and_links(text: str, expected: str) -> None:
    assert told(text) == [("text", [expected])]


def test_emphasis_within_emphasis() -> None:
    ((run, inner),) = blocks("**very *much***")[0].cells
    assert (run.styles, inner.styles) == ({"strong"}, {"strong", "em"})


PIECES = ["word ", "**", "_", "`", "[a](", ")", "|", " | ", "\n", "\n\n", "# ", "- ", "1. ", "> ", "---", "\\", "é😀"]


@pytest.mark.parametrize("seed", range(40))
def test_stretches_stand_in_order_and_no_word_is_lost(seed: int) -> None:
    dice = random.Random(seed)
    text = "".join(dice.choices(PIECES, k=dice.randrange(1, 200))).replace("](word", "](")
    runs = [run for block in blocks(text) for cell in block.cells for run in cell]
    assert all(0 <= run.start < run.end <= len(text) for run in runs)
    assert all(before.end <= after.start for before, after in pairwise(runs))
    if "](" not in text:  # the target of a link is not read
        assert sum(text[run.start : run.end].count("word") for run in runs) == text.count("word")


@pytest.mark.parametrize("unit", ["*", "**a", "[", "![[", "`a", "|", "\\", "_a ", "a\n", "- ", "[a]("])
def test_what_never_closes_costs_little(unit: str) -> None:
    text = unit * (20_000 // len(unit))
    assert sum(run.end - run.start for block in blocks(text) for cell in block.cells for run in cell) <= len(text)
