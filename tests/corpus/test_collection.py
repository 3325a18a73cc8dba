"""The sample collection: complete, honest about its origin, rebuilt byte for byte, and right in its questions."""

import importlib.util
import io
import json
import re
from collections import Counter
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import lxml.html
import pathspec
import pytest
import yaml
from pypdf import PdfReader

CORPUS = Path(__file__).resolve().parents[2] / "corpus"
MADE_WITH = {"README.md", "questions.jsonl", "build.py", ".ragignore", ".gitattributes"}
ITEMS = sorted(
    path.relative_to(CORPUS).as_posix()
    for path in CORPUS.rglob("*")
    if path.is_file() and path.relative_to(CORPUS).parts[0] not in MADE_WITH | {"sources", "__pycache__"}
)
QUESTIONS: list[dict[str, Any]] = [
    json.loads(line) for line in (CORPUS / "questions.jsonl").read_text(encoding="utf-8").splitlines()
]
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
    text = (CORPUS / path).read_text(encoding="utf-8")
    if path.endswith(".html"):
        text = lxml.html.document_fromstring(text).find(".//article").text_content()
    return (squeezed(text),)


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
    assert count == {".md": 21, ".txt": 3, ".pdf": 5, ".html": 2, ".eml": 5}


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
        missing = set(re.findall(r"\[\[([^\]|]+)", body)) - notes.keys()
        assert not missing, (path, missing)


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
    assert sum(any(mail.iter_attachments()) for mail in mails) == 1
    assert sum(mail.get_content_type() == "text/html" for mail in mails) == 1
    assert sum("In-Reply-To" in mail and "\n> " in mail.get_content() for mail in mails if not mail.is_multipart()) == 1


def test_nothing_names_a_real_address_or_a_path_of_a_machine() -> None:
    for path in CORPUS.rglob("*"):
        if not path.is_file() or path.suffix in {".pdf", ".pyc"}:
            continue
        text = path.read_text(encoding="utf-8")
        for domain in re.findall(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", text):
            assert re.search(r"(^|\.)example\.(org|com|net)$", domain), (path, domain)
        hosts = re.findall(r"https?://([\w.-]+)", text)
        allowed = r"(^|\.)(example\.(org|com|net)|schema\.org|creativecommons\.org)$"
        assert all(re.search(allowed, host) for host in hosts), (path, hosts)
        assert not re.search(r"(?<![\w.])/(home|tmp|work|usr|Users)/|[A-Z]:\\", text), path


def test_the_built_items_are_rebuilt_byte_for_byte(tmp_path: Path) -> None:
    built = load_build().build(tmp_path)
    assert len(built) == 6
    for path in built:
        assert path.read_bytes() == (CORPUS / path.relative_to(tmp_path)).read_bytes(), path.name


def test_every_pdf_comes_from_a_source() -> None:
    build = load_build()
    assert sorted(build.DOCUMENTS.values()) == [item for item in ITEMS if item.endswith(".pdf")]
    for path in build.DOCUMENTS.values():
        reader = PdfReader(CORPUS / path)
        assert 1 <= len(reader.pages) <= 6
        assert reader.metadata is not None
        assert reader.metadata.title
        assert reader.outline


# --- the questions -----------------------------------------------------------------------------------------------


def test_the_questions_are_enough_distinct_and_varied() -> None:
    assert len({question["question"] for question in QUESTIONS}) == len(QUESTIONS) >= 36
    assert {question["kind"] for question in QUESTIONS} == KINDS
    assert sum(question.get("featured", False) for question in QUESTIONS) == 3
    asked = {question["source"].partition("!/")[0] for question in QUESTIONS}
    assert set(ITEMS) - asked == {"notes/about-this-book.md"}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["question"])
def test_the_answer_stands_in_the_source(question: dict[str, Any]) -> None:
    text = pages(question["source"])
    if question["page"] is None:
        assert not question["source"].endswith(".pdf")
        assert question["answer"] in text[0]
    else:
        assert question["answer"] in text[question["page"] - 1]


# A bare number or name may stand elsewhere too; there the question tells the sources apart.
SENTENCES = [question for question in QUESTIONS if len(question["answer"].split()) > 2]


@pytest.mark.parametrize("question", SENTENCES, ids=lambda question: question["question"])
def test_no_other_item_answers_in_the_same_words(question: dict[str, Any]) -> None:
    others = set(ITEMS) - {question["source"].partition("!/")[0]}
    assert not [item for item in others if any(question["answer"] in page for page in pages(item))]
