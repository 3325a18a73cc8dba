"""Text that came from elsewhere stays text."""

import pytest

from ui.html import Html, escape, join, tag

HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"


def test_strings_are_escaped_and_html_is_not() -> None:
    assert tag("p", "a < b", Html("<b>c</b>")) == "<p>a &lt; b<b>c</b></p>"


def test_hostile_text_opens_no_element_in_content_or_attribute() -> None:
    made = tag("p", HOSTILE, title=HOSTILE)
    assert made.count("<") == 2  # the paragraph's own two tags
    assert made.count('"') == 2  # the attribute's own two quotation marks


def test_attribute_names_and_flags() -> None:
    assert tag("input", class_="a", data_do="x", disabled=True, hidden=False, value=None) == (
        '<input class="a" data-do="x" disabled>'
    )


def test_zero_is_written_and_none_is_not() -> None:
    assert tag("td", 0) == "<td>0</td>"
    assert tag("progress", None, value=0) == '<progress value="0"></progress>'


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "https://example.org", "//example.org", "/\\example.org", "data:text/html,x", "", "x"],
)
def test_addresses_must_be_ours(address: str) -> None:
    with pytest.raises(ValueError, match="not an address of this program"):
        tag("a", "x", href=address)


@pytest.mark.parametrize("address", ["/source/1", "#chat", "/"])
def test_our_own_addresses_pass(address: str) -> None:
    assert tag("a", "x", href=address) == f'<a href="{address}">x</a>'


def test_what_utf8_cannot_carry_is_replaced() -> None:
    odd = escape("name\udcff\x00.md")
    assert odd == "name?\ufffd.md"
    odd.encode("utf-8")


def test_join_leaves_out_none() -> None:
    assert join(["a", None, Html("<i>"), "<"], "|") == "a|<i>|&lt;"
