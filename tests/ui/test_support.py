"""Marks on what the sources do not bear out: whole sentences in any Markdown, and never by colour alone."""

import re

import pytest

from rag.records import GroundedSentence, Support
from tests.ui.fakes import make_document, make_passage
from ui.render import render_answer
from ui.support import render_counts

ONE = {1: make_passage(make_document("/n/a.md", "Twelve jars."), 1)}


def judged(text: str, **supports: Support) -> tuple[GroundedSentence, ...]:
    """Sentences of `text` by their first words, which are the names given ("_" for a space)."""
    found = []
    for name, support in supports.items():
        start = text.index(name.replace("_", " "))
        end = next((m.end() for m in re.finditer(r"[.!?](?=\s|$)", text) if m.end() > start), len(text))
        reasons = () if support == "supported" else (f"“{name}” stands in no source",)
        found.append(GroundedSentence(start, end, support, reasons))
    return tuple(found)


def rendered(text: str, **supports: Support) -> str:
    return render_answer(text, ONE, judged(text, **supports), "why-0")


def doubts(made: str) -> list[tuple[str, str]]:
    """What is marked, by how it is."""
    return re.findall(r'<span class="doubt (\w+)">(.*?)</span>', made)


def test_each_kind_has_its_mark_and_supported_ones_have_none() -> None:
    made = rendered("Good one [1]. Half true. All wrong.", Good="supported", Half="partly", All="unsupported")
    assert doubts(made) == [("partly", "Half true."), ("unsupported", "All wrong.")]
    assert made.count('class="flag"') == 2
    assert ">partly</button>" in made
    assert ">unsupported</button>" in made


def test_the_reason_is_told_in_a_sentence_and_tied_to_its_word() -> None:
    made = rendered("All wrong.", All="unsupported")
    assert 'aria-label="Not supported by the sources" aria-describedby="why-0-0"' in made
    assert 'id="why-0-0" role="tooltip">“All” stands in no source.</span>' in made


def test_a_reason_is_only_text() -> None:
    sentence = GroundedSentence(0, 4, "unsupported", ("<img src=x onerror=alert(1)> is not there", '"><script>'))
    made = render_answer("Bad.", {}, [sentence])
    assert "<img" not in made
    assert "<script" not in made
    assert "&lt;img" in made


def test_without_reasons_it_still_says_what_it_means() -> None:
    made = render_answer("Bad.", {}, [GroundedSentence(0, 4, "partly")])
    assert '">Only partly supported by the sources.</span>' in made


def test_citations_inside_stay_chips() -> None:
    made = rendered("It is so [1] indeed.", It="unsupported")
    assert doubts(made) == [("unsupported", "It is so"), ("unsupported", " indeed.")]
    assert '<a class="cite"' in made
    assert ">1</a>" in made


@pytest.mark.parametrize(
    ("text", "marked", "expected"),
    [
        ("- One.\n- Two.", "- Two.", "<ul>\n<li>One.</li>\n<li>[Two.]</li>\n</ul>"),
        ("1. One.\n2. Two.", "2. Two.", "<ol>\n<li>One.</li>\n<li>[Two.]</li>\n</ol>"),
        ("# Two.", "# Two.", "<h4>[Two.]</h4>"),
        ("> Two.", "> Two.", "<blockquote>\n<p>[Two.]</p>\n</blockquote>"),
        ("**Two.** One.", "**Two.**", "<p><strong>[Two.]</strong> One.</p>"),
        (
            "It **is *here* now**.",
            "It **is *here* now**.",
            "<p>[It ]<strong>[is ]<em>[here]</em>[ now]</strong>[.]</p>",
        ),
        ("Two `is`.", "Two `is`.", "<p>[Two ]<code>[is]</code>[.]</p>"),
        ("*Two* it is.", "*Two* it is.", "<p><em>[Two]</em>[ it is.]</p>"),
        ("Two\nlines.", "Two\nlines.", "<p>[Two\nlines.]</p>"),
        ("Two < 3 & 4.", "Two < 3 & 4.", "<p>[Two &lt; 3 &amp; 4.]</p>"),
        ("Two\n===", "Two\n===", "<h4>Two</h4>"),
        ("```\nTwo.\n```", "```\nTwo.\n```", "<pre><code>Two.\n</code></pre>"),
    ],
)
def test_markdown_stays_as_it_is(text: str, marked: str, expected: str) -> None:
    start = text.index(marked)
    made = render_answer(text, {}, [GroundedSentence(start, start + len(marked), "unsupported", ("so",))])
    made = re.sub(r'<span class="flagged.*?</span></span>', "", made)
    assert re.sub(r'<span class="doubt unsupported">(.*?)</span>', r"[\1]", made, flags=re.DOTALL).strip() == expected


def test_every_mark_is_closed_and_nested_as_html_must_be() -> None:
    text = "**Bold *both.* Bold again. Last** one. `co. de` x."
    spans = [(m.start(), m.end()) for m in re.finditer(r"\S.*?\.(?=\W)", text)]
    made = render_answer(text, {}, [GroundedSentence(a, b, "partly") for a, b in spans])
    open_tags: list[str] = []
    for closing, name in re.findall(r"<(/?)(\w+)[^>]*>", made):
        if closing:
            assert open_tags.pop() == name
        else:
            open_tags.append(name)
    assert open_tags == []


def test_signs_in_the_text_are_no_signs() -> None:
    made = render_answer("\ufdd0Bad\ufdd1 text. Wrong.", {}, [GroundedSentence(12, 18, "unsupported")])
    assert made.startswith("<p>\ufffdBad\ufffd text. ")
    assert doubts(made) == [("unsupported", "Wrong.")]


def test_spans_that_overlap_or_lie_outside_do_no_harm() -> None:
    spans = [GroundedSentence(0, 6, "partly"), GroundedSentence(3, 9, "partly"), GroundedSentence(50, 60, "partly")]
    assert doubts(render_answer("One. Two.", {}, spans)) == [("partly", "One. T")]


def sentences(*supports: Support) -> list[GroundedSentence]:
    return [GroundedSentence(i, i + 1, support) for i, support in enumerate(supports)]


def test_counts() -> None:
    assert render_counts([]) is None
    for expected, given in {
        "1 sentence, supported by the sources": ("supported",),
        "2 sentences, all supported by the sources": ("supported", "supported"),
        "3 sentences, 1 not supported by the sources": ("supported", "unsupported", "supported"),
        "2 sentences, 1 only partly supported, 1 not supported by the sources": ("partly", "unsupported"),
    }.items():
        assert f">{expected}</p>" in str(render_counts(sentences(*given)))  # type: ignore[arg-type]
