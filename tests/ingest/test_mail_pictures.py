"""Pictures in mails: what is kept beside them, and which are passed over."""

from email.message import EmailMessage

import pytest
from PIL import Image

from rag.ingest.mail_pictures import is_decoration
from rag.ingest.media import MAIL
from rag.ingest.options import ParseOptions, ReadOptions
from rag.ingest.parse import Parsed, parse_source
from rag.ingest.read_mail import MailReader
from rag.records import Document, Source
from tests.ingest.drawn import encoded, picture
from tests.ingest.files import mail, pdf, pdf_with

OPTIONS = ParseOptions(tokenizer_file=None, max_tokens=100, max_file_mb=64, read=ReadOptions(ocr=False))


def read(message: EmailMessage) -> Document:
    return MailReader().read(Source("/mail/tea.eml", MAIL, message.as_bytes()))


def parsed(message: EmailMessage) -> Parsed:
    return parse_source(Source("/mail/tea.eml", MAIL, message.as_bytes()), OPTIONS)


def with_inline(html: str, *images: Image.Image, body: str = "plain") -> EmailMessage:
    """A message whose HTML may show `cid:p1`, `cid:p2` ..."""
    message = mail(body, html=html, Subject="The garden")
    html_part = message.get_payload()[1]  # type: ignore[index]
    for number, image in enumerate(images, 1):
        html_part.add_related(encoded(image), "image", "png", cid=f"<p{number}>", filename=f"p{number}.png")  # type: ignore[union-attr]
    return message


def test_an_inline_picture_knows_the_words_around_it() -> None:
    roses = "<p>Dear Bo,</p><p>these are the roses:</p><img src='cid:p1' alt=x>"
    html = roses + '<p>and this</p><p>is the door.</p><img src="CID:p2">'
    found = read(with_inline(html, picture(), picture(seed=2))).attachments
    assert [(each.path, each.media_type, each.around) for each in found] == [
        ("/mail/tea.eml!/1/p1.png", "image/png", "The garden: these are the roses: and this"),
        ("/mail/tea.eml!/2/p2.png", "image/png", "The garden: is the door."),
    ]


def test_a_picture_in_plain_text_knows_them_too() -> None:
    html = "<p>Nothing of it here.</p>"
    found = read(with_inline(html, picture(), body="Dear Bo,\n\nlook:\n\n[cid:p1]\n\nNice.")).attachments
    assert [each.around for each in found] == ["The garden: look: Nice."]


def test_an_attached_picture_knows_subject_and_beginning() -> None:
    message = mail("Dear Bo,\n\nhere is the kettle. " + "word " * 200, Subject="The kettle")
    message.add_attachment(encoded(picture()), "image", "png", filename="IMG_1.png")
    [found] = read(message).attachments
    assert found.around.startswith("The kettle: Dear Bo, here is the kettle. word")
    assert len(found.around) <= 400


def test_the_words_reach_the_picture_and_its_chunk() -> None:
    html = "<p>these are the roses:</p><img src='cid:p1'>"
    [inside] = parsed(with_inline(html, picture())).attachments
    assert (inside.document.kind, inside.document.parent is not None) == ("image", True)
    [shown] = inside.document.pictures
    assert shown.around == "The garden: these are the roses:"
    assert [(each.modality, each.around) for each in inside.chunks] == [("image", shown.around)]
    assert "rose" in inside.words[0].split()


def test_decorations_are_passed_over_and_keep_their_number() -> None:
    html = "<img src=cid:p1><p>Words</p><img src=cid:p2><img src=cid:p3><img src=cid:p4>"
    images = Image.new("RGB", (1, 1)), Image.new("RGB", (600, 4)), picture(200, 60), picture()
    found = read(with_inline(html, *images)).attachments
    assert [each.path for each in found] == ["/mail/tea.eml!/4/p4.png"]


@pytest.mark.parametrize(
    ("size", "within_text", "decoration"),
    [
        ((1, 1), False, True),
        ((32, 32), False, True),
        ((33, 33), False, False),
        ((33, 33), True, True),
        ((800, 8), False, True),
        ((300, 79), True, True),
        ((300, 79), False, False),
        ((150, 150), True, True),
        ((160, 160), True, False),
        ((640, 480), True, False),
    ],
)
def test_what_is_a_decoration(size: tuple[int, int], within_text: bool, decoration: bool) -> None:
    assert is_decoration(encoded(Image.new("RGB", size)), within_text) is decoration


def test_a_broken_picture_is_none_and_is_told_of() -> None:
    assert not is_decoration(b"\x89PNG\r\n\x1a\n", within_text=True)
    message = mail("Hello")
    message.add_attachment(b"\x89PNG\r\n\x1a\n", "image", "png", filename="broken.png")
    [failure] = parsed(message).failed
    assert failure.path == "/mail/tea.eml!/1/broken.png"


def test_attachments_of_a_kind_that_is_not_read_are_named() -> None:
    message = mail("Hello")
    message.add_attachment(b"PK\x03\x04", "application", "zip", filename="plan.xlsx")
    assert parsed(message).document.warnings == ("plan.xlsx: this kind is not read",)
    for number in range(7):
        message.add_attachment(b"PK\x03\x04", "application", "zip", filename=f"{number}.zip")
    message.add_attachment(b"signed", "application", "pkcs7-signature", filename="smime.p7s")
    message.add_attachment("# Plan", filename="plan.md")
    found = parsed(message)
    assert found.document.warnings == ("plan.xlsx, 0.zip, 1.zip, 2.zip, 3.zip and 3 more: these kinds are not read",)
    assert [each.document.path.rpartition("/")[2] for each in found.attachments] == ["plan.md"]


def test_pictures_attached_to_a_pdf_know_its_title() -> None:
    report = pdf_with(pdf([[("Title", "Report")]], title="The Report"), photo_dot_png=encoded(picture()))
    found = parse_source(Source("/docs/a.pdf", "application/pdf", report), OPTIONS)
    [photo] = found.attachments
    assert (photo.document.kind, photo.document.pictures[0].around) == ("image", "The Report")


def test_many_references_take_linear_time() -> None:
    import time

    started = time.process_time()
    found = read(with_inline("<p>some words</p><img src=cid:p1>" * 20_000, picture())).attachments
    assert len(found) == 1
    assert time.process_time() - started < 30
