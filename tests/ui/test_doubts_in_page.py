"""What an answer does not rest on, in a real browser: pointed at, tabbed to and tapped; and the way on from none."""

from collections.abc import Iterator

import pytest

from rag.records import Answer, Citation, GroundedSentence, Turn
from tests.browser import Screen
from tests.ui.fakes import FakeLibrary, make_passage
from tests.ui.test_page import CONTRAST, NAMELESS, Window, quiet, serving

pytestmark = pytest.mark.browser

QUESTION = "And when does she leave?"
UNDERSTOOD = "Who lives in the second hive? And when does the queen leave?"
TEXT = (
    "The queen leaves with half the hive in May [1]. She likes to leave in the rain. "
    "She takes forty thousand bees with her, **some say fifty**."
)
WRONG, PARTLY = "Not supported by the sources", "Only partly supported by the sources"
REASON = "The number “forty thousand” stands in no source."


def remember(library: FakeLibrary) -> str:
    """A conversation with an answer of every kind of sentence, and one where nothing stood out."""
    bees, train = (library.document(info.id) for info in library.documents())
    passages = (make_passage(bees, 1, "The queen leaves with half the hive in May."), make_passage(train, 2))
    chunk = passages[0].hit.chunk
    spans = [(0, TEXT.index(" She likes")), (TEXT.index("She likes"), TEXT.index(" She takes"))]
    spans.append((TEXT.index("She takes"), len(TEXT)))
    judged = (
        GroundedSentence(*spans[0], "supported"),
        GroundedSentence(*spans[1], "partly", ("not all of it stands in the source",)),
        GroundedSentence(
            *spans[2], "unsupported", (REASON[0].lower() + REASON[1:-1], "no source says anything like it")
        ),
    )
    cited = (Citation(1, chunk.id, bees.id, bees.path, None, 0, 9, "q", supported=True),)
    kept = library.conversations.create("The queen")
    answer = Answer(QUESTION, TEXT, cited, passages, "stop", "SmolLM2", standalone=UNDERSTOOD, sentences=judged)
    library.conversations.append(kept.id, Turn(QUESTION, answer))
    nothing = (
        "Nothing in your library clearly answers this. These are the passages that come nearest:\n\n“Twelve jars” [1]"
    )
    abstained = Answer("night train berth", nothing, (), passages, "stop", None, abstained=True)
    library.conversations.append(kept.id, Turn("night train berth", abstained))
    return kept.id


@pytest.fixture
def address(library: FakeLibrary) -> Iterator[str]:
    conversation = remember(library)
    with serving(library) as where:
        yield f"{where}/#chat/{conversation}"


def opened(window: Window, address: str, *size: int, **more: object) -> Screen:
    where, _, place = address.partition("/#")
    screen = window(where, *size, **more).open(f"#{place}")
    screen.page.wait_for_selector("#thread .flag")
    return screen


def test_reasons_are_told_to_those_who_point_and_to_those_who_tab(address: str, window: Window) -> None:
    screen = opened(window, address)
    page = screen.page
    screen.matches("#thread .support", "3 sentences, 1 only partly supported, 1 not supported by the sources")
    assert screen.text("#thread .understood") == f"Understood as: {UNDERSTOOD}"  # the quotation marks are drawn
    assert page.locator(".doubt.unsupported").all_inner_texts()[0].startswith("She takes forty thousand")
    assert page.locator(".doubt.partly").inner_text() == "She likes to leave in the rain."
    lines = page.eval_on_selector_all(".doubt", "all => all.map(e => getComputedStyle(e).textDecorationStyle)")
    assert set(lines) == {"dotted", "wavy"}  # not by colour alone
    reason = page.locator(".unsupported .why")
    assert not reason.is_visible()
    page.hover(".unsupported .flag")
    assert reason.inner_text() == f"{REASON} No source says anything like it."
    page.mouse.move(0, 0)
    assert not reason.is_visible()
    page.focus("#thread .cite >> nth=0")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.ariaLabel") == PARTLY
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.ariaLabel") == WRONG
    assert reason.is_visible()
    page.keyboard.press("Escape")
    assert not reason.is_visible()
    assert page.evaluate(NAMELESS) == []
    quiet(screen)


def test_from_an_answer_that_there_is_not_one_goes_on_to_the_search(address: str, window: Window) -> None:
    screen = opened(window, address)
    screen.page.click("[data-do=search-for]")
    screen.matches("#results", "1 passage.*Night train")
    assert screen.page.input_value("[data-field=search]") == "night train berth"
    assert screen.page.evaluate("location.hash") == "#search"
    quiet(screen)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_narrow_screen_a_tap_tells_why_and_all_of_it_fits(address: str, window: Window, scheme: str) -> None:
    screen = opened(window, address, 390, 844, scheme, has_touch=True, is_mobile=True)
    page = screen.page
    page.tap(".unsupported .flag")
    reason = page.locator(".unsupported .why")
    assert reason.is_visible()
    box = reason.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(CONTRAST) == []
    quiet(screen)
