from rag.ingest.sections import Section, paths_at, sections
from rag.records import Document, Heading, Page, Picture

TEXT = "# A\none\n## B\ntwo\n# C\nthree"
HEADINGS = (Heading(1, "C", TEXT.index("# C")), Heading(1, "A", 0), Heading(2, "B", TEXT.index("## B")))


def document(**facts: object) -> Document:
    made = {"text": TEXT, "headings": HEADINGS, **facts}
    return Document("d", "/a.md", "5" * 64, "note", "text/markdown", "A", **made)  # type: ignore[arg-type]


def test_paths_of_places_in_any_order() -> None:
    places = [TEXT.index("three"), 0, TEXT.index("two"), len(TEXT), TEXT.index("two")]
    assert paths_at(document(), places) == [("C",), ("A",), ("A", "B"), ("C",), ("A", "B")]
    assert paths_at(document(headings=()), [5]) == [()]
    assert paths_at(document(), []) == []


def test_sections_end_at_pages_and_headings() -> None:
    cut = TEXT.index("two")
    found = list(sections(document(pages=(Page(1, 0, cut), Page(2, cut, len(TEXT))))))
    assert [(TEXT[each.start : each.end].strip(), each.page, each.path, each.bare) for each in found] == [
        ("# A\none", 1, ("A",), False),
        ("## B", 1, ("A", "B"), True),
        ("two", 2, ("A", "B"), False),
        ("# C\nthree", 2, ("C",), False),
    ]


def test_what_is_in_pictures_is_in_no_section() -> None:
    start = TEXT.index("two")
    pictures = (Picture(1, "", 1, 1, start, start + 3, 0), Picture(2, "", 1, 1, 5, 5, 5))
    found = [TEXT[each.start : each.end] for each in sections(document(pictures=pictures))]
    assert found == ["# A\none\n", "## B\n", "\n", "# C\nthree"]


def test_a_text_that_is_all_in_a_picture_has_no_section() -> None:
    assert list(sections(document(pictures=(Picture(1, "", 1, 1, 0, len(TEXT), 0),), headings=()))) == []


def test_two_sections_joined_stand_under_what_they_share() -> None:
    first, second = Section(0, 5, 1, ("A", "B")), Section(5, 9, 1, ("A", "C"))
    assert first.joined(second) == Section(0, 9, 1, ("A",))
    bare = Section(0, 5, 1, ("A",), bare=True)
    assert bare.joined(second) == Section(0, 9, 1, ("A", "C"))
