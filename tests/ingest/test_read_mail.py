from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from rag.errors import UnreadableFile
from rag.ingest.read_mail import MailReader
from rag.records import Document, Source
from tests.ingest.files import mail

MODIFIED = datetime(2024, 5, 6, tzinfo=UTC)


def read(message: EmailMessage | bytes, path: str = "/mail/tea.eml") -> Document:
    data = message if isinstance(message, bytes) else message.as_bytes()
    return MailReader().read(Source(path, "message/rfc822", data, MODIFIED))


def raw(*headers: str, body: str = "Hello") -> bytes:
    return "\r\n".join((*headers, "", body)).encode("utf-8", "surrogateescape")


def test_headers_subject_and_date() -> None:
    found = read(mail("Dear Bo,\n\ncome for tea.\n", To="Bo <bo@example.org>", Date="Tue, 16 Sep 2025 20:41:07 +0100"))
    assert (found.title, found.kind) == ("Tea", "mail")
    assert found.date == datetime(2025, 9, 16, 19, 41, 7, tzinfo=UTC)
    assert found.text == (
        "From: Ada <ada@example.org>\nTo: Bo <bo@example.org>\nDate: Tue, 16 Sep 2025 20:41:07 +0100\n\n"
        "Dear Bo,\n\ncome for tea."
    )
    assert ("From", "Ada <ada@example.org>") in found.fields


def test_plain_text_is_preferred_to_html() -> None:
    assert "plain words" in read(mail("plain words", html="<p>html words</p>")).text
    assert "html words" not in read(mail("plain words", html="<p>html words</p>")).text


def test_html_is_read_where_the_plain_text_is_blank() -> None:
    text = read(mail("  \n", html="<style>no</style><p>html <b>words</b></p><ul><li>one</ul>")).text
    assert text.endswith("html words\n\none")


@pytest.mark.parametrize(
    ("header", "title"),
    [
        ("=?utf-8?q?Caf=C3=A9_ol=C3=A9?=", "Café olé"),
        ("=?iso-8859-1?Q?Caf=E9?= =?utf-8?b?4piV?=", "Café☕"),
        ("Café raw", "Café raw"),
        ("=?klingon?q?Caf=C3=A9?=", "Café"),
        ("=?utf-8?b?!!!?=", "=?utf-8?b?!!!?="),
        ("folded\r\n over lines", "folded over lines"),
        ("", "tea"),
        ("x" * 500, "x" * 199 + "…"),
    ],
)
def test_subjects_are_decoded(header: str, title: str) -> None:
    assert read(raw("From: a", f"Subject: {header}")).title == title


@pytest.mark.parametrize(
    "date", ["nonsense", "", "Tue, 99 Sep 2025 20:41:07 +0100", "Tue, 16 Sep 2025 99:99:99", "9" * 400]
)
def test_a_senseless_date_falls_back_to_that_of_the_file(date: str) -> None:
    assert read(raw("From: a", f"Date: {date}")).date == MODIFIED


@pytest.mark.parametrize(
    ("charset", "body", "words"),
    [
        ("utf-8", "naïve".encode(), "naïve"),
        ("iso-8859-1", b"na\xefve caf\xe9", "naïve café"),
        ("klingon", "naïve".encode(), "naïve"),
        ("ascii", "naïve".encode(), "naïve"),
        ("utf-16", b"odd", "odd"),
        ("", "naïve".encode(), "naïve"),
    ],
)
def test_bodies_in_any_charset(charset: str, body: bytes, words: str) -> None:
    kind = f"text/plain; charset={charset}" if charset else "text/plain"
    head = f"From: a\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".encode()
    assert read(head + body).text == f"From: a\n\n{words}"


def test_attachments_become_sources_of_their_own() -> None:
    message = mail("See attached.")
    message.add_attachment(b"%PDF-1.4 x", maintype="application", subtype="octet-stream", filename="plan")
    message.add_attachment("# Note", filename="née note.md")
    message.add_attachment(b"\x00\x01", maintype="image", subtype="png")
    found = read(message)
    assert [(each.path, each.media_type, each.data) for each in found.attachments] == [
        ("/mail/tea.eml!/1/plan", "application/pdf", b"%PDF-1.4 x"),
        ("/mail/tea.eml!/2/née note.md", "text/markdown", b"# Note\n"),
        ("/mail/tea.eml!/3/image.png", "image/png", b"\x00\x01"),
    ]
    assert {each.parent for each in found.attachments} == {found.id}
    assert found.text.endswith("See attached.")


def test_attachments_are_as_old_as_their_mail() -> None:
    message = mail("See attached.", Date="Tue, 16 Sep 2025 20:41:07 +0100")
    message.add_attachment("# Note", filename="note.md")
    found = read(message)
    assert found.attachments[0].modified == found.date == datetime(2025, 9, 16, 19, 41, 7, tzinfo=UTC)


def test_an_enclosed_message_is_an_attachment_with_its_own_parts() -> None:
    inner = mail("inner words", Subject="The inner/one")
    inner.add_attachment("# Deep", filename="deep.md")
    outer = mail("outer words")
    outer.add_attachment(inner)
    found = read(outer)
    assert "inner words" not in found.text
    [enclosed] = found.attachments
    assert (enclosed.path, enclosed.media_type) == ("/mail/tea.eml!/1/The inner_one.eml", "message/rfc822")
    again = MailReader().read(enclosed)
    assert again.text.endswith("inner words")
    assert [each.path for each in again.attachments] == [f"{enclosed.path}!/1/deep.md"]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\evil.pdf", "evil.pdf"),
        ("a\x00b\nc.md", "a�b c.md"),
        ("..", "attachment"),
        ("what!/2/else.md", "else.md"),
        ('q"u<o>t?e.md', "q_u_o_t_e.md"),
        ("n" * 300 + ".md", "n" * 117 + ".md"),
        ("😀.md", "😀.md"),
    ],
)
def test_names_of_attachments_are_made_safe(name: str, safe: str) -> None:
    from rag.ingest.attachments import attachment

    parent = Source("/mail/tea.eml", "message/rfc822", b"")
    assert attachment(parent, 1, name, b"x").path == f"/mail/tea.eml!/1/{safe}"


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "it is empty"), (b" \r\n", "it is empty"), (b"no headers\n\nat all", "it is not an e-mail")],
)
def test_what_is_no_message_is_told(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason):
        read(data)


@pytest.mark.parametrize(
    "data",
    [
        raw("From: a", "Content-Type: multipart/mixed; boundary=x", body="--x\r\n\r\nkept\r\n--y"),
        raw("From: a", "Content-Type: multipart/mixed", body="kept"),
        raw("From: a", "Content-Type: text/plain", "Content-Transfer-Encoding: base64", body="a2VwdA"),
        raw("From: a", "Content-Type: ;;;;=", body="kept"),
        raw("From: a", "Content-Type: text/plain; charset*=x''%ff", body="kept"),
        raw("From: a", "Content-Disposition: inline; filename*0*=", body="kept"),
    ],
)
def test_broken_mime_keeps_the_words(data: bytes) -> None:
    assert "kept" in read(data).text


def test_deeply_nested_parts_never_crash() -> None:
    data = "From: a\n" + "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(3000))
    try:
        assert read(data.encode()).kind == "mail"
    except UnreadableFile as exc:
        assert exc.reason == "it is nested too deeply"  # noqa: PT017
