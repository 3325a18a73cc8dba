"""What a result says of single questions, and reports of it."""

from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from eval.html_report import html
from eval.insight import insight
from eval.markdown_report import markdown
from eval.svg_plots import Bar, bars, differences

NASTY = '</title><script>alert("1")</script> | <b>bold</b> `code`'


def result(**changes: Any) -> dict[str, Any]:
    """Three questions: fusion helped the first, hurt the second, and left the third, which nobody answers."""
    scores = {"q1": (0.5, 0.25, 1.0), "q2": (1.0, 0.0, 0.63), "q3": (0.0, 0.0, 0.0)}
    names = ("text", "bm25", "hybrid")
    measures = ("ndcg@10", "recall@10", "recall@100", "mrr@10", "map@100")

    def mean(at: int) -> float:
        return sum(row[at] for row in scores.values()) / len(scores)

    return {
        "dataset": "tiny",
        "configuration": "plain",
        "queries": 3,
        "documents": 4,
        "metrics": dict.fromkeys(measures, mean(2)),
        "fused": "hybrid",
        "by_retriever": {name: dict.fromkeys(measures, mean(at)) for at, name in enumerate(names)},
        "intervals": {name: {"ndcg@10": (0.1, 0.9)} for name in names},
        "per_query": {
            query: {name: {"ndcg@10": value} for name, value in zip(names, row, strict=True)}
            for query, row in scores.items()
        },
        "questions": {
            "q1": {"text": NASTY, "right": ["d1"], "found": ["d1"], "rank": {"hybrid": 1, "text": 3, "bm25": 8}},
            "q2": {"text": "two", "right": ["d2"], "found": [NASTY], "rank": {"hybrid": 2, "text": 1, "bm25": None}},
            "q3": {"text": "three", "right": ["d3"], "found": [], "rank": dict.fromkeys(names)},
        },
        "notes": ["one was left out"],
        "settings": {
            "embedder": "hashing",
            "device": "cpu",
            "precision": "fp32",
            "store": "memory",
            "chunk_tokens": 200,
            "reranker": None,
        },
        **changes,
    }


def test_fusion_is_told_against_the_best_single_retriever() -> None:
    seen = insight(result())
    assert (seen.fused, seen.single) == ("hybrid", "text")  # 1.5 / 3 against 0.25 / 3
    assert [question.id for question in seen.hardest(2)] == ["q3", "q2"]
    assert [(question.id, question.gain) for question in seen.helped(5)] == [("q1", 0.5)]
    assert [question.id for question in seen.hurt(5)] == ["q2"]
    assert seen.counts == (1, 1, 1)


def test_another_fusion_is_no_single_retriever() -> None:
    whole = result(fused="rrf")
    for part in ("by_retriever", "intervals"):
        whole[part]["rrf"] = whole[part]["hybrid"]
    for scores in whole["per_query"].values():
        scores["rrf"] = {"ndcg@10": 1.0}
    seen = insight(whole)
    assert (seen.fused, seen.single, seen.counts) == ("rrf", "text", (2, 1, 0))


def test_a_result_of_an_older_program_is_still_told() -> None:
    old = result()
    del old["questions"], old["fused"]
    assert [question.text for question in insight(old).hardest(1)] == ["q3"]
    assert "q3" in markdown([old])
    assert "q3" in html([old])


class Page(HTMLParser):
    """The elements of a page, and those that were not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not [name for name, _ in attrs if name in ("src", "onclick", "onload")]
        if tag not in ("meta", "br", "rect", "line", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "line", "circle"):
            assert self.open.pop() == tag


def test_the_page_is_whole_and_what_questions_say_is_only_text() -> None:
    text = html([result(), result(configuration="short")])
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.seen.count("section") == 2
    assert not {"script", "b ", "link", "img", "iframe"} & set(page.seen)
    assert "&lt;script&gt;" in text
    assert "prefers-color-scheme: dark" in text
    assert "http" not in text.replace('http-equiv="', "")  # nothing is fetched from anywhere


def test_markdown_keeps_its_tables() -> None:
    text = markdown([result(command="python -m eval run tiny")])
    assert "helped 1 questions, left 1 as they were and hurt 1" in text
    assert "\\<script\\>" in text
    for table in (block for block in text.split("\n\n") if block.startswith("|")):
        widths = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(widths) == 1, table


@pytest.mark.parametrize(
    "plot",
    [
        bars(NASTY, [Bar("text & more", 0.5, 0.25, 0.75), Bar("hybrid", 1.2, 1, 1, strong=True)]),
        bars("nothing", []),
        differences("up and down", [0.5, -1.0, 0.0]),
        differences("nothing", []),
    ],
)
def test_plots_are_drawings_with_a_title(plot: str) -> None:
    root = ElementTree.fromstring(plot)  # noqa: S314 (it is ours)
    assert root.attrib["role"] == "img"
    assert root[0].tag == "title"


def test_bars_and_differences_are_as_long_as_their_values() -> None:
    half, whole = ElementTree.fromstring(bars("", [Bar("", 0.5, 0, 1), Bar("", 1.0, 0, 1)])).findall("rect")  # noqa: S314
    assert float(half.attrib["width"]) * 2 == pytest.approx(float(whole.attrib["width"]), abs=0.2)
    good, bad = ElementTree.fromstring(differences("", [-1.0, 0.0, 0.5])).findall("rect")  # noqa: S314
    assert (good.attrib["class"], bad.attrib["class"]) == ("good", "bad")
    assert float(bad.attrib["height"]) == 2 * float(good.attrib["height"])
