"""The page of a document: the passage is marked exactly, everything else is only text."""

import html
import re
from dataclasses import replace

from rag.records import Link
from tests.ui.fakes import FakeLibrary, make_document
from ui.source_page import clamp, render_source

TEXT = "# One\nFirst line.\n\n# Two\nSecond & last <line>."


def text_of(page: str) -> str:
    """What a reader sees of the document's text."""
    parts = re.findall(r'<div class="text">(.*?)</div>', page, re.S)
    return html.unescape(re.sub(r"<[^>]+>", "", "".join(parts)))


def test_the_passage_is_marked_and_is_where_the_page_opens() -> None:
    document = make_document("/n/a.md", TEXT)
    start = TEXT.index("Second")
    page = render_source(document, (), start, start + 6)
    assert '<mark id="passage">Second</mark>' in page
    assert text_of(page) == TEXT


def test_a_mark_across_a_heading_and_pages_keeps_every_character() -> None:
    document = make_document("/n/a.pdf", TEXT * 5, kind="pdf", pages=7)
    for start in range(0, len(document.text), 9):
        page = render_source(document, (), start, start + 40)
        assert text_of(page) == document.text
        assert page.count('id="passage"') == 1
        marked = "".join(re.findall(r"<mark[^>]*>(.*?)</mark>", page, re.S))
        assert html.unescape(re.sub(r"<[^>]+>", "", marked)) == document.text[start : start + 40]


def test_offsets_outside_the_text_are_clamped() -> None:
    assert clamp("abc", -5, 99) == (0, 3)
    assert clamp("abc", 2, 1) == (2, 2)
    assert clamp("abc", None, 2) is None


def test_pages_are_named_and_lead_to_the_original() -> None:
    document = make_document("/n/a.pdf", TEXT, kind="pdf", pages=2)
    page = render_source(document)
    assert f'href="/original/{document.id}#page=2"' in page
    assert "Page 2" in page


def test_a_long_text_opens_around_the_passage() -> None:
    document = make_document("/n/long.txt", "0123456789" * 100_000, kind="text")
    page = render_source(document, (), 500_000, 500_010)
    assert len(text_of(page)) == 200_000
    assert '<mark id="passage">0123456789</mark>' in page
    assert "Earlier: 400,000 more characters" in page
    assert "Later: 400,000 more characters" in page


def test_hostile_documents_are_only_text() -> None:
    bad = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    document = replace(
        make_document(f"/n/{bad}.md", bad, title=bad),
        fields=((bad, bad),),
        tags=(bad,),
        warnings=(bad,),
        links=(Link(bad, "javascript:alert(1)"),),
    )
    page = render_source(document)
    assert "<script" not in page
    assert "<img" not in page
    assert "javascript:" not in page


def test_attachments_and_the_mail_they_came_with(library: FakeLibrary) -> None:
    mail = make_document("/m/a.eml", "See the file.", kind="mail")
    attached = replace(library.documents()[1], parent=mail.id)
    page = render_source(mail, [attached])
    assert "1 attachment" in page
    assert f'href="/source/{attached.id}"' in page
    assert "The mail it came with" in render_source(replace(mail, parent="a" * 32))


def test_a_document_without_text_says_so() -> None:
    assert "holds no text" in render_source(make_document("/n/scan.pdf", " \n", kind="pdf", pages=1))
