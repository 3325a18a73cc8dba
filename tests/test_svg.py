"""Drawing SVG: nothing is loaded, nothing runs, and time, memory and size are bounded."""

import base64
import io
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from rag import pictures, svg
from rag.errors import UnreadableFile

NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
RED = (255, 0, 0)
WHITE = (255, 255, 255)


def drawing(body: str, size: str = 'width="100" height="50"', before: str = "") -> bytes:
    return f"{before}<svg {NAMESPACES} {size}>{body}</svg>".encode()


def draw(data: bytes) -> Image.Image:
    return pictures.decode(data, path="a.svg")


def png(colour: str, size: tuple[int, int] = (10, 10)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_drawing_is_drawn_in_its_own_proportions_over_white() -> None:
    image = draw(drawing('<rect width="50" height="50" fill="red"/>'))
    assert image.size == (svg.DRAWN_SIDE, svg.DRAWN_SIDE // 2)
    assert (image.getpixel((10, 10)), image.getpixel((1500, 10))) == (RED, WHITE)


@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        ('viewBox="0 0 50000 50000" width="50000" height="50000"', (1600, 1600)),
        ('width="3cm" height="6cm"', (800, 1600)),
        ('width="72pt" height="96px"', (1600, 1600)),
        ('width="100%" height="100%"', (1600, 800)),
        ("", (1600, 800)),
        ('width="1e8" height="1"', (1600, 1)),
        ('width="-3" height="nonsense" viewBox="0 0 0 9"', (1600, 800)),
        ('viewBox="0,0,10,20"', (800, 1600)),
    ],
)
def test_whatever_size_it_asks_for_it_gets_ours(size: str, drawn: tuple[int, int]) -> None:
    assert draw(drawing("<circle r='1'/>", size)).size == drawn


@pytest.mark.parametrize(
    "body",
    [
        '<image xlink:href="{path}" width="100" height="50"/>',
        '<image href="{path}" width="100" height="50"/>',
        '<image href=" {path}" width="100" height="50"/>',
        '<image href="{uri}" width="100" height="50"/>',
        '<filter id="f"><feImage href="{path}"/></filter><rect width="100" height="50" fill="white" filter="url(#f)"/>',
        '<image href="data:image/svg+xml;base64,{nested}" width="100" height="50"/>',
        '<use href="{path}#a"/>',
    ],
)
def test_a_file_on_the_disk_is_not_loaded(tmp_path: Path, body: str) -> None:
    file = tmp_path / "secret.png"
    file.write_bytes(png("red"))
    nested = base64.b64encode(drawing(f'<image href="{file}" width="100" height="50"/>')).decode()
    filled = body.format(path=file, uri=file.as_uri(), nested=nested)
    image = draw(drawing(filled))
    assert image.getcolors() == [(image.width * image.height, WHITE)]


def test_the_file_would_have_been_loaded(tmp_path: Path) -> None:
    """What the test above relies on: resvg itself does load it."""
    import resvg_py

    file = tmp_path / "secret.png"
    file.write_bytes(png("red"))
    drawn = resvg_py.svg_to_bytes(svg_string=drawing(f'<image href="{file}" width="100" height="50"/>').decode())
    assert Image.open(io.BytesIO(drawn)).convert("RGB").getpixel((50, 25)) == RED


def test_a_picture_that_it_brings_along_is_drawn() -> None:
    inside = base64.b64encode(png("red")).decode()
    image = draw(drawing(f'<image xlink:href="data:image/png;base64,{inside}" width="50" height="50"/>'))
    assert image.getpixel((400, 400)) == RED


def test_a_huge_picture_that_it_brings_along_is_left_out() -> None:
    inside = base64.b64encode(png("red", (5000, 4000))).decode()  # 20 megapixels
    image = draw(drawing(f'<image xlink:href="data:image/png;base64,{inside}" width="50" height="50"/>'))
    assert image.getpixel((400, 400)) == WHITE


def test_an_entity_from_a_file_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("SECRET")
    doctype = f'<!DOCTYPE svg [<!ENTITY x SYSTEM "{(tmp_path / "secret.txt").as_uri()}">]>'
    with pytest.raises(UnreadableFile, match="no well-formed SVG"):
        draw(drawing('<text y="20">&x;</text>', before=doctype))


def test_entities_inside_are_understood() -> None:
    image = draw(drawing('<rect width="100" height="50" fill="&c;"/>', before='<!DOCTYPE svg [<!ENTITY c "red">]>'))
    assert image.getpixel((5, 5)) == RED


def test_a_billion_laughs_are_refused_at_once() -> None:
    tenfold = {i: f"&l{i - 1};" * 10 for i in range(1, 10)}
    entities = '<!ENTITY l0 "lol">' + "".join(f'<!ENTITY l{i} "{each}">' for i, each in tenfold.items())
    with pytest.raises(UnreadableFile, match="no well-formed SVG"):  # unfolded it would be three billion letters
        draw(drawing('<text y="20">&l9;</text>', before=f"<!DOCTYPE svg [{entities}]>"))


def test_uses_of_uses_are_refused() -> None:
    uses = {i: f'<use xlink:href="#a{i - 1}"/>' * 10 for i in range(1, 12)}
    groups = "".join(f'<g id="a{i}">{use}</g>' for i, use in uses.items())
    with pytest.raises(UnreadableFile, match="cannot be drawn"):
        draw(drawing(f'<defs><g id="a0"><rect width="9" height="9"/></g>{groups}</defs><use xlink:href="#a11"/>'))


def test_what_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svg, "MAX_SECONDS", 0.2)
    monkeypatch.setattr(svg, "_DRAW", "import time; time.sleep(3600)")
    started = time.monotonic()
    with pytest.raises(UnreadableFile, match=r"takes more than 0\.2 s"):
        draw(drawing(""))
    assert time.monotonic() - started < 600  # not the 3600 that it sleeps


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit a process's memory")
def test_what_takes_too_much_memory_is_ended() -> None:
    filters = '<g filter="url(#f)">' * 40 + '<rect width="900" height="900"/>' + "</g>" * 40
    body = '<filter id="f" x="-10" y="-10" width="30" height="30"><feGaussianBlur stdDeviation="500"/></filter>'
    with pytest.raises(UnreadableFile, match="cannot be drawn"):
        draw(drawing(body + filters, 'width="1000" height="1000"'))


@pytest.mark.parametrize("data", [b"<svg", b"<svg ><g></svg>", b"<svg \xff\xff></svg>", b"<svg x='&#0;'/>"])
def test_what_is_not_well_formed_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableFile, match=r"a\.svg"):
        draw(data)
