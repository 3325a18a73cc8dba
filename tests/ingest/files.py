"""Files made for the tests: real PDFs by reportlab and pypdf, real messages by the standard library."""

import io
from collections.abc import Sequence
from email.message import EmailMessage

import pypdf
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate

PROSE = (
    "The kettle boils at a lower temperature on the mountain, which is why the tea there is never quite right. "
    "A pressure cooker helps, and so does patience, of which the guests had little. "
)


def pdf(pages: Sequence[Sequence[tuple[str, str]]], title: str = "") -> bytes:
    """A PDF with (style, text) paragraphs on each page; styles "Title", "Heading1", "BodyText"..."""
    styles = getSampleStyleSheet()
    flow = [item for page in pages for item in (*(Paragraph(text, styles[style]) for style, text in page), PageBreak())]
    made = io.BytesIO()
    SimpleDocTemplate(made, pagesize=A4, title=title or None).build(flow[:-1])
    return made.getvalue()


def drawn_pdf(pages: Sequence[Sequence[tuple[float, float, str]]], size: float = 12) -> bytes:
    """A PDF with each text drawn at its (x, y) in points, in that order."""
    made = io.BytesIO()
    canvas = Canvas(made, pagesize=A4)
    for page in pages:
        canvas.setFont("Helvetica", size)
        for x, y, text in page:
            canvas.drawString(x, y, text)
        canvas.showPage()
    canvas.save()
    return made.getvalue()


def locked_pdf(data: bytes, user: str, owner: str = "owner", algorithm: str = "RC4-128") -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(data))
    writer.encrypt(user, owner, algorithm=algorithm)
    return written(writer)


def pdf_with(data: bytes, **attachments: bytes) -> bytes:
    """`data` with files embedded; "_dot_" in a name stands for a dot."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(data))
    for name, content in attachments.items():
        writer.add_attachment(name.replace("_dot_", "."), content)
    return written(writer)


def written(writer: pypdf.PdfWriter) -> bytes:
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


def mail(body: str = "Hello", html: str | None = None, **headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in {"From": "Ada <ada@example.org>", "Subject": "Tea", **headers}.items():
        message[name] = value
    message.set_content(body)
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message
