"""Marks in a real browser: they reach the log, survive a reload, are taken back, and work by key and by thumb."""

from collections.abc import Callable, Iterator

import pytest

from rag.tune.records import Choice
from tests.browser import WAIT, Screen
from tests.ui.fakes import FakeLibrary
from tests.ui.test_page import quiet, serving

pytestmark = pytest.mark.browser

Window = Callable[..., Screen]
QUEEN = "When does the queen leave the hive?"


@pytest.fixture
def address(library: FakeLibrary) -> Iterator[str]:
    with serving(library) as where:
        yield where


def press(screen: Screen, selector: str, on: bool = True) -> None:
    """Press a mark and wait until it looks like that."""
    screen.page.click(selector)
    screen.page.wait_for_selector(f"{selector}[aria-pressed={'true' if on else 'false'}]")


def logged(library: FakeLibrary, screen: Screen, *acts: str) -> tuple[Choice, ...]:
    """What stands in the log, once those acts do."""
    for _ in range(WAIT // 50):
        choices = library.feedback.read().choices
        if sorted(each.act for each in choices) == sorted(acts):
            return choices
        screen.page.wait_for_timeout(50)
    raise AssertionError(f"{[each.act for each in library.feedback.read().choices]} stand, not {acts}")


def test_marks_reach_the_log_and_survive_a_reload(address: str, library: FakeLibrary, window: Window) -> None:
    screen = window(address).open()
    screen.ask(QUEEN)
    screen.matches(".marks-hint", "stay on this machine")
    press(screen, "#thread [data-act=up]")
    press(screen, "#sources .card:first-child [data-act=pin]")
    press(screen, "#sources .card:first-child [data-act=this]")
    (pin, this, up) = sorted(logged(library, screen, "up", "pin", "this"), key=lambda each: each.act)
    shown = library.feedback.read().shown[up.shown]
    assert (shown.query, up.chunk, pin.chunk, this.chunk) == (QUEEN, "", shown.chunks[0].chunk, shown.chunks[0].chunk)
    assert not screen.page.is_visible(".marks-hint")  # what it says is known now
    screen.reload()
    screen.page.wait_for_selector("#thread [data-act=up][aria-pressed=true]")
    for act in ("pin", "this"):
        screen.page.wait_for_selector(f"#sources .card:first-child [data-act={act}][aria-pressed=true]")
    assert not screen.page.is_visible(".marks-hint")
    press(screen, "#sources .card:first-child [data-act=wrong]")
    screen.page.wait_for_selector("#sources .card:first-child [data-act=pin][aria-pressed=false]")
    press(screen, "#thread [data-act=up]", on=False)
    logged(library, screen, "wrong")
    quiet(screen)


def test_what_is_found_is_marked_for_its_words(address: str, library: FakeLibrary, window: Window) -> None:
    screen = window(address).open("#search")
    screen.page.fill("[data-field=search]", "night train berth")
    screen.page.wait_for_selector("#results .card")
    assert not library.feedback.path.exists()  # it is still being typed
    press(screen, "#results .card:first-child [data-act=this]")
    logged(library, screen, "this")
    screen.page.fill("[data-field=search]", "")
    screen.page.wait_for_selector("#results .none")
    screen.page.fill("[data-field=search]", "Night  TRAIN berth")
    screen.page.keyboard.press("Enter")
    screen.page.wait_for_selector("#results .card:first-child [data-act=this][aria-pressed=true]")
    press(screen, "#results .card:first-child [data-act=this]", on=False)
    logged(library, screen)
    assert {each.query for each in library.feedback.read().shown.values()} == {
        "night train berth",
        "Night  TRAIN berth",
    }
    quiet(screen)


def test_opening_and_copying_are_logged(address: str, library: FakeLibrary, window: Window) -> None:
    screen = window(address).open()
    screen.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    screen.ask(QUEEN)
    screen.page.click("#thread .cite")
    source = screen.page.frame_locator("dialog.drawer iframe")
    (opened,) = logged(library, screen, "open")
    source.locator("mark#passage").click(click_count=2)  # which chooses a word
    screen.page.keyboard.press("Control+c")
    assert {each.chunk for each in logged(library, screen, "open", "copy")} == {opened.chunk}
    screen.page.keyboard.press("Escape")
    screen.page.click("#thread [data-do=copy]")
    copied = logged(library, screen, "open", "copy", "copy")
    assert [each.chunk for each in copied if each.act == "copy"] == [opened.chunk, ""]
    quiet(screen)


def test_marks_by_key(address: str, library: FakeLibrary, window: Window) -> None:
    screen = window(address).open()
    screen.ask(QUEEN)
    screen.page.locator("body").click(position={"x": 700, "y": 300})
    screen.page.keyboard.press("j")
    reached = "document.activeElement.dataset.act"
    while screen.page.evaluate(reached) != "wrong":
        screen.page.keyboard.press("Tab")
    screen.page.keyboard.press("Space")
    logged(library, screen, "wrong")
    assert screen.page.evaluate(reached) == "wrong"  # still there, to be taken back
    screen.page.keyboard.press("Enter")
    logged(library, screen)
    quiet(screen)


def test_marks_by_thumb(address: str, library: FakeLibrary, window: Window) -> None:
    screen = window(address, 390, 844, has_touch=True).open()
    screen.ask(QUEEN)
    for selector in ("#thread [data-act=down]", "#sources .card:first-child [data-act=wrong]"):
        box = screen.page.locator(selector).bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 40
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        screen.page.tap(selector)
    logged(library, screen, "down", "wrong")
    assert screen.page.evaluate("document.documentElement.scrollWidth") <= 390
    quiet(screen)


def test_a_mark_that_is_refused_is_said_and_shown_as_it_was(address: str, library: FakeLibrary, window: Window) -> None:
    screen = window(address).open()
    screen.ask(QUEEN)
    library.feedback.erase()
    for _ in range(2):
        screen.page.click("#thread [data-act=up]")
        screen.matches("#announcer", "Nothing is known of that list")
        screen.page.wait_for_selector("#thread [data-act=up][aria-pressed=false]")
        screen.page.evaluate("document.querySelector('#announcer').textContent = ''")
    quiet(screen)
