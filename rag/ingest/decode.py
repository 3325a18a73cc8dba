"""Bytes of a text file to text, whatever their encoding, with a warning where it had to be guessed."""

import codecs
import re

import charset_normalizer

from rag.errors import UnreadableFile
from rag.ingest.analyse import language_and_confidence
from rag.text import encodable

_BOMS = (  # the 32-bit marks first: they begin like the 16-bit ones
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LATIN = ("cp1252", "cp1250", "cp1254", "cp1257")  # the first wins a tie
_OTHER = (
    *("cp1251", "koi8_r", "cp1253", "cp1255", "cp1256"),
    *("cp932", "euc_jp", "gb18030", "big5", "euc_kr"),
)
_SAMPLE = 200_000  # bytes from which an encoding is guessed
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_BINARY_SHARE = 0.01  # of control characters, which text hardly ever has
_REPLACEMENT = "\ufffd"
_NEWLINE = re.compile(r"\r\n?")


def decode(data: bytes, path: str) -> tuple[str, str | None]:
    """The text of `data` with "\\n" line ends, and a warning or None. `path` is for the message only.

    Byte order marks, UTF-8 and UTF-16 are certain. Anything else is guessed, which the warning says.

    Raises:
        UnreadableFile: the bytes are not text.
    """
    text, warning = _decoded(data, path)
    return _NEWLINE.sub("\n", encodable(text)), warning


def _decoded(data: bytes, path: str) -> tuple[str, str | None]:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _lenient(data, encoding)
    if utf16 := _utf16_without_mark(data[:_SAMPLE]):
        return _lenient(data, utf16)
    if _is_binary(data[:_SAMPLE]):
        raise UnreadableFile(path, "it is not a text file, whatever its name says")
    try:
        return data.decode("utf-8"), None
    except UnicodeDecodeError:
        return _guessed(data)


def _lenient(data: bytes, encoding: str) -> tuple[str, str | None]:
    try:
        return data.decode(encoding), None
    except UnicodeDecodeError:
        return _damaged(data, encoding)


def _damaged(data: bytes, encoding: str) -> tuple[str, str]:
    text = data.decode(encoding, "replace")
    return text, f"{text.count(_REPLACEMENT)} places are not valid {encoding.upper()} and show as {_REPLACEMENT}"


def _utf16_without_mark(sample: bytes) -> str | None:
    """Western text in UTF-16 has a zero in nearly every second byte and nowhere else."""
    half = len(sample) // 2
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if half < 2 or max(even, odd) < half * 0.7 or min(even, odd) > half * 0.02:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _is_binary(sample: bytes) -> bool:
    return b"\x00" in sample or len(_CONTROL.findall(sample)) > len(sample) * _BINARY_SHARE


def _guessed(data: bytes) -> tuple[str, str]:
    text = data.decode("utf-8", "replace")
    wrong = text.count(_REPLACEMENT)
    right = sum(map(len, re.findall(r"[^\x00-\x7f\ufffd]+", text)))
    if right >= wrong:
        return _damaged(data, "utf-8")
    encoding = _likeliest_encoding(data[:_SAMPLE])
    return data.decode(encoding, "replace"), f"its encoding is not stated; it was read as {encoding}"


def _likeliest_encoding(sample: bytes) -> str:
    best = charset_normalizer.from_bytes(sample, cp_isolation=[*_LATIN, *_OTHER]).best()
    if best and best.encoding in _OTHER:
        return best.encoding
    # The Latin code pages differ in a few letters, which the charset library confuses and a language model does not.
    return max(_LATIN, key=lambda encoding: language_and_confidence(sample.decode(encoding, "replace"))[1])
