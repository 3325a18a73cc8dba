"""Maps of a library: what stays, what moves, and a page on which no document's words are anything but words."""

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.tune.map_page import render
from rag.tune.maps import METHODS, LibraryMap, Side, Spot, lay_out
from tests.browser import Screen

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e\u2028 &amp; {{x}}"
COUNT = 14  # and four queries: too few for UMAP, which is tested in test_layout.py and takes its time


def unit(rows: np.ndarray) -> NDArray[np.float32]:
    lengths: NDArray[np.float32] = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / lengths, np.float32)


RNG = np.random.default_rng(0)
DOCUMENTS = unit(np.repeat(np.eye(12)[:2], COUNT // 2, axis=0) + RNG.normal(scale=0.1, size=(COUNT, 12)))
QUERIES = unit(DOCUMENTS[[2, 10]] + RNG.normal(scale=0.3, size=(2, 12)))
CLOSER = unit(QUERIES + 2 * DOCUMENTS[[2, 10]])
FOLDERS, KINDS = ("garden", "house/cellar"), ("note", "pdf")
SPOTS = [
    Spot(HOSTILE if n == 2 else f"Note {n}", FOLDERS[n >= COUNT // 2], KINDS[n % 2], HOSTILE) for n in range(COUNT)
]
ASKED = ["where do the herons nest?", HOSTILE]
BASE = Side("as it came", DOCUMENTS, QUERIES)


@pytest.fixture(scope="module")
def queries_moved() -> LibraryMap:
    return lay_out(SPOTS, ASKED, (2, 10), BASE, Side("1a-<b>tuned", DOCUMENTS, CLOSER), total=90)


@pytest.fixture(scope="module")
def documents_moved() -> LibraryMap:
    """Another model: the same arrangement, turned, in more dimensions."""
    turned = np.pad(DOCUMENTS[:, ::-1], ((0, 0), (0, 4))), np.pad(QUERIES[:, ::-1], ((0, 0), (0, 4)))
    return lay_out(SPOTS, ASKED, (2, 10), BASE, Side("v2", *(np.ascontiguousarray(part) for part in turned)))


def test_documents_stay_where_only_queries_are_embedded_in_another_way(queries_moved: LibraryMap) -> None:
    assert not queries_moved.moved
    assert [layout.method for layout in queries_moved.layouts] == list(METHODS)
    for layout in queries_moved.layouts:
        assert layout.after is not None
        assert layout.after.documents is layout.before.documents
        assert layout.before.documents.shape == (COUNT, 2)
        right = layout.before.documents[list(queries_moved.answers)]
        before, after = (np.linalg.norm(side.queries - right, axis=1) for side in (layout.before, layout.after))
        assert after.sum() < before.sum(), layout.method  # the arrows point home
    base, tuned = queries_moved.figures
    assert base.alignment is not None
    assert tuned.alignment is not None
    assert base.alignment == pytest.approx(((QUERIES - DOCUMENTS[[2, 10]]) ** 2).sum(axis=1).mean(), rel=1e-5)
    assert tuned.alignment < base.alignment
    assert (tuned.uniformity, tuned.rank) == (base.uniformity, base.rank)


def test_what_lies_the_same_in_another_space_is_laid_onto_itself(documents_moved: LibraryMap) -> None:
    assert documents_moved.moved
    for layout in documents_moved.layouts:
        assert layout.after is not None
        size = np.ptp(layout.before.documents, axis=0).max()
        strayed = np.linalg.norm(layout.after.documents - layout.before.documents, axis=1)
        assert strayed.max() < 1e-4 * size
    assert documents_moved.alarms == ()


def test_a_map_of_one_side_and_of_a_single_passage() -> None:
    nothing = DOCUMENTS[:0]
    alone = lay_out(SPOTS[:1], (), (), Side("as it came", DOCUMENTS[:1], nothing), None)
    assert alone.layouts[0].after is None
    assert (alone.total, alone.alarms, alone.figures[0].alignment) == (1, (), None)
    assert data_of(render(alone, "Map"))["layouts"][1]["sides"] == [{"spots": [[5000, 5000]], "queries": []}]


def test_the_same_vectors_give_the_same_page(queries_moved: LibraryMap) -> None:
    again = lay_out(SPOTS, ASKED, (2, 10), BASE, Side("1a-<b>tuned", DOCUMENTS, CLOSER), total=90)
    assert render(again, "Map") == render(queries_moved, "Map")


def data_of(page: str) -> Any:
    return json.loads(page.split('id="data">')[1].split("</script>")[0])


def test_words_of_documents_are_data(queries_moved: LibraryMap) -> None:
    page = render(queries_moved, "A map & <more>")
    assert page.count("<script") == page.count("</script>") == 2
    assert "<img" not in page
    assert "alert(1)</script" not in page
    data = data_of(page)
    assert data["spots"][2][0].startswith("</script><script>alert(1)</script>")
    assert "\u202e" not in data["spots"][2][0]  # what turns the direction of text round
    assert data["queries"][0] == ASKED[0]
    assert "<title>A map &amp; &lt;more&gt;</title>" in page
    assert "1a-&lt;b&gt;tuned" in page


def test_nothing_is_loaded_and_no_other_script_runs(queries_moved: LibraryMap) -> None:
    page = render(queries_moved, "Map")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    rules = dict(rule.strip().split(" ", 1) for rule in unescape(policy).split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert re.fullmatch(r"'sha256-[\w+/=]+'", rules["script-src"])
    assert not re.search(r"""(src|href|action)\s*=|url\(|@import|https?:""", page.split('id="data"')[0])


def test_a_sample_is_said_to_be_one(queries_moved: LibraryMap, documents_moved: LibraryMap) -> None:
    assert "14 of 90 passages, drawn evenly" in render(queries_moved, "Map")
    assert "14 passages" in render(documents_moved, "Map")


@pytest.mark.browser
def test_the_page_in_a_browser(window: Callable[..., Screen], queries_moved: LibraryMap, tmp_path: Path) -> None:
    (tmp_path / "map.html").write_text(render(queries_moved, "Map of the library"), "utf-8")
    address = (tmp_path / "map.html").as_uri()
    screen = window(address, width=390, height=844)
    page = screen.page
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    legend = page.locator("#legend button")
    assert legend.all_inner_texts() == ["garden (7)", "house/cellar (7)", "queries (2)"]
    page.get_by_label("kind").check()
    assert legend.all_inner_texts() == ["note (7)", "pdf (7)", "queries (2)"]
    legend.first.focus()
    page.keyboard.press("Space")
    assert legend.first.get_attribute("aria-pressed") == "false"

    page.locator("#map").focus()
    said = set()
    for key in ("ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        said.add(page.locator("#told").inner_text())
        assert page.locator("#tip").is_visible()
    assert len(said) > 2
    assert all("</script>" in words or "a query" in words for words in said)  # as words
    assert "note ·" not in "".join(said)  # hidden by the legend
    page.keyboard.press("+")
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()
    assert screen.problems == []
    assert [url for url in screen.requests if not url.startswith("file:")] == []
