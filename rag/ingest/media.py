"""What kind of file something is: by its name, else by its first bytes."""

import re

from rag import pictures

MARKDOWN = "text/markdown"
PLAIN = "text/plain"
HTML = "text/html"
PDF = "application/pdf"
MAIL = "message/rfc822"
JPEG, PNG, WEBP, GIF, TIFF = "image/jpeg", "image/png", "image/webp", "image/gif", "image/tiff"
BMP, AVIF, HEIC, SVG = "image/bmp", "image/avif", "image/heic", "image/svg+xml"
IMAGES = (JPEG, PNG, WEBP, GIF, TIFF, BMP, AVIF, HEIC, SVG)
UNKNOWN = "application/octet-stream"

HEAD = 1024
"""Bytes that `sniff` wants to see."""

_BY_EXTENSION = {
    "md": MARKDOWN, "markdown": MARKDOWN, "mdown": MARKDOWN, "mkd": MARKDOWN,
    "txt": PLAIN, "text": PLAIN, "log": PLAIN, "rst": PLAIN, "org": PLAIN, "adoc": PLAIN, "tex": PLAIN,
    "html": HTML, "htm": HTML, "xhtml": HTML,
    "pdf": PDF,
    "eml": MAIL,
    "jpg": JPEG, "jpeg": JPEG, "jpe": JPEG, "jfif": JPEG, "png": PNG,
    "webp": WEBP, "gif": GIF, "tif": TIFF, "tiff": TIFF, "bmp": BMP, "avif": AVIF,
    "heic": HEIC, "heif": HEIC, "svg": SVG,
}  # fmt: skip
_HTML_START = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.{0,200}?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_MAIL_START = re.compile(
    rb"(?:(?:Return-Path|Received|Delivered-To|Message-ID|Date|From|MIME-Version):[ \t].*\r?\n)", re.I
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def extension(name: str) -> str:
    """The ending of a file name in lower case without its dot, "" where there is none (".profile" has none)."""
    stem, dot, ending = name.rpartition(".")
    return ending.lower() if dot and stem else ""


def media_type_of_name(name: str) -> str | None:
    """The media type that the ending of `name` promises, None where it promises nothing that a reader takes."""
    return _BY_EXTENSION.get(extension(name))


def sniff(head: bytes, name: str = "") -> str | None:
    """The media type that the first bytes of a file show, None where no reader takes it.

    A file without an ending is plain text if its beginning is UTF-8 without control characters.
    """
    if head.startswith(b"%PDF-"):
        return PDF
    if picture := pictures.media_type(head):
        return picture
    if _HTML_START.match(head):
        return HTML
    if _MAIL_START.match(head):
        return MAIL
    if head and not extension(name) and _is_text(head):
        return PLAIN
    return None


def _is_text(head: bytes) -> bool:
    if _CONTROL.search(head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as exc:
        return exc.start >= len(head) - 3  # the last character may be cut off
    return True
