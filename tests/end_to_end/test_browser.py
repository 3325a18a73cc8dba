"""The whole program as a person meets it: the real server, the real models, the sample collection, a real browser."""

import io
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from eval.shapes import draw, held_out_scenes, write_pictures
from rag.build import open_library
from rag.config import load_settings
from tests.browser import WAIT, Screen
from tests.sample import serving

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.slow]

Window = Callable[..., Screen]

NOTE = "# The heron clock\n\nThe heron clock in the boathouse is wound every ninth day with the brass key Quillon.\n"
HARM = (
    "# Harm\n\nThe zinc ledger says <img src=x onerror=window.harmed=1> and ![x](https://evil.example/p.png) and "
    "[go](javascript:window.harmed=1). <script>window.harmed=1</script>\n"
)

# The middle of an element, 0 at the top of the image and 1 at its bottom; in one go, as the page may be scrolling.
MIDDLE = """(element, image) => {
    const [inner, outer] = [element, image].map((each) => each.getBoundingClientRect());
    return (inner.top + inner.height / 2 - outer.top) / outer.height;
}"""


@pytest.fixture(scope="module")
def home(sample_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that the first start on the sample collection left."""
    return Path(shutil.copytree(sample_home, tmp_path_factory.mktemp("started") / "library"))


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    with serving(home) as where:
        yield where


def quiet(screen: Screen) -> None:
    assert screen.elsewhere == []
    assert screen.problems == []
    assert screen.page.evaluate("window.harmed") is None


def answered(screen: Screen, question: str) -> None:
    """Ask through the keyboard; the answer ends and is cited. How it streams is looked at in tests/ui/test_page.py."""
    screen.page.keyboard.press("/")
    screen.page.keyboard.type(question)
    turns = screen.page.locator("#thread .turn").count()
    screen.page.keyboard.press("Enter")
    screen.page.wait_for_function("n => document.querySelectorAll('#thread .turn').length > n", arg=turns)
    screen.page.wait_for_selector("#thread .turn:last-child .cite")


def test_a_person_asks_reads_the_source_drops_a_file_and_comes_back(
    home: Path, window: Window, request: pytest.FixtureRequest
) -> None:
    from playwright.sync_api import expect

    with serving(home) as address:
        screen = window(address).open()
        page = screen.page
        page.wait_for_selector(".status:has-text('SmolLM2-135M on')")  # the models are there
        assert page.locator(".starter").count() == 3
        question = page.locator(".starter").first.inner_text()

        answered(screen, question)
        assert re.search(r"\d+ of \d+ passages · found in .+ · SmolLM2-135M on", screen.text(".small-print"))
        assert page.locator("#sources .card mark").count() > 0
        assert page.locator("#sources .chip:has-text('meaning 1st')").count() == 1

        page.click("#thread .cite")
        marked = page.frame_locator("dialog.drawer iframe").locator("mark#passage")
        assert len(marked.inner_text()) > 10
        expect(marked).to_be_in_viewport(timeout=WAIT)
        page.keyboard.press("Escape")

        screen.drop("#composer", "heron clock.md", NOTE)
        screen.matches("#jobs-here", r"1 added.*heron clock\.md")
        answered(screen, "With which key is the heron clock in the boathouse wound?")
        screen.matches("#sources .card:first-of-type", "The heron clock")
        screen.matches("#sources .card:first-of-type mark", "Quillon")
        screen.matches("#thread .turn:last-child .answer", "Quillon")
        where = page.evaluate("location.hash")
        quiet(screen)

    address = request.getfixturevalue("address")  # another start, on the same library
    screen = window(address).open(where)
    screen.matches("#thread", "heron clock")
    assert screen.page.locator("#thread .turn").count() == 2
    assert screen.page.locator(".conversations li").count() == 1
    screen.page.goto(f"{address}/#library")
    screen.page.fill("[data-field=filter]", "heron clock")
    screen.matches("#table", r"1 of \d+ documents.*The heron clock")
    quiet(screen)


def written(*lines: str) -> bytes:
    """A picture with lines of words in it, as a screenshot has them."""
    picture = Image.new("RGB", (1000, 90 + 70 * len(lines)), "#fbfaf5")
    canvas, font = ImageDraw.Draw(picture), ImageFont.load_default(40)
    for number, line in enumerate(lines):
        canvas.text((50, 50 + 70 * number), line, "#202020", font)
    return png(picture)


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def drawn(screen: Screen, selector: str) -> None:
    """Wait until a picture is there and drawn."""
    screen.page.wait_for_function("s => document.querySelector(s)?.naturalWidth > 0", arg=selector)


def test_a_picture_is_dropped_found_by_its_text_and_by_itself_and_opened(address: str, window: Window) -> None:
    """With the starter models only: pictures are found by the words in them."""
    shot = written("Boathouse, things to remember", "The spare key Quillon hangs", "behind the brass barometer")
    screen = window(address).open("#library")
    page = screen.page
    screen.drop(".drop-zone", "boathouse list.png", shot)
    screen.matches("#jobs-there", r"1 added.*boathouse list\.png")
    page.fill("[data-field=filter]", "boathouse list")
    drawn(screen, "#table .thumb img")
    screen.matches("#status", r"\d+ pictures.*picture understanding off")

    page.goto(f"{address}/#search")
    page.fill("[data-field=search]", "spare key Quillon")
    screen.matches("#results .card:first-child", r"boathouse list.*words \d")
    drawn(screen, "#results .card:first-child img")
    assert "Quillon" in page.locator("#results .card:first-child mark").all_inner_texts()
    page.click("#results .card:first-child .thumbnail")
    inside = page.frame_locator("dialog.drawer iframe")
    hit, frame = inside.locator(".marks .hit"), inside.locator(".frame img")
    assert "Quillon" in inside.locator("mark#passage").inner_text()
    assert hit.count() == 1
    frame.evaluate("image => image.decode()")  # it has no height before
    middle = hit.evaluate(MIDDLE, frame.element_handle())
    assert middle == pytest.approx(145 / 300, abs=0.05)  # the second of three lines
    page.keyboard.press("Escape")

    page.fill("[data-field=search]", "")
    assert screen.paste("[data-field=search]", "image.png", shot)
    screen.matches("#results .card:first-child", "boathouse list")
    page.click("#tile-search [data-do=detach]")

    page.goto(f"{address}/#chat")
    assert screen.paste("#question", "image.png", shot)
    drawn(screen, "#tile-chat .tile img")
    page.evaluate("document.activeElement.blur()")
    answered(screen, "Where does the spare key hang?")
    drawn(screen, "#thread .asked img")
    screen.matches("#sources .card:first-child", "boathouse list")
    page.click("#thread .turn:last-child .cite >> nth=0")
    page.frame_locator("dialog.drawer.wide iframe").locator(".marks .hit").first.wait_for()
    page.keyboard.press("Escape")
    screen.reload()
    drawn(screen, "#thread .asked img")
    quiet(screen)


def test_pictures_are_looked_at_found_by_what_they_show_and_more_like_them(
    window: Window, small_clip: Path, tmp_path: Path
) -> None:
    """With a small CLIP that comes after the pictures: it looks at them in the background."""
    others = {"embedder": "hashing", "generator": "none"}
    write_pictures(tmp_path / "shapes", held_out_scenes(12))
    with closing(open_library(load_settings(home=tmp_path / "library", image_embedder="none", **others))) as library:
        library.add([tmp_path / "shapes"])
        assert library.status().unseen == 12
    with serving(tmp_path / "library", image_embedder=f"local-dir:{small_clip}", **others) as address:
        screen = window(address).open("#library")
        page = screen.page
        screen.matches("#jobs-there", "Looked at 12 pictures")
        scene = held_out_scenes(13)[-1]
        screen.drop(".drop-zone", "thirteenth.png", png(draw(scene, seed=7)))
        screen.matches("#jobs-there", r"1 added.*thirteenth\.png")

        page.goto(f"{address}/#search")
        page.fill("[data-field=search]", scene.caption)
        page.click("#search-tools [data-kind=image]")
        screen.matches("#results .card:first-child", r"thirteenth.*picture 1st")
        page.fill("[data-field=search]", "")
        assert screen.paste("[data-field=search]", "image.png", png(draw(scene, seed=7)))
        screen.matches("#results .card:first-child", "thirteenth.*likeness 1st")
        page.click("#results .card:first-child a:has-text('More like this')")
        screen.matches("#tile-search", "More like “thirteenth”")
        screen.matches("#results", r"^(?!.*thirteenth).*\d+ pictures.*likeness")
        quiet(screen)


def test_a_pdf_opens_at_its_page_and_harm_stays_text(address: str, window: Window) -> None:
    screen = window(address).open("#search")
    page = screen.page
    page.fill("[data-field=search]", "fault code condensate cannot drain")
    page.click("#search-tools [data-kind=pdf]")
    screen.matches("#results", r"boiler-manual.*p\. \d.*words 1st")
    page.click("#results .title >> nth=0")
    source = page.frame_locator("dialog.drawer iframe")
    original = source.locator(".page-number a").first.get_attribute("href")
    assert re.fullmatch(r"/original/[0-9a-f]{32}#page=\d+", original or "")
    fetched = page.request.get(f"{address}{original}")
    assert fetched.headers["content-type"] == "application/pdf"
    assert fetched.body().startswith(b"%PDF")
    page.keyboard.press("Escape")

    page.goto(f"{address}/#chat")
    screen.drop("#composer", "<img src=x onerror=alert(1)>.md", HARM)
    screen.matches("#jobs-here", r"1 added.*onerror")
    answered(screen, "What does the zinc ledger say?")
    screen.matches("#sources", "zinc ledger says <img")
    page.click("#sources .title >> nth=0")
    page.frame_locator("dialog.drawer iframe").locator("mark").first.wait_for()
    page.keyboard.press("Escape")
    strange = "img:not([src^='/preview/']):not([src^='/asked/']), a[href^=javascript], a[href^=http]"
    assert page.locator(strange).count() == 0  # pictures of the library are served by it, and no others are shown
    quiet(screen)


def test_it_works_on_a_phone(address: str, window: Window) -> None:
    screen = window(address, 390, 844, scheme="dark", has_touch=True, is_mobile=True).open()
    page = screen.page
    page.tap(".starter >> nth=0")
    page.wait_for_selector("#thread .turn .cite")
    page.tap("#thread .cite")
    page.frame_locator("dialog.drawer iframe").locator("mark#passage").wait_for()
    page.tap("dialog.drawer button:text('Close')")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    quiet(screen)
