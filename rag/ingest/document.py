"""What every reader does alike: fill in a Document, and raise nothing but UnreadableFile."""

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, TypeVar

from rag.errors import UnreadableFile
from rag.ingest.analyse import detect_language
from rag.records import Document, Heading, Kind, Source
from rag.text import encodable, one_line

_LONGEST_TITLE = 200

R = TypeVar("R")


def make_document(source: Source, kind: Kind, text: str, title: str | None = None, **facts: Any) -> Document:
    """The Document of `source`: named after its file where it has no title, dated by the file where it has no date.

    `text` is made encodable, which keeps every span, and its language is detected. `facts` are the other fields of
    Document; its date may be naive, which is read as UTC.
    """
    date = facts.pop("date", None) or source.modified
    headings = tuple(facts.pop("headings", ()))
    return Document(
        id=source.id,
        path=source.path,
        sha256=source.sha256,
        kind=kind,
        media_type=source.media_type,
        title=next(filter(None, map(_title, (title or "", stem(source), source.name))), "untitled"),
        text=encodable(text),
        language=detect_language(text),
        headings=tuple(
            Heading(each.level, one_line(encodable(each.text), _LONGEST_TITLE), each.start) for each in headings
        ),
        date=as_utc(date) if date else None,
        parent=source.parent,
        **facts,
    )


def _title(text: str) -> str:
    return one_line(encodable(text), _LONGEST_TITLE)


def stem(source: Source) -> str:
    """The file's name without its ending."""
    return PurePosixPath(source.name).stem or source.name


def as_utc(date: datetime) -> datetime | None:
    """`date` in UTC; a naive one is taken as UTC. None where that leaves the years 1 to 9999."""
    try:
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def parsed_date(text: str) -> datetime | None:
    """An ISO 8601 date or time as aware UTC, None where `text` is something else."""
    try:
        return as_utc(datetime.fromisoformat(text.strip()))
    except ValueError:
        return None


def only_unreadable(read: Callable[[R, Source], Document]) -> Callable[[R, Source], Document]:
    """Turns whatever a reader raises into UnreadableFile.

    Parsers of PDF, HTML and MIME fail in more ways on hostile bytes than can be listed, and one bad file must cost
    one line of a report, so everything that is an Exception is caught here, once for all readers.
    """

    @functools.wraps(read)
    def guarded(self: R, source: Source) -> Document:
        try:
            return read(self, source)
        except UnreadableFile:
            raise
        except RecursionError as exc:
            raise UnreadableFile(source.path, "it is nested too deeply") from exc
        except MemoryError as exc:
            raise UnreadableFile(source.path, "it does not fit in memory") from exc
        except Exception as exc:
            detail = one_line(str(exc), 200)
            raise UnreadableFile(source.path, f"its reader failed with {type(exc).__name__}: {detail}") from exc

    return guarded
