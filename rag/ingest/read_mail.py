"""E-mail messages: headers, the best body, and attachments as sources of their own."""

import email
import email.header
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from email.errors import MessageError
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import TypeAlias

from rag.errors import UnreadableFile
from rag.ingest import media
from rag.ingest.attachments import attachment
from rag.ingest.decode import decode
from rag.ingest.document import as_utc, make_document, only_unreadable
from rag.ingest.mail_pictures import about, content_id, is_decoration, words_near
from rag.ingest.read_web import visible_text
from rag.records import Document, Source
from rag.text import encodable, one_line

_KEPT = ("From", "To", "Cc", "Date", "Subject", "Message-ID", "In-Reply-To", "List-Id")
_SHOWN = ("From", "To", "Cc", "Date")
_LONGEST_HEADER = 5000
_MOST_ATTACHMENTS = 200

_Part: TypeAlias = "Message[str, str]"


class MailReader:
    """Messages as they travel (RFC 5322); kind "mail". Plain text is preferred to HTML unless it is empty.

    The text is the sender, recipients and date, one to a line, a blank line, and the body. The subject is the title.
    """

    media_types = frozenset({media.MAIL})

    @only_unreadable
    def read(self, source: Source) -> Document:
        if not source.data.strip():
            raise UnreadableFile(source.path, "it is empty")
        # The older policy reads headers leniently and lets us decode them; the newer one raises on broken ones.
        message = email.message_from_bytes(source.data)
        headers = _headers(message)
        if not headers:
            raise UnreadableFile(source.path, "it is not an e-mail message: it has no headers")
        bodies = _bodies(message, source.path)
        head = "\n".join(f"{name}: {headers[name]}" for name in _SHOWN if name in headers)
        date = _date(headers.get("Date", ""))
        dated = replace(source, modified=date or source.modified)  # what it brings is as old as the mail, not its file
        return make_document(
            source,
            "mail",
            "\n\n".join(filter(None, (head, bodies.text))),
            headers.get("Subject"),
            date=date,
            fields=tuple((name, one_line(value, 1000)) for name, value in headers.items()),
            attachments=tuple(_attachments(message, dated, headers.get("Subject", ""), bodies)),
            warnings=bodies.warnings,
        )


def _headers(message: _Part) -> dict[str, str]:
    """The headers that are kept, decoded; of a repeated one the first."""
    raw: dict[str, str] = {}
    for name, value in message.raw_items():
        raw.setdefault(name.lower(), value)
    decoded = ((name, _decoded(raw[name.lower()])) for name in _KEPT if name.lower() in raw)
    return {name: value for name, value in decoded if value}


def _decoded(raw: str) -> str:
    """A header as text: encoded words (RFC 2047) decoded, other bytes beyond ASCII taken as UTF-8."""
    text = raw[:_LONGEST_HEADER].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        pieces = email.header.decode_header(text)
    except (MessageError, ValueError):
        pieces = [(text, None)]
    decoded = one_line(encodable("".join(_piece(value, charset) for value, charset in pieces)))
    return decoded or one_line(encodable(text))


def _piece(value: str | bytes, charset: str | None) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode(charset or "utf-8", "replace")
    except LookupError:
        return value.decode("utf-8", "replace")


def _date(header: str) -> datetime | None:
    try:
        return as_utc(parsedate_to_datetime(header))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _leaves(part: _Part) -> Iterator[_Part]:
    """The parts that are not containers; an enclosed message is one part."""
    if part.get_content_maintype() != "multipart" or not isinstance(part.get_payload(), list):
        yield part
        return
    for child in part.get_payload():
        if isinstance(child, Message):
            yield from _leaves(child)


def _is_body(part: _Part) -> bool:
    # A leaf that calls itself multipart has lost its boundary, and holds what can be saved of the message.
    is_text = part.get_content_type() in ("text/plain", "text/html") or part.get_content_maintype() == "multipart"
    return is_text and part.get_content_disposition() != "attachment" and not part.get_filename()


@dataclass(frozen=True, slots=True)
class _Bodies:
    """The parts of a message that are its body. `text` is all plain ones, or all HTML where those are blank."""

    text: str
    plain: tuple[str, ...]
    markup: tuple[str, ...]
    warnings: tuple[str, ...]


def _bodies(message: _Part, path: str) -> _Bodies:
    plain: list[str] = []
    markup: list[str] = []
    warnings: dict[str, None] = {}
    for part in filter(_is_body, _leaves(message)):
        text, warning = _part_text(part, path)
        (markup if part.get_content_type() == "text/html" else plain).append(text)
        warnings.update({warning: None} if warning else {})
    body = "\n\n".join(text.strip() for text in plain if text.strip())
    return _Bodies(body or "\n\n".join(map(visible_text, markup)), tuple(plain), tuple(markup), tuple(warnings))


def _part_text(part: _Part, path: str) -> tuple[str, str | None]:
    data = _payload(part)
    charset = part.get_content_charset()
    try:
        if charset:
            return encodable(data.decode(charset).replace("\r\n", "\n")), None
    except (LookupError, UnicodeDecodeError):
        pass  # unknown or untrue: it is guessed like that of a file
    try:
        return decode(data, path)
    except UnreadableFile:
        return "", "a part of it that should be text is not"


def _payload(part: _Part) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _attachments(message: _Part, source: Source, subject: str, bodies: _Bodies) -> Iterator[Source]:
    """What is enclosed, numbered as it comes; decorations have a number, but are passed over."""
    parts = [part for part in _leaves(message) if not _is_body(part)]
    near = words_near(bodies.plain, bodies.markup) if any(map(content_id, parts)) else {}
    number = 0
    for part in parts:
        data = _enclosed_message(part) if part.get_content_type() == media.MAIL else _payload(part)
        if not data or number == _MOST_ATTACHMENTS:
            continue
        number += 1
        name = content_id(part)
        around = about(subject, near.get(name) or bodies.text)
        found = attachment(source, number, _name(part), data, part.get_content_type(), around)
        within_text = name in near or part.get_content_disposition() == "inline"
        if found.media_type not in media.IMAGES or not is_decoration(data, within_text):
            yield found


def _enclosed_message(part: _Part) -> bytes:
    payload = part.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload else None
    if not isinstance(inner, Message):
        return _payload(part)
    try:
        return inner.as_bytes()
    except (MessageError, ValueError, LookupError):
        return b""


def _name(part: _Part) -> str:
    """The name the sender gave, else one made from what the part is."""
    name = _decoded(part.get_filename() or "")
    if name:
        return name
    payload = part.get_payload()
    if part.get_content_type() == media.MAIL and isinstance(payload, list) and isinstance(payload[0], Message):
        return _headers(payload[0]).get("Subject", "message").replace("/", "_") + ".eml"
    return f"{part.get_content_maintype()}.{part.get_content_subtype()}"
