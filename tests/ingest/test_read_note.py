from datetime import UTC, datetime

import pytest

from rag.ingest.read_note import NoteReader, TextReader
from rag.records import Document, Link, Source

MODIFIED = datetime(2024, 5, 6, tzinfo=UTC)


def read(text: str, path: str = "/notes/my note.md") -> Document:
    return NoteReader().read(Source(path, "text/markdown", text.encode(), MODIFIED))


def test_front_matter_gives_title_tags_date_and_fields_and_leaves_the_text() -> None:
    note = read("---\ntitle: Soup: a theory\n---\nBody")
    assert note.warnings != ()  # a colon in a bare YAML value is an error: the text is kept
    assert note.text.startswith("---\ntitle: Soup: a theory")
    note = read(
        '---\ntitle: "Soup: a theory"\ntags: [food, "#hot"]\ndate: 2025-03-04\naliases:\n  - Broth\n---\nBody #food'
    )
    assert (note.title, note.tags, note.text) == ("Soup: a theory", ("food", "hot"), "Body #food")
    assert note.date == datetime(2025, 3, 4, tzinfo=UTC)
    assert ("aliases", "Broth") in note.fields
    assert note.warnings == ()


@pytest.mark.parametrize(
    ("yaml", "tags"),
    [
        ("tags: one", ("one",)),
        ("tags: one, two three", ("one", "two", "three")),
        ("keywords: [a]", ("a",)),
        ("tags:", ()),
    ],
)
def test_tags_come_in_several_shapes(yaml: str, tags: tuple[str, ...]) -> None:
    assert read(f"---\n{yaml}\n---\n").tags == tags


@pytest.mark.parametrize("when", ["2025-13-45", "soon", "[1, 2]", "{a: b}"])
def test_a_senseless_date_falls_back_to_that_of_the_file(when: str) -> None:
    assert read(f"---\ndate: {when}\n---\nx").date == MODIFIED


@pytest.mark.parametrize(
    "text", ["---\ntitle: [x\n---\nbody", "---\na: &a [*a, *b]\n---\nbody", "---\n? [a]\n: b\n---\nbody"]
)
def test_broken_front_matter_costs_a_warning_and_no_text(text: str) -> None:
    note = read(text)
    assert note.text == text
    assert len(note.warnings) == 1


@pytest.mark.parametrize(
    "text", ["---\n\nprose\n\n---\nmore", "---\n- a\n---\nb", "--- x\ny: z\n---\n", "text\n---\na: b\n---\n"]
)
def test_a_thematic_break_is_not_front_matter(text: str) -> None:
    note = read(text)
    assert (note.text, note.warnings) == (text, ())


def test_headings_are_those_of_commonmark_with_exact_places() -> None:
    text = "---\na: b\n---\nIntro\n\n# One *two* `x` #\n\n```\n# not this\n```\n\n"
    text += "Setext\ntitle\n---\n\n    # nor this\n\n> # nor this\n\n#no\n"
    note = read(text)
    assert [(heading.level, heading.text) for heading in note.headings] == [(1, "One two x"), (2, "Setext title")]
    assert [note.text[heading.start :].split("\n")[0] for heading in note.headings] == ["# One *two* `x` #", "Setext"]


def test_title_is_the_first_heading_of_the_first_level_else_the_file() -> None:
    assert read("## Sub\n# Top\n").title == "Top"
    assert read("## Sub\n").title == "my note"


def test_links_and_wikilinks_are_kept_but_not_from_code() -> None:
    note = read(
        "[a *b*](http://x/y) [[Page]] [[Page#Part|shown]] ![[pic.png]] <https://z> [r][1] `[[no]]`\n\n"
        "```\n[[no]]\n```\n\n[1]: /t\n"
    )
    assert note.links == (
        Link("a b", "http://x/y"),
        Link("Page", "Page"),
        Link("shown", "Page#Part"),
        Link("pic.png", "pic.png"),
        Link("https://z", "https://z"),
        Link("r", "/t"),
    )


def test_tags_in_the_text() -> None:
    note = read("#one and (#two/three), a#no #123 #4th [x](#no) `#no` &#35; é #naïve-tag\n# Heading\n[[Page#no]]")
    assert note.tags == ("one", "two/three", "4th", "naïve-tag")


def test_the_text_is_the_source() -> None:
    text = "# A\n\n* b\n\n<script>alert(1)</script> &amp; **c**\n"
    assert read(text).text == text


def test_plain_text_is_taken_as_it_is() -> None:
    note = TextReader().read(Source("/a/house-sitter.txt", "text/plain", "# not a heading\nDear Anna".encode("utf-16")))
    assert (note.title, note.kind, note.headings) == ("house-sitter", "text", ())
    assert note.text == "# not a heading\nDear Anna"


def test_a_note_too_long_for_the_parser_keeps_its_text() -> None:
    note = read("# Title\n" + "word " * 900_000)
    assert len(note.text) == 8 + 4_500_000
    assert note.warnings == ("it is too long for its headings and links to be read; its text is indexed",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "---",
        "---\n---\n",
        "---\n",
        "#",
        "[[",
        "[[|]]",
        "<",
        "#\n---\n",
        "---\n" + "a: b\n" * 20_000,
        "> " * 3000 + "x",
    ],
)
def test_odd_notes_are_read(text: str) -> None:
    assert read(text).id == read(text).id
