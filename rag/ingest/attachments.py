"""Files inside files: what an attachment of a mail or a PDF is called, and what it is."""

import re

from rag.ingest import media
from rag.records import Source
from rag.text import encodable, one_line

MARK = "!/"
"""Between the path of a file and what is inside it: `letter.eml!/1/plan.pdf`."""

_LONGEST_NAME = 120
_UNSAFE = re.compile(r'[\\/:*?"<>|!]+')


def attachment(parent: Source, number: int, name: str, data: bytes, media_type: str | None = None) -> Source:
    """Attachment `number` (from 1) of `parent`.

    `media_type` is what the sender says it is: the ending of the name and the first bytes are believed before it.
    """
    safe = safe_name(name) or "attachment"
    kind = media.media_type_of_name(safe) or media.sniff(data[: media.HEAD], safe) or media_type or media.UNKNOWN
    return Source(f"{parent.path}{MARK}{number}/{safe}", kind, data, parent.modified, parent.id)


def safe_name(name: str) -> str:
    """`name` as a file name that stays in its folder on any system; "" if nothing is left of it."""
    last = encodable(name).replace("\\", "/").rsplit("/", 1)[-1]
    line = one_line(_UNSAFE.sub("_", last)).strip(". ")
    return line if len(line) <= _LONGEST_NAME else _shortened(line)


def _shortened(name: str) -> str:
    ending = media.extension(name)
    kept = f".{ending}" if ending and len(ending) <= 10 else ""
    return name[: _LONGEST_NAME - len(kept)] + kept
