"""What a card shows of a passage: a part of it as a reader expects it, its evidence marked, nothing that is alive."""

import html
import random
import re

import pytest

from rag.records import Evidence
from tests.ui.fakes import make_chunk, make_document
from ui.excerpt import excerpt, mark, snippet

TEXT = "First sentence here. The second one matters. A third one follows."
CODES = """## When something is wrong

A fault code stays until its cause is gone.

| code | meaning | what to do |
|---|---|---|
| E119 | water pressure too low | fill the system |
| E168 | condensate cannot drain | look for a **frozen** pipe |
| E193 | sensor not found | have it replaced |
"""


def shown(text: str, *evidence: Evidence, start: int = 0) -> str:
    return excerpt(make_chunk(make_document("/n/a.md", text)), text, start, evidence)


def found(text: str, *words: str) -> Evidence:
    """Evidence from the first to the last of some words."""
    start = text.index(words[0])
    return Evidence(start, text.index(words[-1], start) + len(words[-1]), 0.9)


def test_evidence_is_marked_at_its_offsets() -> None:
    assert shown(TEXT, found(TEXT, "The second one matters.")) == (
        "<p>First sentence here. <mark>The second one matters.</mark> A third one follows.</p>"
    )


def test_evidence_offsets_count_from_the_document() -> None:
    assert shown(TEXT[21:], Evidence(21, 44, 0.9), start=21).startswith("<p><mark>The second one matters.</mark>")


def test_a_long_passage_begins_a_little_before_its_best_sentence() -> None:
    long = "word " * 100 + "The point. " + "word " * 300
    made = shown(long, Evidence(500, 510, 0.9))
    assert made.startswith("<p>… word")
    assert made.endswith("word …</p>")
    assert 90 <= made.index("<mark>The point.</mark>") <= 110
    assert len(made) < 1000


def test_overlapping_and_outside_spans_are_cut() -> None:
    assert mark("abcdef", [(0, 3), (2, 4), (4, 99)]) == "<mark>abc</mark><mark>d</mark><mark>ef</mark>"
    assert shown("abc", Evidence(0, 50, 0.1), Evidence(101, 102, 0.9), start=100) == "<p>a<mark>b</mark>c</p>"


def test_no_evidence_shows_the_passage_and_no_text_nothing() -> None:
    assert shown("a < b") == "<p>a &lt; b</p>"
    assert shown("") == ""


def test_a_row_is_shown_under_the_head_of_its_table() -> None:
    made = shown(CODES, found(CODES, "| E168", "pipe |"))
    assert made == (
        "<table><tr><th>code</th><th>meaning</th><th>what to do</th></tr>"
        "<tr><td><mark>E168</mark></td><td><mark>condensate cannot drain</mark></td>"
        "<td><mark>look for a </mark><strong><mark>frozen</mark></strong><mark> pipe</mark></td></tr>"
        "<tr><td>E193</td><td>sensor not found</td><td>have it replaced</td></tr></table>"
    )


def test_the_lines_before_are_left_out_and_the_heading_above_is_not() -> None:
    lines = "E160 fan: call the engineer\n\nE168 cannot drain\n\n## Care\n\nOnce a year."
    assert shown(lines, found(lines, "E168", "drain")).startswith("<p><mark>E168 cannot drain</mark></p>")
    assert shown(lines, found(lines, "Once", "year.")) == "<p><strong>Care</strong></p><p><mark>Once a year.</mark></p>"


def test_headings_lists_and_paragraphs() -> None:
    text = "## To *do*\n\n1. Bees\n2. Jars\n   - twelve\n\nBoth in\nMay."
    assert shown(text, found(text, "Bees", "Bees")) == (
        "<p><strong>To <em>do</em></strong></p>"
        '<ul><li><span class="bullet">1.</span> <mark>Bees</mark></li><li><span class="bullet">2.</span> Jars</li>'
        '<li data-depth="1"><span class="bullet">•</span> twelve</li></ul>'
        "<p>Both in\nMay.</p>"
    )


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![remote](https://evil.example/a.png)",
    "| <script>a()</script> | <iframe src=//evil.example> |",
    "## <svg onload=alert(1)>",
    "- **<b onclick=a()>**",
    "```\n<style>*{}</style>\n```",
    "`<u>`",
    "\\<a href=x>",
    '"><input autofocus onfocus=alert(1)>',
    "[[<b>|<i>]]",
    "&lt;script&gt;",
]
OURS = {"p", "strong", "em", "code", "mark", "table", "tr", "th", "td", "ul", "li", "span", "pre"}


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_a_document_is_alive(text: str) -> None:
    for made in (shown(text), shown(text, Evidence(0, len(text), 1.0)), shown(text, Evidence(3, 7, 1.0))):
        tags = re.findall(r"<[^>]*>", made)
        assert {re.match(r"</?([a-z]+)", each)[1] for each in tags} <= OURS  # type: ignore[index]
        assert not re.search(r"(href|src|on\w+|style)\s*=", "".join(tags))


@pytest.mark.parametrize("seed", range(30))
def test_what_is_marked_is_what_was_found(seed: int) -> None:
    dice = random.Random(seed)
    words = [f"{i:02}{dice.choice(['a', 'é', '😀', '<', '&amp;'])}" for i in range(60)]
    text = "".join(word + dice.choice([" ", " ", ". ", "\n", "\n\n", "\n- ", "\n## ", " | "]) for word in words)
    first, last = sorted(dice.sample(range(60), 2))
    start = text.index(words[first])
    made = shown(text, Evidence(start, text.index(words[last], start) + len(words[last]), 1.0))
    marked = html.unescape(" ".join(re.findall(r"<mark>(.*?)</mark>", made, re.DOTALL)))
    assert [word for word in re.split(r"[\s.|]+", marked) if word] == words[first : last + 1]


def test_a_snippet_begins_near_the_first_word() -> None:
    text = "padding " * 50 + "the swarm left " + "padding " * 100
    made = snippet(make_chunk(make_document("/n/a.md", text)), [(404, 409)])
    assert made.startswith("<p>… ")
    assert made.endswith(" …</p>")
    assert "<mark>swarm</mark>" in made
    assert len(made) < 520
