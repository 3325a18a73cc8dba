"""SVG, drawn as PNG: made harmless first, then drawn in a process of its own that may be ended.

An SVG is a program of a kind. It can name files and addresses to load, grow without end from a few lines (entities
within entities, `<use>` of `<use>`), and ask for any size. So what it names is taken out, its size is ours to choose,
and whoever draws it has a limit of time and memory.
"""

import base64
import binascii
import re
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from rag.errors import UnreadableFile

if TYPE_CHECKING:
    from lxml.etree import _Element

DRAWN_SIDE = 1600  # pixels of the longest side, whatever the file says: a drawing has none of its own
MAX_SECONDS = 20
MAX_BYTES = 2**30

_DEFAULT_SIZE = (300.0, 150.0)  # of a drawing that names none (CSS 2.1, 10.3.2)
_PIXELS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0}  # CSS units
_LENGTH = re.compile(r"\s*\+?(\d*\.?\d+(?:e[+-]?\d+)?)\s*(px|pt|pc|mm|cm|in)?\s*", re.I)
_NUMBERS = re.compile(r"[\s,]+")
_EMBEDDED = re.compile(r"\s*data:image/(?:png|jpe?g|gif|webp)\s*;\s*base64\s*,", re.I)
_DRAW = f"""
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, ({MAX_SECONDS}, {MAX_SECONDS}))
    resource.setrlimit(resource.RLIMIT_AS, ({MAX_BYTES}, {MAX_BYTES}))
except (ImportError, OSError, ValueError):
    pass  # not on every system
import resvg_py
drawing = sys.stdin.buffer.read().decode("utf-8")
sys.stdout.buffer.write(resvg_py.svg_to_bytes(svg_string=drawing))
"""


def draw(data: bytes, path: str, is_small_picture: Callable[[bytes], bool]) -> bytes:
    """The SVG `data` as a PNG whose longest side has DRAWN_SIDE pixels.

    Of the pictures inside it only those are drawn that it brings along as PNG, JPEG, GIF or WebP, and that
    `is_small_picture` lets pass. Nothing else is loaded: no file, no address, no script.

    Raises:
        UnreadableFile: it is no SVG, or takes more than MAX_SECONDS or MAX_BYTES to draw; `path` names it.
    """
    from lxml import etree

    # Entities are expanded by libxml2, which refuses those that grow exponentially, and never from outside the file.
    parser = etree.XMLParser(
        resolve_entities="internal", no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise UnreadableFile(path, f"it is no well-formed SVG: {exc}") from exc
    for element in list(root.iter()):
        _make_harmless(element, is_small_picture)
    _set_size(root)
    return _drawn(etree.tostring(root, encoding="utf-8"), path)


def _make_harmless(element: "_Element", is_small_picture: Callable[[bytes], bool]) -> None:
    for name, value in element.attrib.items():
        local = str(name).rpartition("}")[2].lower()
        if local == "href" and not value.lstrip().startswith("#") and not _is_embedded(str(value), is_small_picture):
            del element.attrib[name]


def _is_embedded(target: str, is_small_picture: Callable[[bytes], bool]) -> bool:
    match = _EMBEDDED.match(target)
    if not match:
        return False
    try:
        return is_small_picture(base64.b64decode(target[match.end() :]))
    except binascii.Error:
        return False


def _set_size(root: "_Element") -> None:
    """Give the drawing its size, whatever it asks for, with its own proportions."""
    box = _view_box(root)
    if box:
        width, height = box[2:]
    else:
        width, height = _length(root, "width") or _DEFAULT_SIZE[0], _length(root, "height") or _DEFAULT_SIZE[1]
        root.set("viewBox", f"0 0 {width} {height}")
    scale = DRAWN_SIDE / max(width, height)
    root.set("width", str(max(round(width * scale), 1)))
    root.set("height", str(max(round(height * scale), 1)))


def _view_box(root: "_Element") -> tuple[float, float, float, float] | None:
    try:
        x, y, width, height = (float(each) for each in _NUMBERS.split((root.get("viewBox") or "").strip()))
    except ValueError:
        return None
    return (x, y, width, height) if 0 < width < 1e9 and 0 < height < 1e9 else None


def _length(root: "_Element", name: str) -> float | None:
    match = _LENGTH.fullmatch(root.get(name) or "")
    pixels = float(match[1]) * _PIXELS[(match[2] or "").lower()] if match else 0.0
    return pixels if 0 < pixels < 1e9 else None


def _drawn(drawing: bytes, path: str) -> bytes:
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _DRAW], input=drawing, capture_output=True, timeout=MAX_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise UnreadableFile(path, f"drawing it takes more than {MAX_SECONDS} s") from exc
    if done.returncode or not done.stdout:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise UnreadableFile(path, f"it cannot be drawn: {last or 'it takes too much time or memory'}")
    return done.stdout
