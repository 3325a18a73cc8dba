"""Documents whose truth is known: PDFs with a note on each page, web pages with all that surrounds an article, mails.

The words are those of the frozen collection, which are ours; `eval.documents` tells the layout. The same texts give
the same files.
"""

import json
from collections.abc import Sequence
from email.message import EmailMessage
from html import escape
from pathlib import Path

from eval.datasets import Dataset, DatasetError, Entry, load
from eval.regression import FROZEN

_PAGES = 10  # notes of a PDF, one on each page
_PARAGRAPHS = 4  # notes of a web page
_MAILS = 12


def write_documents(folder: Path) -> None:
    """Write all three kinds into `folder`.

    Raises:
        DatasetError: reportlab, which sets the PDFs, is not installed.
    """
    frozen = load(FROZEN)
    notes = [entry for entry in frozen.entries if entry.text and "/" not in entry.id]
    (folder / "documents").mkdir(parents=True)
    # The web pages and mails say what the PDFs say, and the truth says it too: only the PDFs are asked.
    (folder / ".ragignore").write_text("web/\nmail/\nquestions.jsonl\n", "utf-8")
    _write_pdfs(folder, notes, frozen)
    (folder / "web").mkdir()
    for number, start in enumerate(range(0, len(notes), _PARAGRAPHS)):
        _write_page(folder / "web" / f"page-{number:02}.html", notes[start : start + _PARAGRAPHS], number)
    (folder / "mail").mkdir()
    for number, note in enumerate(notes[:_MAILS]):
        _write_mail(folder / "mail" / f"mail-{number:02}.eml", note, number)


def _write_pdfs(folder: Path, notes: Sequence[Entry], frozen: Dataset) -> None:
    try:
        from reportlab.lib.pagesizes import A5
        from reportlab.lib.styles import getSampleStyleSheet
        from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate
    except ImportError as exc:
        raise DatasetError("reportlab is not installed; run: pip install 'commonplace[dev]'") from exc
    styles = getSampleStyleSheet()
    at = {}
    for start in range(0, len(notes), _PAGES):
        path, story = folder / "documents" / f"notes-{start // _PAGES:02}.pdf", []
        for page, note in enumerate(notes[start : start + _PAGES], start=1):
            at[note.id] = (path.relative_to(folder).as_posix(), page)
            story += [Paragraph(escape(note.title), styles["Heading1"]), Paragraph(escape(note.text), styles["Normal"])]
            story.append(PageBreak())
        SimpleDocTemplate(str(path), pagesize=A5, invariant=1, title=path.stem).build(story)
    rows = [
        {"question": text, "source": at[right][0], "page": at[right][1]}
        for query, text in frozen.queries.items()
        for right, grade in frozen.judgements[query].items()
        if grade > 0 and right in at
    ]
    (folder / "questions.jsonl").write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8"
    )


def _write_page(path: Path, notes: Sequence[Entry], number: int) -> None:
    """An article in one of three dresses, with menus, a banner, comments, related articles and a footer round it."""
    sections = "".join(f"<h2>{escape(note.title)}</h2><p>{escape(note.text)}</p>" for note in notes)
    title = f"Four notes, part {number + 1}"
    article = (
        f"<main><article><h1>{title}</h1>{sections}</article></main>",
        f'<div id="page"><div class="post-content"><h1>{title}</h1>{sections}</div></div>',
        f'<div class="wrap"><section class="entry"><header><h1>{title}</h1></header>{sections}</section></div>',
    )[number % 3]
    menu = "".join(f'<li><a href="/{word}">{word}</a></li>' for word in ("Home", "Archive", "Shop", "About", "Contact"))
    related = "".join(f'<li><a href="/{n}">Read also: the story of part {n}</a></li>' for n in range(1, 7))
    comments = "".join(
        f'<div class="comment"><b>Reader {n}</b><p>Thank you, I did not know this, and I shall try it.</p></div>'
        for n in range(1, 4)
    )
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} - The Daily Notebook</title></head>'
        f'<body><div class="cookie-banner">We use cookies to make this site better. <button>Accept all</button></div>'
        f"<nav><ul>{menu}</ul></nav>{article}"
        f'<aside class="related"><h3>You may also like</h3><ul>{related}</ul></aside>'
        f'<div id="comments"><h3>Comments</h3>{comments}</div>'
        "<footer>Copyright The Daily Notebook. Subscribe to our newsletter. Terms of service.</footer></body></html>"
    )
    path.write_text(page, "utf-8")
    gold = "\n".join([title, *(line for note in notes for line in (note.title, note.text))])
    path.with_suffix(".gold.txt").write_text(gold, "utf-8")


def _write_mail(path: Path, note: Entry, number: int) -> None:
    """A message in one of the ways in which messages are written, with what should be read of it."""
    message = EmailMessage()
    sender, receiver = f"Żaneta Łoś <zaneta.{number}@example.org>", "Tilda <tilda@example.net>"
    message["From"], message["To"] = sender, receiver
    message["Subject"] = f"{note.title} – für später"
    message["Date"] = f"Mon, {number + 1:02} Mar 2025 09:{number:02}:00 +0200"
    message["Message-ID"] = f"<{number}@example.org>"
    body = f"{note.text}\n"
    attachments = []
    if number % 4 == 1:
        message.set_content(f"<html><body><p>{escape(note.text)}</p></body></html>", subtype="html")
    else:
        message.set_content(body, charset="utf-8", cte=("base64", "quoted-printable", "8bit")[number % 3])
    if number % 4 == 2:
        message.add_alternative(f"<p>{escape(note.text)}</p>", subtype="html")
    if number % 4 == 3:
        message.add_attachment(body.encode(), maintype="text", subtype="plain", filename=f"Größe {number}.txt")
        attachments.append(f"Größe {number}.txt")
    data = message.as_bytes()
    path.write_bytes(data.replace(b"\n", b"\r\n") if number % 2 else data)
    gold = {
        "from": sender,
        "to": receiver,
        "subject": f"{note.title} – für später",
        "body": note.text,
        "date": f"2025-03-{number + 1:02}T07:{number:02}:00+00:00",
        "attachments": attachments,
    }
    path.with_suffix(".gold.json").write_text(json.dumps(gold, ensure_ascii=False), "utf-8")
