"""Pictures in a real browser, over a library in memory: asked with, found, looked at, and out of harm's way."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser import WAIT, Screen
from tests.ui.fakes import FakeLibrary, encoded, make_document, make_image
from tests.ui.test_page import CONTRAST, HOSTILE, NAMELESS, quiet, serving

pytestmark = pytest.mark.browser

Window = Callable[..., Screen]

# Where an element begins in the image, and how wide it is, in parts of its width; at once, as the page may be moving.
EXTENT = """(element, image) => {
    const [inner, outer] = [element, image].map((each) => each.getBoundingClientRect());
    return [(inner.left - outer.left) / outer.width, inner.width / outer.width];
}"""
COLOURS = {"sunset": "#d0602a", "poppies": "#c8322a", "harbour": "#2a5fc8", "fjord": "#2a7fb8"}


@pytest.fixture
def library(tmp_path: Path) -> FakeLibrary:
    pictures = [make_image(f"/home/ada/pictures/{name}.png", f"The {name}\nat seven") for name in COLOURS]
    note = make_document("/home/ada/notes/bees.md", "The queen leaves with half the hive in May.", title="Bees")
    library = FakeLibrary(tmp_path / "home", [*pictures, note])
    library.colours = {picture.id: COLOURS[picture.title] for picture in pictures}
    library.eyes = True
    library.pace = 0.02
    return library


@pytest.fixture
def address(library: FakeLibrary) -> Iterator[str]:
    with serving(library) as where:
        yield where


def loaded(screen: Screen, selector: str) -> None:
    """Wait until a picture is there and drawn."""
    screen.page.wait_for_function("s => document.querySelector(s)?.naturalWidth > 0", arg=selector)


def test_a_pasted_picture_is_asked_with_and_survives_a_reload(address: str, window: Window) -> None:
    screen = window(address).open()
    page = screen.page
    assert screen.paste("#question", "image.png", encoded("#cc3329"))
    loaded(screen, "#tile-chat .tile img")
    page.keyboard.press("Enter")  # a picture alone is a question
    page.wait_for_selector("body:not(.busy) #thread .turn .asked img")
    loaded(screen, "#thread .asked img")
    page.wait_for_selector("#tile-chat .tile", state="detached")
    screen.matches("#sources .card:first-child .title", "poppies")
    screen.matches("#sources .card:first-child", r"likeness 1st: stands out, by chance \.002 pictures would")
    screen.reload()
    loaded(screen, "#thread .asked img")
    page.click("#thread [data-do=retry]")
    page.wait_for_function("document.querySelectorAll('#thread .asked img').length === 2")
    quiet(screen)


def test_words_and_a_picture_together_and_the_picture_left_out(address: str, window: Window) -> None:
    screen = window(address).open()
    page = screen.page
    screen.drop("#question", "mine.png", encoded("red"))
    loaded(screen, "#tile-chat .tile img")
    page.click("#tile-chat [data-do=detach]")
    page.wait_for_selector("#tile-chat .tile", state="detached")
    assert page.evaluate("document.activeElement.id") == "question"
    with page.expect_file_chooser() as chooser:
        page.click("[data-do=choose-picture][data-where=chat]")
    chooser.value.set_files([{"name": "mine.png", "mimeType": "image/png", "buffer": encoded("blue")}])
    loaded(screen, "#tile-chat .tile img")
    screen.ask("When does the queen leave the hive?")
    assert page.locator("#thread .asked img").count() == 1
    screen.matches("#thread .question", "queen")
    assert page.locator(".jobs .job").count() == 0  # asked with, not taken in
    quiet(screen)


def test_where_it_is_dropped_decides_and_both_places_say_so(address: str, library: FakeLibrary, window: Window) -> None:
    screen = window(address).open()
    page = screen.page
    screen.drop(".welcome", "new.png", encoded("green"), events=("dragenter", "dragover"))
    assert page.is_visible(".composer .drop-ask")
    assert page.inner_text(".composer .drop-ask") == "Drop here to ask with this picture"
    assert "Drop to add to your library" in page.evaluate("getComputedStyle(document.body, '::after').content")
    screen.drop(".welcome", "new.png", encoded("green"), events=("drop",))
    screen.matches("#jobs-here", "1 added.*new.png")
    assert not page.is_visible(".composer .drop-ask")
    assert page.locator("#tile-chat .tile").count() == 0
    screen.drop("#composer", "words.md", "The heron waits.", events=("dragenter", "dragover"))
    assert not page.is_visible(".composer .drop-ask")  # words cannot be asked with
    screen.drop("#composer", "words.md", "The heron waits.", events=("drop",))
    for _ in range(WAIT // 50):  # the name is on the screen before the file is in the library
        if len(library.documents()) == 7:
            break
        page.wait_for_timeout(50)
    assert {Path(info.path).name for info in library.documents()} >= {"new.png", "words.md"}
    quiet(screen)


def test_what_cannot_be_asked_with_is_said_beside_the_question(address: str, window: Window) -> None:
    screen = window(address).open()
    screen.drop("#question", "broken.png", b"no picture at all")
    screen.matches("#tile-chat [role=alert]", r"'broken\.png': it is not a picture")
    screen.page.click("#tile-chat [data-do=detach]")
    screen.page.wait_for_selector("#tile-chat [role=alert]", state="detached")
    screen.page.evaluate("document.querySelector('.composer').dataset.limit = 0.001")  # a kilobyte
    screen.drop("#question", "large.png", encoded("red", (600, 600), "BMP"))
    screen.matches("#announcer", r"large\.png is larger than 0\.001 MB, which is the limit in the settings")
    quiet(screen)


def test_words_that_come_with_a_drawing_of_themselves_stay_words(address: str, window: Window) -> None:
    screen = window(address).open()
    table = {"text/plain": "1\t2", "text/html": "<table><tr><td>1<td>2</table>"}
    assert not screen.paste("#question", "cells.png", encoded("white"), table)
    assert screen.page.locator("#tile-chat .tile").count() == 0
    quiet(screen)


def test_search_with_a_picture_then_more_like_one_of_the_results(address: str, window: Window) -> None:
    screen = window(address).open("#search")
    page = screen.page
    assert screen.paste("[data-field=search]", "image.png", encoded("#2b60c9"))
    screen.matches("#results", "4 pictures in.*harbour.*fjord")
    loaded(screen, "#results .picture:first-child img")
    page.click("#results .picture:first-child a:has-text('More like this')")
    screen.matches("#tile-search", "More like “harbour”")
    screen.matches("#results", "^(?!.*harbour).*3 pictures in.*fjord")
    page.go_back()
    page.goto(f"{address}/#search")
    page.wait_for_selector("#tile-search .tile", state="detached")
    page.fill("[data-field=search]", "sunset")
    screen.matches("#results", "1 picture in.*sunset.*words 1st")
    quiet(screen)


def test_a_gallery_is_gone_through_with_the_keys(address: str, window: Window) -> None:
    screen = window(address).open("#search")
    page = screen.page
    page.fill("[data-field=search]", "seven queen")
    screen.matches("#results", "1 passage and 4 pictures")
    page.click("#search-tools [data-kind=image]")
    screen.matches("#results", "4 pictures in")
    page.click("[data-do=gallery]")
    assert page.get_attribute("[data-do=gallery]", "aria-pressed") == "true"
    boxes = [page.locator("#results .picture").nth(n).bounding_box() for n in (0, 1)]
    assert boxes[0]["y"] == boxes[1]["y"]  # side by side
    page.focus("#results .thumbnail >> nth=0")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog.drawer[open].wide")
    assert screen.text(".drawer-where") == "1 of 4"
    first = page.frame_locator("dialog.drawer iframe").locator("h1").inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.drawer-where').textContent === '3 of 4'")
    page.keyboard.press("ArrowLeft")
    page.frame_locator("dialog.drawer iframe").locator(f"h1:not(:text-is('{first}'))").wait_for()
    assert page.evaluate("document.activeElement.closest('dialog') !== null")  # focus stays inside
    page.frame_locator("dialog.drawer iframe").locator("label").click()
    assert not page.frame_locator("dialog.drawer iframe").locator(".marks").is_visible()
    page.keyboard.press("ArrowRight")  # with the focus inside the page of the picture
    page.wait_for_function("document.querySelector('.drawer-where').textContent === '3 of 4'")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog.drawer:not([open])", state="attached")
    assert page.evaluate("document.activeElement.classList.contains('thumbnail')")  # focus comes back
    quiet(screen)


def test_more_like_this_from_the_large_view(address: str, window: Window) -> None:
    screen = window(address).open("#library")
    page = screen.page
    loaded(screen, "#table .thumb img")
    page.click("#table tr:has-text('harbour') .title")
    page.frame_locator("dialog.drawer iframe").locator("a:has-text('More like this')").click()
    page.wait_for_selector("dialog.drawer:not([open])", state="attached")
    screen.matches("#tile-search", "More like “harbour”")
    quiet(screen)


def test_the_picture_is_marked_where_the_words_stand(address: str, window: Window) -> None:
    screen = window(address).open("#search")
    page = screen.page
    page.fill("[data-field=search]", "harbour")
    page.click("#results .title")
    inside = page.frame_locator("dialog.drawer iframe")
    hit = inside.locator(".marks .hit")
    assert hit.count() == 1
    frame = inside.locator(".frame img")
    frame.evaluate("image => image.decode()")  # it has no width before
    left, width = hit.evaluate(EXTENT, frame.element_handle())
    assert (left, width) == (pytest.approx(0.1, abs=0.02), pytest.approx(0.8, abs=0.02))  # as the fakes' boxes are
    assert inside.locator("mark#passage").inner_text() == "The harbour"
    quiet(screen)


def test_looking_at_pictures_is_seen_makes_way_and_can_be_stopped(library: FakeLibrary, window: Window) -> None:
    library.unseen = 400
    library.pace = 0.05
    with serving(library) as address:
        screen = window(address).open("#library")
        screen.matches("#jobs-there", r"Looking at pictures \d+ of 400")
        screen.matches("#status", r"looking at pictures \d+ of 400")
        screen.drop(".drop-zone", "new.md", "A heron.")
        screen.matches("#jobs-there", r"1 added.*new\.md")  # at once, not after the pictures
        screen.matches("#jobs-there", r"Looking at pictures \d+ of 3\d\d")  # and then goes on
        screen.page.click("#jobs-there .job-running [data-do=stop-job]")
        screen.matches("#jobs-there", r"^(?!.*Looking at).*Stopped: looked at \d+ picture")
        quiet(screen)


def test_a_library_without_eyes_says_how_to_have_them(address: str, library: FakeLibrary, window: Window) -> None:
    library.eyes = False
    screen = window(address).open("#models")
    screen.matches("#model-list", "Finds pictures by what they show.*None.*get a model for that")
    screen.matches("#status", "4 pictures.*picture understanding off")
    screen.page.goto(f"{address}/#search")
    screen.paste("[data-field=search]", "image.png", encoded("red"))
    screen.matches("#results", "Nothing in your library matches.*get a model for that on the Models page")
    quiet(screen)


def test_pictures_of_hostile_documents_harm_nothing(tmp_path: Path, window: Window) -> None:
    name = HOSTILE.replace("/", "|")
    picture = make_image(f"/home/ada/{name}.png", f"zebra {HOSTILE}\n{HOSTILE}", title=HOSTILE, caption=HOSTILE)
    library = FakeLibrary(tmp_path / "home", [picture])
    with serving(library) as address:
        screen = window(address).open("#search")
        page = screen.page
        page.fill("[data-field=search]", "zebra")
        screen.matches("#results", r"evil\.example")
        page.click("#results .thumbnail")
        page.frame_locator("dialog.drawer iframe").locator(".marks .hit").first.wait_for()
        page.frame_locator("dialog.drawer iframe").locator(".marks .hit").first.hover()
        page.keyboard.press("Escape")
        page.goto(f"{address}/#library")
        screen.matches("#table", r"evil\.example")
        page.goto(f"{address}/#search/like/{picture.id}/{picture.id}/1")
        screen.matches("#tile-search", "More like")
        assert page.evaluate("window.harmed") is None
        assert page.locator("img:not([src^='/'])").count() == 0
        quiet(screen)


def test_on_a_phone(address: str, window: Window) -> None:
    screen = window(address, 390, 844, has_touch=True, is_mobile=True).open()
    page = screen.page
    fits = "document.documentElement.scrollWidth <= innerWidth"
    with page.expect_file_chooser() as chooser:
        page.tap("[data-do=choose-picture][data-where=chat]")
    chooser.value.set_files([{"name": "mine.png", "mimeType": "image/png", "buffer": encoded("#cc3329")}])
    loaded(screen, "#tile-chat .tile img")
    assert page.evaluate(fits)
    page.tap(".composer .send")
    page.wait_for_selector("body:not(.busy) #thread .turn .asked img")
    assert page.evaluate(fits)
    page.tap("#sources .thumbnail >> nth=0")
    page.wait_for_selector("dialog.drawer[open]")
    inside = page.frame_locator("dialog.drawer iframe")
    inside.locator(".frame img").wait_for()
    assert inside.locator("html").evaluate("e => e.scrollWidth <= innerWidth")
    page.tap("dialog.drawer button:text('Next')")
    page.wait_for_function("document.querySelector('.drawer-where').textContent.startsWith('2 of')")
    page.tap("dialog.drawer button:text('Close')")
    page.tap(".places [data-place=search]")
    page.fill("[data-field=search]", "seven")
    screen.matches("#results", "4 pictures")
    page.tap("[data-do=gallery]")
    assert page.evaluate(fits)
    quiet(screen)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_and_names(address: str, window: Window, scheme: str) -> None:
    screen = window(address, scheme=scheme).open()
    page = screen.page
    screen.paste("#question", "image.png", encoded("#cc3329"))
    loaded(screen, "#tile-chat .tile img")
    poor = page.evaluate(CONTRAST)
    page.keyboard.press("Enter")
    page.wait_for_selector("body:not(.busy) #thread .turn .asked img")
    nameless = page.evaluate(NAMELESS)
    poor += page.evaluate(CONTRAST)
    page.goto(f"{address}/#search")
    page.fill("[data-field=search]", "seven")
    screen.matches("#results", "4 pictures")
    poor += page.evaluate(CONTRAST)
    nameless += page.evaluate(NAMELESS)
    page.goto(f"{address}{page.get_attribute('#results .thumbnail', 'href')}")
    poor += page.evaluate(CONTRAST)
    nameless += page.evaluate(NAMELESS)
    assert poor == []
    assert nameless == []
    assert page.evaluate("[...document.images].every(i => i.hasAttribute('alt'))")
    assert page.evaluate("[...document.images].every(i => i.getAttribute('height'))")
