"""Builds the PDFs, the pictures and two mails of the sample collection from `sources/` and from the code in `draw/`.

    python corpus/build.py            writes into corpus/
    python corpus/build.py FOLDER     writes the same tree into FOLDER

The same sources give the same bytes on every machine where there is nothing drawn: no clock, no compression, and only
the fonts that every PDF reader has built in. They cover the Windows-1252 characters, and a source that needs another
one is refused. Drawings give the same picture, whose bytes depend on the version of the library that writes them.
"""

import base64
import io
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import yaml
from draw import scans
from draw.files import FIGURES, PICTURES
from draw.ink import png
from markdown_it import MarkdownIt
from markdown_it.token import Token
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import A4, A5
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    HRFlowable,
    Image,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "sources"
SCALES = "hive-scales-2025"  # the document with drawn figures
ROOF_MAIL, MEDAL_MAIL = "mail/2025-09-16-roof-quotation.eml", "mail/2026-02-04-the-medal.eml"
VALUATION = "documents/viola-valuation-2024.pdf"
DOCUMENTS = {
    "allotment-minutes-2026": "documents/allotment-minutes-2026.pdf",
    "boiler-manual": "documents/boiler-manual-corvane-combi-24.pdf",
    SCALES: "documents/hive-scales-2025.pdf",
    "home-insurance-letter": "documents/home-insurance-letter.pdf",
    "jura-walk-itinerary": "documents/jura-walk-itinerary.pdf",
    "orchestra-season-2025-26": "documents/orchestra-season-2025-26.pdf",
}


@dataclass(frozen=True, slots=True)
class Look:
    """How one kind of document is set: its type family, accent, body size, page and side margin, in points."""

    body: str
    bold: str
    accent: Color
    size: float = 11
    page: tuple[float, float] = A4
    margin: float = 25 * mm
    centred: bool = False
    title_block: bool = True


LOOKS = {
    "manual": Look("Helvetica", "Helvetica-Bold", HexColor("#1d4e79"), size=8.8, page=A5, margin=15 * mm),
    "letter": Look("Times-Roman", "Times-Bold", HexColor("#24304a"), title_block=False),
    "report": Look("Times-Roman", "Times-Bold", HexColor("#8a5a12"), size=10.5, page=A5, margin=17 * mm),
    "minutes": Look("Times-Roman", "Times-Bold", HexColor("#333333")),
    "programme": Look(
        "Times-Roman", "Times-Bold", HexColor("#7a1f2b"), size=10.5, page=A5, margin=18 * mm, centred=True
    ),
    "itinerary": Look("Helvetica", "Helvetica-Bold", HexColor("#2f6b46"), size=9.2, page=A5, margin=15 * mm),
}


class Styles:
    """The paragraph styles of one look, by the name of what they set."""

    def __init__(self, look: Look) -> None:
        align = TA_CENTER if look.centred else 0
        body = ParagraphStyle("body", fontName=look.body, fontSize=look.size, leading=look.size * 1.42, spaceAfter=7)
        head = ParagraphStyle("head", body, fontName=look.bold, textColor=look.accent, keepWithNext=1, alignment=align)

        def heading(name: str, size: float, before: float, after: float) -> ParagraphStyle:
            return ParagraphStyle(name, head, fontSize=size, leading=size * 1.2, spaceBefore=before, spaceAfter=after)

        self.body = body
        self.title = heading("title", look.size * 2.3, 0, 4)
        self.subtitle = ParagraphStyle("subtitle", body, fontSize=look.size * 1.25, alignment=align, spaceAfter=10)
        self.h2 = heading("h2", look.size * 1.5, 14, 7)
        self.h3 = heading("h3", look.size * 1.15, 10, 4)
        self.item = ParagraphStyle(
            "item",
            body,
            leftIndent=16,
            bulletIndent=2,
            bulletFontName=look.body,
            bulletFontSize=look.size,
            spaceAfter=4,
        )
        self.cell = ParagraphStyle("cell", body, fontSize=look.size * 0.93, leading=look.size * 1.2, spaceAfter=0)
        self.head_cell = ParagraphStyle("head_cell", self.cell, fontName=look.bold, textColor=look.accent)
        self.sender = ParagraphStyle("sender", body, alignment=TA_RIGHT, textColor=look.accent, spaceAfter=18)
        self.address = ParagraphStyle("address", body, spaceAfter=18)
        self.date = ParagraphStyle("date", body, alignment=TA_RIGHT, spaceAfter=6)
        self.caption = ParagraphStyle("caption", body, fontSize=look.size * 0.9, alignment=TA_CENTER, spaceAfter=12)
        self.signature = ParagraphStyle("signature", body, spaceBefore=34)


class Document(BaseDocTemplate):  # type: ignore[misc]
    """Pages with a running line, a page number and the headings as bookmarks."""

    def __init__(self, target: io.BytesIO, meta: dict[str, str], look: Look) -> None:
        super().__init__(
            target,
            pagesize=look.page,
            title=meta["title"],
            author=meta["author"],
            subject=meta.get("subtitle", ""),
            lang="en-GB",
            invariant=1,
            pageCompression=0,
        )
        self.look, self.running = look, meta["running"]
        width, height = look.page
        frame = Frame(look.margin, 19 * mm, width - 2 * look.margin, height - 41 * mm, 0, 0, 0, 0)
        self.addPageTemplates(PageTemplate(frames=[frame], onPage=self.furniture))
        self.headings = 0

    def furniture(self, canvas: Canvas, _: BaseDocTemplate) -> None:
        """The lines at the top and at the foot of every page; the first page has none at the top."""
        width, height = self.look.page
        margin = self.look.margin
        canvas.saveState()
        canvas.setFont(self.look.body, 7.5)
        canvas.setFillColor(HexColor("#666666"))
        canvas.setStrokeColor(self.look.accent)
        if self.page > 1:
            canvas.drawString(margin, height - 13 * mm, self.running)
            canvas.line(margin, height - 15 * mm, width - margin, height - 15 * mm)
        canvas.drawRightString(width - margin, 11 * mm, f"Page {self.page}")
        canvas.restoreState()

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802, the library's own name for it
        """Makes a bookmark of each heading."""
        name = getattr(getattr(flowable, "style", None), "name", "")
        if name in {"title", "h2"}:
            key = f"heading-{self.headings}"
            self.headings += 1
            self.canv.bookmarkPage(key)
            self.canv.addOutlineEntry(flowable.getPlainText(), key, 0)


def inline(token: Token, line_break: str = " ") -> str:
    """The words of an inline token in the small markup that `Paragraph` reads."""
    marks = {"strong_open": "<b>", "strong_close": "</b>", "em_open": "<i>", "em_close": "</i>"}
    marks |= {"softbreak": line_break, "hardbreak": "<br/>"}
    children = token.children or []
    return "".join(marks.get(child.type, escape(child.content, quote=False)) for child in children)


def table(rows: list[list[str]], styles: Styles, look: Look) -> Table:
    """A ruled table whose columns share the text width by the length of what they hold."""
    available = look.page[0] - 2 * look.margin
    plain = [[re.sub(r"<[^>]+>", "", cell) for cell in row] for row in rows]
    natural = [
        max(stringWidth(cell, look.bold, styles.cell.fontSize) for cell in column) + 14
        for column in zip(*plain, strict=True)
    ]
    # A long column gives way to short ones: each keeps at least its fair share, or all that it needs.
    fair = available / len(natural)
    spare = available - sum(min(width, fair) for width in natural)
    wanted = sum(max(width - fair, 0) for width in natural)
    widths = [min(width, fair) + (spare * (width - fair) / wanted if width > fair else 0) for width in natural]
    cells = [
        [Paragraph(cell, styles.cell if number else styles.head_cell) for cell in row]
        for number, row in enumerate(rows)
    ]
    commands = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, 0), 1, look.accent),
        ("LINEBELOW", (0, 1), (-1, -1), 0.3, HexColor("#bbbbbb")),
        ("LEFTPADDING", (0, 0), (0, -1), 2),
        ("TOPPADDING", (0, 0), (-1, -1), 3.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4.5),
    ]
    align = "CENTER" if look.centred else "LEFT"
    return Table(cells, widths, style=commands, repeatRows=1, hAlign=align, spaceBefore=5, spaceAfter=11)


def read_table(tokens: Iterator[Token]) -> list[list[str]]:
    """The cells of a table, row by row, up to and including its end."""
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(inline(token))
    return rows


def flowables(markdown: str, styles: Styles, look: Look) -> Iterator[Flowable]:
    """What the source says, block by block, ready to be set.

    Comments steer the setting: `<!-- page -->` begins a page, and `<!-- sender -->`, `address`, `date` and
    `signature` set the paragraph that follows, line by line, as that part of a letter. `<!-- figure name -->` sets a
    drawing with the paragraph that follows as its caption.
    """
    parser = MarkdownIt("commonmark", {"typographer": True}).enable(["table", "smartquotes"])
    tokens = iter(parser.parse(markdown))
    style, bullets, special = styles.body, [], ""
    for token in tokens:
        if token.type == "html_block":
            special = token.content.strip().removeprefix("<!--").removesuffix("-->").strip()
            if special == "page":
                special = ""
                yield PageBreak()
            elif special.startswith("figure "):
                yield figure(special.removeprefix("figure "), look)
                special = "caption"
        elif token.type == "heading_open":
            style = styles.h2 if token.tag == "h2" else styles.h3
        elif token.type == "heading_close":
            style = styles.body
        elif token.type == "table_open":
            yield table(read_table(tokens), styles, look)
        elif token.type in {"bullet_list_open", "ordered_list_open"}:
            bullets.append(0 if token.type == "ordered_list_open" else None)
        elif token.type in {"bullet_list_close", "ordered_list_close"}:
            bullets.pop()
            yield Spacer(1, 4)
        elif token.type == "inline" and special:
            yield Paragraph(inline(token, "<br/>"), getattr(styles, special))
            special = ""
        elif token.type == "inline" and bullets:
            bullets[-1] = None if bullets[-1] is None else bullets[-1] + 1
            yield Paragraph(inline(token), styles.item, bulletText=f"{bullets[-1]}." if bullets[-1] else "•")
        elif token.type == "inline":
            yield Paragraph(inline(token, "<br/>" if look.centred else " "), style)


def figure(name: str, look: Look) -> Flowable:
    """The drawing `name` over the whole width of the text."""
    drawing = FIGURES[name]()
    width = look.page[0] - 2 * look.margin
    return Image(io.BytesIO(png(drawing, 48)), width, width * drawing.height / drawing.width)


def title_block(meta: dict[str, str], styles: Styles, look: Look) -> Iterable[Flowable]:
    """Title, subtitle and a rule, for documents that are not letters."""
    yield Paragraph(escape(meta["title"], quote=False), styles.title)
    yield Paragraph(escape(meta.get("subtitle", ""), quote=False), styles.subtitle)
    yield HRFlowable(width="100%", thickness=1.2, color=look.accent, spaceAfter=12)


def pdf(source: Path) -> bytes:
    """The PDF made from one source.

    Raises:
        UnicodeEncodeError: a character of the source is not in the fonts.
    """
    text = source.read_text(encoding="utf-8")
    text.encode("cp1252")
    _, front, body = text.split("---\n", 2)
    meta: dict[str, Any] = yaml.safe_load(front)
    look = LOOKS[meta["style"]]
    styles = Styles(look)
    story = [*(title_block(meta, styles, look) if look.title_block else ()), *flowables(body, styles, look)]
    target = io.BytesIO()
    Document(target, meta, look).build(story)
    return target.getvalue()


def scanned_pdf(pages: Iterable[bytes], title: str) -> bytes:
    """Pages of A5 that are pictures and nothing else, as a scanner makes them."""
    target = io.BytesIO()
    canvas = Canvas(target, A5, invariant=1)
    canvas.setTitle(title)
    for page in pages:
        canvas.drawImage(ImageReader(io.BytesIO(page)), 0, 0, *A5)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


def mail(template: Path, attachment: bytes) -> bytes:
    """The mail with `attachment` in the place of its `{{name}}` line, in base64 lines of 76 characters."""
    encoded = base64.encodebytes(attachment).decode("ascii").rstrip("\n")
    return re.sub(r"^\{\{.*\}\}$", encoded, template.read_text(encoding="utf-8"), flags=re.MULTILINE).encode()


def build_texts(target: Path) -> list[Path]:
    """Writes the built items in which nothing is drawn."""
    files = {path: pdf(SOURCES / f"{name}.md") for name, path in DOCUMENTS.items() if name != SCALES}
    files[ROOF_MAIL] = mail(SOURCES / "roof-quotation.eml", pdf(SOURCES / "roof-quotation.md"))
    return _written(target, files)


def build_pictures(target: Path) -> list[Path]:
    """Writes the pictures, and the PDFs and the mail that hold some."""
    files = {path: draw() for path, draw in PICTURES.items()}
    files[DOCUMENTS[SCALES]] = pdf(SOURCES / f"{SCALES}.md")
    files[VALUATION] = scanned_pdf(scans.valuation(), "Viola, valuation for insurance")
    files[MEDAL_MAIL] = mail(SOURCES / "the-medal.eml", scans.index_card())
    return _written(target, files)


def _written(target: Path, files: Mapping[str, bytes]) -> list[Path]:
    for path, data in files.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(data)
    return [target / path for path in files]


if __name__ == "__main__":
    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for written in build_texts(chosen) + build_pictures(chosen):
        sys.stdout.write(f"{written}\n")
