"""A real Chromium on a page of this program, which notes every request and every complaint of the browser."""

import base64
import mimetypes
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
SCREENS = Path(__file__).resolve().parent.parent / "build" / "screens"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_DROP = ("dragenter", "dragover", "drop")
_TRANSFER = """([name, type, content]) => {
  const data = new DataTransfer();
  if (name) data.items.add(new File([Uint8Array.from(atob(content), c => c.charCodeAt(0))], name, { type }));
  return data;
}"""
_PASTE = f"""([selector, file, words]) => {{
  const data = ({_TRANSFER})(file);
  for (const [type, text] of Object.entries(words)) data.setData(type, text);
  const event = new ClipboardEvent('paste', {{ clipboardData: data, bubbles: true, cancelable: true }});
  return document.querySelector(selector).dispatchEvent(event);
}}"""
WAIT = 180_000  # milliseconds: the machines that run this may be slow and busy


class Screen:
    """One window. `page` is Playwright's; `problems` and `elsewhere` must stay empty."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.address = address
        self.requests: list[str] = []
        self.problems: list[str] = []
        self.console: list[str] = []
        page.set_default_timeout(WAIT)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("console", self._note)
        page.on("response", self._answered)

    @property
    def elsewhere(self) -> list[str]:
        """Requests that went anywhere but to this server."""
        ours = urlsplit(self.address).netloc
        return [
            url
            for url in self.requests
            if urlsplit(url).scheme in ("http", "https", "ws", "wss") and urlsplit(url).netloc != ours
        ]

    def open(self, hash: str = "") -> "Screen":  # noqa: A002
        """The application, ready to be used, at a place such as `#library`."""
        self.page.goto(f"{self.address}/{hash}")
        self.page.wait_for_selector("body[data-ready]")
        self.page.wait_for_selector(".status")
        return self

    def ask(self, question: str) -> None:
        """Type a question and wait for its whole answer."""
        turns = self.page.locator("#thread .turn").count()
        self.page.fill("#question", question)
        self.page.keyboard.press("Enter")
        self.page.wait_for_function(
            "n => document.querySelectorAll('#thread .turn').length > n && !document.body.classList.contains('busy')",
            arg=turns,
        )

    def reload(self) -> None:
        """Load the page again, whatever it is doing; Gradio's word on streams that were left is no problem."""
        self.page.reload()
        self.page.wait_for_selector("body[data-ready]")
        self.problems = [p for p in self.problems if "AbortError" not in p and "Connection errored out" not in p]

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    def matches(self, selector: str, pattern: str) -> None:
        """Wait until the text of an element matches."""
        self.page.wait_for_function(
            "([s, p]) => new RegExp(p, 's').test(document.querySelector(s)?.innerText || '')", arg=[selector, pattern]
        )

    def drop(self, selector: str, name: str, content: str | bytes, events: Sequence[str] = _DROP) -> None:
        """Drop a file on an element, as a hand with a mouse does."""
        data = self.page.evaluate_handle(_TRANSFER, _file(name, content))
        for event in events:
            self.page.dispatch_event(selector, event, {"dataTransfer": data})

    def paste(self, selector: str, name: str, content: str | bytes, words: Mapping[str, str] | None = None) -> bool:
        """Paste a file, with `words` by type beside it; whether the page took it, or left it to the browser."""
        return not self.page.evaluate(_PASTE, [selector, _file(name, content), dict(words or {})])

    def _note(self, message: Any) -> None:
        self.console.append(f"{message.type}: {message.text}")
        if message.type == "error":
            self.problems.append(f"console: {message.text}")

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")


def _file(name: str, content: str | bytes) -> list[str]:
    """Name, media type and base64 of a file, for the scripts above."""
    data = content.encode() if isinstance(content, str) else content
    return [name, mimetypes.guess_type(name)[0] or "", base64.b64encode(data).decode()]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser; tests that need it are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; on Debian: apt install chromium")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def window(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., Screen]]:
    """Opens windows of any size and colour scheme; a failed test leaves a picture of each in build/screens."""
    opened: list[Screen] = []

    def open_window(address: str, width: int = 1440, height: int = 900, scheme: str = "light", **more: Any) -> Screen:
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **more)
        opened.append(Screen(context.new_page(), address))
        return opened[-1]

    yield open_window
    for number, screen in enumerate(opened):
        if getattr(request.node, "failed", False):
            SCREENS.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"\W+", "-", request.node.name)
            screen.page.screenshot(path=SCREENS / f"{name}-{number}.png")
            (SCREENS / f"{name}-{number}.log").write_text(os.linesep.join([*screen.console, *screen.problems]))
        screen.page.context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Tell the fixtures of a test that it failed."""
    report = yield
    if report.when == "call":
        item.failed = report.failed  # type: ignore[attr-defined]
    return report
