"""What a mail says about a picture that came with it, and which pictures are mere decoration."""

import re
from collections.abc import Sequence
from email.message import Message
from itertools import islice

from rag import pictures
from rag.errors import UnreadableFile
from rag.ingest.read_web import visible_text
from rag.ingest.surroundings import LONGEST, words_around
from rag.text import one_line

_TINY = 32  # pixels of the longer side; what has no more is for tracking, or a bullet
_SPACER = 8  # of the shorter side
_SMALL_SIDE, _SMALL_AREA = 80, 25_000  # pixels; what is shown within the text and is smaller is the logo of a signature
_MOST_SHOWN = 1000  # references to pictures in one body
_REACH = 4000  # characters on each side that are looked through for the words near a picture
_MARKS = "\ue000", "\ue001"  # private characters, put around the name of a picture in the visible text
_SHOWN = re.compile(r"""<img\b[^>]*?\bsrc\s*=\s*["']?cid:(?P<id>[^"'>\s]+)[^>]*>""", re.IGNORECASE)
_IN_PLAIN = re.compile(r"\[cid:(?P<id>[^\]\s]+)\]", re.IGNORECASE)  # as Outlook writes it
_MARKED = re.compile(f"{_MARKS[0]}(?P<id>[^{_MARKS[1]}]*){_MARKS[1]}")


def content_id(part: "Message[str, str]") -> str:
    """What the body calls this part; "" where it has no name."""
    return str(part.get("Content-ID", "")).strip().strip("<>").strip()


def words_near(plain: Sequence[str], markup: Sequence[str]) -> dict[str, str]:
    """For each picture that the bodies show, by its content id, the words around it."""
    texts = [_IN_PLAIN.sub(_mark, text) for text in plain]
    texts += [visible_text(_SHOWN.sub(_mark, text)) for text in markup if _SHOWN.search(text)]
    found: dict[str, str] = {}
    for text in texts:
        for match in islice(_MARKED.finditer(text), _MOST_SHOWN):
            parts = text[max(match.start() - _REACH, 0) : match.start()], text[match.end() : match.end() + _REACH]
            before, after = (_MARKED.sub(" ", part) for part in parts)
            near = words_around(before + after, len(before), len(before), 0, len(before) + len(after))
            found.setdefault(match["id"], near)
    return found


def about(subject: str, words: str) -> str:
    """What is kept beside a picture: the subject of its mail, and the words near it there."""
    return one_line(": ".join(filter(None, (subject, one_line(words[:_REACH])))), LONGEST)


def is_decoration(data: bytes, within_text: bool) -> bool:
    """Whether a picture is a tracking pixel or a spacer, or, shown within the text, as small as a signature's logo."""
    try:
        width, height = pictures.open_header(data).size
    except UnreadableFile:
        return False  # its reader will say why
    if max(width, height) <= _TINY or min(width, height) <= _SPACER:
        return True
    return within_text and (min(width, height) < _SMALL_SIDE or width * height < _SMALL_AREA)


def _mark(match: re.Match[str]) -> str:
    return f"{_MARKS[0]}{match['id']}{_MARKS[1]}"
