"""The whole program as a person meets it: the real server, the real models, the sample collection, a real browser."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag.errors import ModelNotFound
from rag.models import starter
from tests.browser import Screen

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.slow]

Window = Callable[..., Screen]

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "corpus"
NOTE = "# The heron clock\n\nThe heron clock in the boathouse is wound every ninth day with the brass key Quillon.\n"
HARM = (
    "# Harm\n\nThe zinc ledger says <img src=x onerror=window.harmed=1> and ![x](https://evil.example/p.png) and "
    "[go](javascript:window.harmed=1). <script>window.harmed=1</script>\n"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        starter.embedder_folder()
        starter.generator_file()
    except ModelNotFound as missing:
        pytest.skip(str(missing))
    return tmp_path_factory.mktemp("library")


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """`rag serve` in a process of its own on a free port, with the sample collection; gives its address."""
    environment = {**os.environ, "RAG_HOME": str(home), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "200"}
    command = (sys.executable, "-m", "rag.cli", "serve", "--port", "0", "--no-browser", "--sample", str(SAMPLE))
    log = home.with_suffix(".log")
    with log.open("w") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=ROOT)
        try:
            yield _address(server, log)
        finally:
            server.send_signal(signal.SIGINT)
            assert server.wait(30) == 0, log.read_text()


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + 300  # the first start reads and embeds the sample collection
    while time.monotonic() < end:
        said = re.search(r"Commonplace is at (http://127\.0\.0\.1:\d+)", log.read_text())
        if said:
            return said[1]
        assert server.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(f"the server did not start: {log.read_text()}")


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    with serving(home) as where:
        yield where


def quiet(screen: Screen) -> None:
    assert screen.elsewhere == []
    assert screen.problems == []
    assert screen.page.evaluate("window.harmed") is None


def answered(screen: Screen, question: str) -> None:
    """Ask through the keyboard; the answer streams, ends and is cited."""
    screen.page.keyboard.press("/")
    screen.page.keyboard.type(question)
    turns = screen.page.locator("#thread .turn").count()
    screen.page.keyboard.press("Enter")
    screen.page.wait_for_selector("#live .turn .answer")
    screen.page.wait_for_function(
        "n => document.querySelectorAll('#thread .turn').length > n", arg=turns, timeout=180_000
    )
    screen.page.wait_for_selector("#thread .turn:last-child .cite")


def test_a_person_asks_reads_the_source_drops_a_file_and_comes_back(home: Path, window: Window) -> None:
    with serving(home) as address:
        screen = window(address).open()
        page = screen.page
        page.wait_for_selector(".status:has-text('SmolLM2-135M on')", timeout=180_000)  # the models are there
        assert page.locator(".starter").count() == 3
        question = page.locator(".starter").first.inner_text()

        answered(screen, question)
        assert re.search(r"\d+ of \d+ passages · found in .+ · SmolLM2-135M on", screen.text(".small-print"))
        assert page.locator("#sources .card mark").count() > 0
        assert page.locator("#sources .chip:has-text('meaning 1st')").count() == 1

        page.click("#thread .cite")
        marked = page.frame_locator("dialog.drawer iframe").locator("mark#passage")
        assert len(marked.inner_text()) > 10
        assert marked.evaluate(
            "e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.top < innerHeight; }"
        )
        page.keyboard.press("Escape")

        screen.drop("#composer", "heron clock.md", NOTE)
        screen.matches("#jobs-here", r"1 added.*heron clock\.md")
        answered(screen, "With which key is the heron clock in the boathouse wound?")
        screen.matches("#sources .card:first-of-type", "The heron clock")
        assert "Quillon" in screen.text("#sources .card:first-of-type mark")
        assert "Quillon" in screen.text("#thread .turn:last-child .answer")
        where = page.evaluate("location.hash")
        quiet(screen)

    with serving(home) as address:  # a second start, on the same library
        screen = window(address).open(where)
        screen.matches("#thread", "heron clock")
        assert screen.page.locator("#thread .turn").count() == 2
        assert screen.page.locator(".conversations li").count() == 1
        screen.page.goto(f"{address}/#library")
        screen.page.fill("[data-field=filter]", "heron clock")
        screen.matches("#table", r"1 of \d+ documents.*The heron clock")
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
    screen.matches("#jobs-here", "1 added")
    answered(screen, "What does the zinc ledger say?")
    screen.matches("#sources", "zinc ledger says <img")
    page.click("#sources .title >> nth=0")
    page.frame_locator("dialog.drawer iframe").locator("mark").first.wait_for()
    page.keyboard.press("Escape")
    assert page.locator("#thread img, #sources img, a[href^=javascript], a[href^=http]").count() == 0
    quiet(screen)


def test_it_works_on_a_phone(address: str, window: Window) -> None:
    screen = window(address, 390, 844, scheme="dark", has_touch=True, is_mobile=True).open()
    page = screen.page
    page.tap(".starter >> nth=0")
    page.wait_for_selector("#thread .turn .cite", timeout=180_000)
    page.tap("#thread .cite")
    page.frame_locator("dialog.drawer iframe").locator("mark#passage").wait_for()
    page.tap("dialog.drawer button:text('Close')")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    quiet(screen)
