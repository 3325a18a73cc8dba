"""What is left of a log of feedback without some documents, or without some lists."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from rag.tune.records import Choice, Shown

Record = Shown | Choice


def without_documents(records: Sequence[Record], documents: AbstractSet[str]) -> list[Record | None]:
    """Each record as it stays, None where it goes: no list and no choice names one of these documents any more.

    Their chunks leave every list with all that was chosen of them. A list goes with its words where nothing is left in
    it, or where they were all that was chosen in it: what was asked then says what stood in them.
    """
    lists = [record for record in records if isinstance(record, Shown)]
    chunks = {chunk.chunk for each in lists for chunk in each.chunks if chunk.document in documents}
    chosen = [record for record in records if isinstance(record, Choice) and record.chunk]
    about = {choice.shown for choice in chosen if choice.chunk in chunks}
    about -= {choice.shown for choice in chosen if choice.chunk not in chunks}
    emptied = {each.id for each in lists if each.chunks and all(chunk.document in documents for chunk in each.chunks)}
    gone = about | emptied
    return [_without(record, gone, chunks) for record in records]


def without_lists(records: Sequence[Record], lists: AbstractSet[str]) -> list[Record | None]:
    """Each record as it stays, None for these lists and what was chosen in them."""
    return [_without(record, lists, frozenset()) for record in records]


def _without(record: Record, lists: AbstractSet[str], chunks: AbstractSet[str]) -> Record | None:
    if isinstance(record, Choice):
        return None if record.shown in lists or record.chunk in chunks else record
    if record.id in lists:
        return None
    left = tuple(chunk for chunk in record.chunks if chunk.chunk not in chunks)
    return record if len(left) == len(record.chunks) else replace(record, chunks=left)
