"""The sample collection: complete, honest about its origin, rebuilt from its sources, and right in its questions."""

import importlib.util
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import lxml.html
import numpy as np
import pathspec
import pytest
import yaml
from PIL import Image
from pypdf import PdfReader

CORPUS = Path(__file__).resolve().parents[2] / "corpus"
MADE_WITH = {"README.md", "questions.jsonl", "followups.jsonl", "build.py", ".ragignore", ".gitattributes"}
ITEMS = sorted(
    path.relative_to(CORPUS).as_posix()
    for path in CORPUS.rglob("*")
    if path.is_file() and path.relative_to(CORPUS).parts[0] not in MADE_WITH | {"sources", "draw", "__pycache__"}
)
QUESTIONS: list[dict[str, Any]] = [
    json.loads(line) for line in (CORPUS / "questions.jsonl").read_text(encoding="utf-8").splitlines()
]
PICTURES = [item for item in ITEMS if item.startswith("pictures/")]
NO_TEXT = {".pyc", ".pdf", ".jpg", ".png", ".webp", ".gif", ".tiff"}
KINDS = {"keyword", "paraphrase", "near-miss", "number", "why", "cross-language"}


def squeezed(text: str) -> str:
    """`text` with every run of white space as one space."""
    return " ".join(text.split())


def front_matter(path: Path) -> tuple[dict[str, Any], str]:
    _, head, body = path.read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head), body


def message(path: Path) -> EmailMessage:
    parsed = message_from_bytes(path.read_bytes(), policy=default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def attachment(mail: Path, number: int, name: str) -> bytes:
    part = list(message(mail).iter_attachments())[number - 1]
    assert part.get_filename() == name
    content = part.get_content()
    assert isinstance(content, bytes)
    return content


def mail_body(path: Path) -> str:
    body = message(path).get_body(("plain", "html"))
    assert body is not None
    text = body.get_content()
    if body.get_content_subtype() == "html":
        return str(lxml.html.document_fromstring(text).text_content())
    return "\n".join(line for line in text.splitlines() if not line.startswith(">"))


@cache
def pages(source: str) -> tuple[str, ...]:
    """The text of an item, one string per page; an item without pages is one string."""
    path, _, inside = source.partition("!/")
    if inside:
        number, name = inside.split("/", 1)
        data = attachment(CORPUS / path, int(number), name)
        return tuple(squeezed(page.extract_text()) for page in PdfReader(io.BytesIO(data)).pages)
    if path.endswith(".pdf"):
        return tuple(squeezed(page.extract_text()) for page in PdfReader(CORPUS / path).pages)
    if path.endswith(".eml"):
        return (squeezed(mail_body(CORPUS / path)),)
    if path in PICTURES:
        return ("",)
    text = (CORPUS / path).read_text(encoding="utf-8")
    if path.endswith(".html"):
        text = lxml.html.document_fromstring(text).find(".//article").text_content()
    return (squeezed(text),)


@pytest.fixture(scope="module")
def builder() -> Iterator[ModuleType]:
    """`build.py`, as it is when it runs as a script beside the folder `draw`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(CORPUS)
        yield load_build()


def load_build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("corpus_build", CORPUS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- the items ---------------------------------------------------------------------------------------------------


def test_there_are_enough_items_of_every_family() -> None:
    count = Counter(Path(item).suffix for item in ITEMS)
    assert count == {
        ".md": 21, ".txt": 3, ".pdf": 7, ".html": 2, ".eml": 6,
        ".jpg": 9, ".png": 5, ".webp": 3, ".gif": 1, ".svg": 1, ".tiff": 1,
    }  # fmt: skip


def test_the_collection_has_between_12000_and_20000_words() -> None:
    inside = "mail/2025-09-16-roof-quotation.eml!/1/roof-quotation.pdf"
    assert 12_000 <= sum(len(page.split()) for item in [*ITEMS, inside] for page in pages(item)) <= 20_000


def test_every_item_is_listed_with_its_origin() -> None:
    listed = re.findall(r"^\| `([^`]+/[^`]+)` \|", (CORPUS / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == ITEMS


def test_ragignore_leaves_the_items_and_nothing_else() -> None:
    lines = (CORPUS / ".ragignore").read_text(encoding="utf-8").splitlines()
    ignored = pathspec.GitIgnoreSpec.from_lines(lines)
    files = (path.relative_to(CORPUS).as_posix() for path in CORPUS.rglob("*") if path.is_file())
    assert sorted(file for file in files if not ignored.match_file(file)) == ITEMS


def test_every_note_has_title_tags_and_date_and_its_links_lead_somewhere() -> None:
    notes = {path.stem: path for path in (CORPUS / "notes").rglob("*.md")}
    for path in notes.values():
        head, body = front_matter(path)
        assert head["title"], path
        assert head["tags"], path
        assert head["date"].year in {2024, 2025, 2026}, path
        assert f"# {head['title']}" in body, path
        missing = set(re.findall(r"(?<!!)\[\[([^\]|]+)", body)) - notes.keys()
        assert not missing, (path, missing)


def test_the_pictures_that_notes_show_are_there() -> None:
    shown = []
    for path in (CORPUS / "notes").rglob("*.md"):
        text = path.read_text(encoding="utf-8")
        shown += [(path.parent / target).resolve() for target in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)]
        shown += [next((CORPUS / "pictures").rglob(name)) for name in re.findall(r"!\[\[([^\]]+)\]\]", text)]
    assert {path.relative_to(CORPUS).as_posix() for path in shown} == {
        "pictures/plans/gas-2025.png",
        "pictures/plans/way-to-saint-lorenz.png",
    }


def test_the_html_articles_are_whole_pages_with_furniture_round_the_article() -> None:
    for path in (CORPUS / "web").glob("*.html"):
        page = lxml.html.parse(path).getroot()
        assert page.find(".//nav") is not None
        assert page.find(".//footer") is not None
        assert "cookies" in page.text_content()
        assert "cookies" not in pages(path.relative_to(CORPUS).as_posix())[0]


def test_the_mails_have_no_defects_and_show_every_case() -> None:
    mails = [message(path) for path in sorted((CORPUS / "mail").glob("*.eml"))]
    assert all(not part.defects for mail in mails for part in mail.walk())
    assert sum(any(part.is_attachment() for part in mail.walk()) for mail in mails) == 1
    assert sum("Content-ID" in part for mail in mails for part in mail.walk()) == 1
    assert sum(mail.get_content_type() == "text/html" for mail in mails) == 1
    assert sum("In-Reply-To" in mail and "\n> " in mail.get_content() for mail in mails if not mail.is_multipart()) == 1


def test_nothing_names_a_real_address_or_a_path_of_a_machine() -> None:
    for path in CORPUS.rglob("*"):
        if not path.is_file() or path.suffix in NO_TEXT:
            continue
        text = path.read_text(encoding="utf-8")
        for domain in re.findall(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", text):
            assert re.search(r"(^|\.)example\.(org|com|net)$", domain), (path, domain)
        hosts = re.findall(r"https?://([\w.-]+)", text)
        allowed = r"(^|\.)(example\.(org|com|net)|schema\.org|creativecommons\.org|w3\.org)$"
        assert all(re.search(allowed, host) for host in hosts), (path, hosts)
        assert not re.search(r"(?<![\w.])/(home|tmp|work|usr|Users)/|[A-Z]:\\", text), path


def test_the_set_items_are_rebuilt_byte_for_byte(builder: ModuleType, tmp_path: Path) -> None:
    built = builder.build_texts(tmp_path)
    assert len(built) == 6
    for path in built:
        assert path.read_bytes() == (CORPUS / path.relative_to(tmp_path)).read_bytes(), path.name


def test_the_drawn_items_are_rebuilt_picture_for_picture(builder: ModuleType, tmp_path: Path) -> None:
    built = builder.build_pictures(tmp_path)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in built) == sorted(
        [*PICTURES, "documents/hive-scales-2025.pdf", builder.VALUATION, builder.MEDAL_MAIL]
    )
    for path in built:
        ours = CORPUS / path.relative_to(tmp_path)
        if path.suffix == ".svg":
            assert path.read_bytes() == ours.read_bytes()
        for new, old in zip(frames(path), frames(ours), strict=True):
            assert new.size == old.size, path.name
            assert new.getexif() == old.getexif()
            difference = np.asarray(new.convert("RGB"), float) - np.asarray(old.convert("RGB"), float)
            assert np.abs(difference).mean() < 2, path.name  # of 255: codecs of other versions round otherwise


def frames(path: Path) -> list[Image.Image]:
    """Every picture in a file: frames, or what a PDF or a mail shows."""
    if path.suffix == ".svg":
        return []
    if path.suffix == ".pdf":
        return [shown.image.copy() for page in PdfReader(path).pages for shown in page.images if shown.image]
    if path.suffix == ".eml":
        shown = [part.get_content() for part in message(path).walk() if part.get_content_maintype() == "image"]
        return [Image.open(io.BytesIO(data)) for data in shown]
    image = Image.open(path)
    count = getattr(image, "n_frames", 1)
    found = []
    for number in range(count):
        image.seek(number)
        found.append(image.copy())
    return found


def test_the_pictures_are_small_and_of_many_kinds() -> None:
    opened = {item: frames(CORPUS / item) for item in PICTURES}
    assert sum((CORPUS / item).stat().st_size for item in PICTURES) < 1_500_000
    assert max(side for each in opened.values() for image in each for side in image.size) <= 1200
    assert [item for item, each in opened.items() if len(each) == 2] == ["pictures/scans/seed-cake.tiff"]
    modes = {image.mode for each in opened.values() for image in each}
    assert modes >= {"RGB", "P", "L", "1"}


def test_photos_know_when_and_where_they_were_taken() -> None:
    exif = Image.open(CORPUS / "pictures/photos/IMG_0466.jpg").getexif()
    assert exif[0x0110] == "Pocket 3"
    assert exif[0x0112] == 6  # stored on its side
    assert exif.get_ifd(0x8769)[0x9003] == "2025:08:16 20:21:40"
    degrees, minutes, seconds = exif.get_ifd(0x8825)[2]
    assert float(degrees + minutes / 60 + seconds / 3600) == pytest.approx(53.24155, abs=1e-5)


def test_every_pdf_comes_from_a_source(builder: ModuleType) -> None:
    assert sorted([*builder.DOCUMENTS.values(), builder.VALUATION]) == [i for i in ITEMS if i.endswith(".pdf")]
    for path in builder.DOCUMENTS.values():
        reader = PdfReader(CORPUS / path)
        assert 1 <= len(reader.pages) <= 6
        assert reader.metadata is not None
        assert reader.metadata.title
        assert reader.outline


def test_the_valuation_has_no_words_that_a_program_could_take_out(builder: ModuleType) -> None:
    assert pages(builder.VALUATION) == ("", "")


# --- the questions -----------------------------------------------------------------------------------------------


def test_the_questions_are_enough_distinct_and_varied() -> None:
    assert len({question["question"] for question in QUESTIONS}) == len(QUESTIONS) >= 36
    assert {question["kind"] for question in QUESTIONS} == KINDS
    assert sum(question.get("featured", False) for question in QUESTIONS) == 3
    asked = {question["source"].partition("!/")[0] for question in QUESTIONS}
    assert set(ITEMS) - asked == {"notes/about-this-book.md"}


def test_questions_about_pictures_say_how_the_answer_is_in_them() -> None:
    asked = [question for question in QUESTIONS if "picture" in question]
    count = Counter(question["picture"] for question in asked)
    assert count.keys() == {"written", "facts", "shown"}
    assert count["written"] >= 25
    assert {question["source"] for question in asked} >= set(PICTURES)
    assert all("picture" in question for question in QUESTIONS if question["source"] in PICTURES)
    assert any(question["source"].startswith("pictures/screens/") for question in asked if question.get("featured"))


@pytest.mark.parametrize("question", [q for q in QUESTIONS if q.get("picture") == "facts"], ids=lambda q: q["question"])
def test_the_date_is_what_the_camera_wrote(question: dict[str, Any]) -> None:
    written = Image.open(CORPUS / question["source"]).getexif().get_ifd(0x8769)[0x9003]
    assert written.split()[0].replace(":", "-") == question["answer"]


PLAIN = [question for question in QUESTIONS if "picture" not in question]


@pytest.mark.parametrize("question", PLAIN, ids=lambda question: question["question"])
def test_the_answer_stands_in_the_source(question: dict[str, Any]) -> None:
    text = pages(question["source"])
    if question["page"] is None:
        assert not question["source"].endswith(".pdf")
        assert question["answer"] in text[0]
    else:
        assert question["answer"] in text[question["page"] - 1]


WRITTEN = [question for question in QUESTIONS if question.get("picture") == "written"]


@pytest.mark.parametrize("question", WRITTEN, ids=lambda question: question["question"])
def test_what_is_written_in_a_picture_is_written_only_there(question: dict[str, Any]) -> None:
    assert not [item for item in ITEMS if any(f" {question['answer']} " in f" {page} " for page in pages(item))]


# A bare number or name may stand elsewhere too; there the question tells the sources apart.
SENTENCES = [question for question in QUESTIONS if len(question["answer"].split()) > 2]


@pytest.mark.parametrize("question", SENTENCES, ids=lambda question: question["question"])
def test_no_other_item_answers_in_the_same_words(question: dict[str, Any]) -> None:
    others = set(ITEMS) - {question["source"].partition("!/")[0]}
    assert not [item for item in others if any(question["answer"] in page for page in pages(item))]


# --- questions that lean on earlier ones -------------------------------------------------------------------------

FOLLOWUPS: list[dict[str, Any]] = [
    json.loads(line) for line in (CORPUS / "followups.jsonl").read_text(encoding="utf-8").splitlines()
]


def test_follow_ups_lean_or_do_not() -> None:
    assert len({(*row["before"], row["question"]) for row in FOLLOWUPS}) == len(FOLLOWUPS)
    leaning = [row for row in FOLLOWUPS if row["whole"] != row["question"]]
    assert (len(leaning), len(FOLLOWUPS) - len(leaning)) == (44, 12)
    assert {row["language"] for row in FOLLOWUPS} == {"en", "de", "fr"}
    assert all(row["before"] for row in FOLLOWUPS)


@pytest.mark.parametrize("row", FOLLOWUPS, ids=lambda row: row["question"])
def test_the_answer_to_a_follow_up_stands_in_its_source(row: dict[str, Any]) -> None:
    assert row["source"] in ITEMS
    if row["source"] not in PICTURES:
        text = pages(row["source"])
        assert row["answer"] in text[0 if row["page"] is None else row["page"] - 1]
