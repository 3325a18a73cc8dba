"""Colours are readable in light and dark, and neither style nor script names another host."""

import re
from pathlib import Path

import pytest

from ui.routes import SCRIPTS

UI = Path(__file__).resolve().parents[2] / "ui"
STYLE = (UI / "style.css").read_text()
PAIRS = [(ink, ground) for ink in ("ink", "soft", "accent", "danger") for ground in ("paper", "sheet", "shade")] + [
    ("accent", "accent-soft"),
    ("soft", "accent-soft"),
    ("ink", "accent-soft"),
    ("on-accent", "accent"),
    ("ink", "mark"),
    ("ink", "amber-soft"),
    ("amber", "amber-soft"),
    ("amber", "sheet"),
    ("amber", "paper"),
    ("sheet", "danger"),
    ("paper", "ink"),
]


def palettes() -> dict[str, dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.S)[:2]
    return {
        name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for name, block in (("light", light), ("dark", dark))
    }


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_the_measure_itself() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_text_has_contrast_aa(scheme: str, ink: str, ground: str) -> None:
    colours = palettes()[scheme]
    assert contrast(colours[ink], colours[ground]) >= 4.5


def test_both_palettes_define_the_same_colours() -> None:
    both = palettes()
    assert both["light"].keys() == both["dark"].keys()


@pytest.mark.parametrize("name", ["style.css", "pictures.css", "improve.css", *SCRIPTS])
def test_no_other_host_is_named(name: str) -> None:
    text = (UI / name).read_text()
    assert not re.search(r"https?://|@import|url\(", text)
    assert "innerHTML" not in text


def test_every_action_on_the_page_is_known_to_the_script() -> None:
    script = (UI / "page.js").read_text()
    python = "".join(path.read_text() for path in UI.glob("*.py"))
    asked = set(re.findall(r'data_do="([\w-]+)"', python)) | set(
        re.findall(r'(?<!\w)(?:icon_)?button\(\s*(?:"[^"]*"|f"[^"]*"|many),\s*(?:f?"[^"]*",\s*)?"([\w-]+)"', python)
    )
    assert asked
    for action in asked:
        assert re.search(rf'^    "?{action}"?: ', script, re.M), action
