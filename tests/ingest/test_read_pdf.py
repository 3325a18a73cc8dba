import io
import threading
from datetime import UTC, datetime

import pypdf
import pytest

from rag.errors import UnreadableFile
from rag.ingest.read_pdf import PdfReader
from rag.records import Document, Source
from tests.ingest.files import PROSE, drawn_pdf, locked_pdf, pdf, pdf_with, written

MODIFIED = datetime(2024, 5, 6, tzinfo=UTC)
DAMAGED = "it is damaged, cut off or without pages; get the file again"
MANUAL = pdf(
    [
        [("Title", "Kettle manual"), ("BodyText", PROSE * 3), ("Heading2", "Safety"), ("BodyText", PROSE)],
        [("Heading2", "Care &amp; cleaning"), ("BodyText", PROSE * 2), ("BodyText", "Ends here.")],
    ],
    title="The Kettle",
)


def read(data: bytes, path: str = "/docs/kettle-manual.pdf") -> Document:
    return PdfReader(None, 120).read(Source(path, "application/pdf", data, MODIFIED))


def test_paragraphs_are_joined_and_pages_have_exact_spans() -> None:
    manual = read(MANUAL)
    first, second = (manual.text[page.start : page.end] for page in manual.pages)
    assert first == f"Kettle manual\n\n{(PROSE * 3).strip()}\n\nSafety\n\n{PROSE.strip()}"
    assert second == f"Care & cleaning\n\n{(PROSE * 2).strip()}\n\nEnds here."
    assert [page.number for page in manual.pages] == [1, 2]
    assert manual.text == f"{first}\n\n{second}"
    assert (manual.kind, manual.language, manual.date, manual.warnings) == ("pdf", "en", MODIFIED, ())


def test_headings_are_told_by_their_size() -> None:
    manual = read(MANUAL)
    found = [(each.level, each.text, manual.text[each.start :].split("\n")[0]) for each in manual.headings]
    assert found == [
        (1, "Kettle manual", "Kettle manual"),
        (2, "Safety", "Safety"),
        (2, "Care & cleaning", "Care & cleaning"),
    ]


def test_headings_of_body_size_come_from_the_outline() -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(drawn_pdf([[(72, 700, "Plain heading"), (72, 600, PROSE[:60])]])))
    parent = writer.add_outline_item(title="Elsewhere", page_number=0)
    writer.add_outline_item(title="plain  HEADING", page_number=0, parent=parent)
    found = read(written(writer))
    assert [(each.level, each.text, each.start) for each in found.headings] == [(2, "Plain heading", 0)]


@pytest.mark.parametrize(
    ("stated", "title"),
    [
        ("The Kettle", "The Kettle"),
        ("untitled", "Kettle manual"),
        ("Microsoft Word - manual.docx", "Kettle manual"),
        ("manual_v2.docx", "Kettle manual"),
        ("", "Kettle manual"),
        (" - ", "Kettle manual"),
    ],
)
def test_the_title_is_the_stated_one_if_it_makes_sense_else_the_largest_heading(stated: str, title: str) -> None:
    assert read(pdf([[("Title", "Kettle manual"), ("BodyText", PROSE * 3)]], title=stated)).title == title


def test_without_title_and_heading_it_is_called_after_its_file() -> None:
    assert read(drawn_pdf([[(72, 700, "words")]])).title == "kettle-manual"


def test_broken_words_are_mended_unless_the_hyphen_is_their_own() -> None:
    lines = [
        "This line is about a temper-",
        "ature and about a well-",
        "known kettle, which is well-known to be",
        "full of Jean-",
        "Pierre.",
    ]
    text = read(drawn_pdf([[(72, 700 - 14 * at, line) for at, line in enumerate(lines)]])).text
    assert "a temperature and" in text
    assert "a well-known kettle" in text
    assert "Jean-Pierre" in text.replace("\n", "")


def test_lines_that_end_early_keep_their_breaks() -> None:
    wide = "A long line of running text that goes on until the right margin of the page"
    lines = ["Ada Brewer", "4 Kettle Lane", wide, "is reached, and then goes on.", "- one", "- two"]
    text = read(drawn_pdf([[(72, 700 - 14 * at, line) for at, line in enumerate(lines)]])).text
    assert text == f"Ada Brewer\n4 Kettle Lane\n{wide} is reached, and then goes on.\n- one\n- two"


def test_wide_gaps_and_columns_part_paragraphs() -> None:
    left = [(72.0, 700.0 - 14 * at, "left column words here") for at in range(4)]
    right = [(320.0, 700.0 - 14 * at, "Right column words here") for at in range(4)]
    text = read(drawn_pdf([[*left, (72, 600, "After a gap"), *right]])).text
    assert [part.split()[0] for part in text.split("\n\n")] == ["left", "After", "Right"]


def test_page_numbers_go_and_running_heads_stay_once() -> None:
    page = [(72, 500, "Body of words"), (72, 486, "and more of them.")]
    pages = [[(72, 800, "Kettle Ltd, catalogue"), *page, (300, 30, f"Page {number} of 4")] for number in range(1, 5)]
    text = read(drawn_pdf(pages)).text
    assert text.count("Kettle Ltd, catalogue") == 1
    assert text.count("Body of words") == 4
    assert "Page" not in text


def test_a_page_without_text_is_named() -> None:
    data = drawn_pdf([[(72, 700, "words")], [], [(72, 700, "words")], [], [], []])
    found = read(data)
    assert found.warnings == ("no text on pages 2, 4-6; set RAG_OCR=true to read the text in pixels, and add it again",)
    assert [(page.number, page.start == page.end) for page in found.pages if page.number in (1, 2)] == [
        (1, False),
        (2, True),
    ]
    [warning] = read(drawn_pdf([[]])).warnings
    assert warning.startswith("no text on page 1; set RAG_OCR=true")


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256"])
def test_a_file_locked_with_an_empty_password_is_read(algorithm: str) -> None:
    assert read(locked_pdf(MANUAL, "", algorithm=algorithm)).text == read(MANUAL).text


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_a_file_locked_with_a_password_says_so(algorithm: str) -> None:
    with pytest.raises(UnreadableFile, match="locked with a password; save a copy without one"):
        read(locked_pdf(MANUAL, "secret", algorithm=algorithm))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"GIF89a not a pdf", "it is not a PDF, whatever its name says"),
        (b"%PDF-1.7\n", DAMAGED),
        (MANUAL[:400], DAMAGED),
        (written(pypdf.PdfWriter()), DAMAGED),
    ],
    ids=["empty", "gif", "head", "truncated", "no pages"],
)
def test_what_cannot_be_read_is_told_clearly(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read(data)
    assert caught.value.reason == reason


def test_a_file_cut_near_its_end_is_repaired_or_refused() -> None:
    try:
        assert "kettle" in read(MANUAL[:-300]).text
    except UnreadableFile as exc:
        assert "damaged" in exc.reason  # noqa: PT017


def test_information_becomes_fields() -> None:
    assert ("Title", "The Kettle") in read(MANUAL).fields


def test_embedded_files_are_attachments() -> None:
    found = read(pdf_with(MANUAL, plan_dot_md=b"# Plan", data_dot_bin=b"\x00\x01"))
    assert [(each.path, each.media_type, each.data, each.parent) for each in found.attachments] == [
        ("/docs/kettle-manual.pdf!/1/data.bin", "application/octet-stream", b"\x00\x01", found.id),
        ("/docs/kettle-manual.pdf!/2/plan.md", "text/markdown", b"# Plan", found.id),
    ]


def test_threads_may_read_at_once() -> None:
    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(read(MANUAL).text)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 6
    assert set(texts) == {read(MANUAL).text}


def test_pages_without_any_size_are_read() -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(MANUAL))
    for box in ("/MediaBox", "/CropBox"):
        writer.pages[0][pypdf.generic.NameObject(box)] = pypdf.generic.RectangleObject((0, 0, 0, 0))
    assert "kettle" in read(written(writer)).text
