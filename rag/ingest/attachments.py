"""Files inside files: what an attachment of a mail or a PDF is called, and what it is."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rag.errors import UnreadableFile
from rag.ingest import media
from rag.ingest.files import load
from rag.records import Source
from rag.text import encodable, one_line

MARK = "!/"
"""Between the path of a file and what is inside it: `letter.eml!/1/plan.pdf`."""

_LONGEST_NAME = 120
_UNSAFE = re.compile(r'[\\/:*?"<>|!]+')


def attachment(
    parent: Source, number: int, name: str, data: bytes, media_type: str | None = None, around: str = ""
) -> Source:
    """Attachment `number` (from 1) of `parent`; `around` are the words near it there.

    `media_type` is what the sender says it is: the ending of the name and the first bytes are believed before it.
    """
    safe = safe_name(name) or "attachment"
    kind = media.media_type_of_name(safe) or media.sniff(data[: media.HEAD], safe) or media_type or media.UNKNOWN
    return Source(f"{parent.path}{MARK}{number}/{safe}", kind, data, parent.modified, parent.id, around)


def read_original(path: str, media_type: str, parent: str | None = None) -> Source:
    """The file or attachment that a document was made from, with its bytes as they were sent.

    Raises:
        UnreadableFile: it is gone, or a file on the way to it cannot be read.
    """
    if parent is None:
        return load(path, media_type)
    outer = next(filter(os.path.isfile, _outer_paths(path)), None)
    if outer is None:
        raise UnreadableFile(path, "the file that it was attached to is gone")
    name = Path(outer).name
    source = load(outer, "")
    kind = media.media_type_of_name(name) or media.sniff(source.data[: media.HEAD], name) or media.UNKNOWN
    return find_attachment(replace(source, media_type=kind), path)


def find_attachment(source: Source, path: str) -> Source:
    """The attachment called `path` in the file `source`, at any depth.

    Raises:
        UnreadableFile: there is no such attachment, or a file on the way to it cannot be read.
    """
    from rag.ingest.readers import read  # they load slowly, and they import this file

    current = source
    while current.path != path:
        inside = (each for each in read(current).attachments if path == each.path or path.startswith(each.path + MARK))
        found = next(inside, None)
        if found is None:
            raise UnreadableFile(path, f"there is no such attachment in {source.path!r}")
        current = found
    return current


def _outer_paths(path: str) -> Iterator[str]:
    """Every file that an attachment's path may lie in: a folder's name may end in "!" as well."""
    at = path.find(MARK)
    while at >= 0:
        yield path[:at]
        at = path.find(MARK, at + 1)


def safe_name(name: str) -> str:
    """`name` as a file name that stays in its folder on any system; "" if nothing is left of it."""
    last = encodable(name).replace("\\", "/").rsplit("/", 1)[-1]
    line = one_line(_UNSAFE.sub("_", last)).strip(". ")
    return line if len(line) <= _LONGEST_NAME else _shortened(line)


def _shortened(name: str) -> str:
    ending = media.extension(name)
    kept = f".{ending}" if ending and len(ending) <= 10 else ""
    return name[: _LONGEST_NAME - len(kept)] + kept
