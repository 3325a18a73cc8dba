"""The pictures that a note or web page shows: found on the disk, inside the folder added, and read like any other."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from rag import pictures
from rag.errors import UnreadableFile
from rag.ingest import media
from rag.ingest.clock import in_time
from rag.ingest.files import load
from rag.ingest.ocr import Ocr, OcrText
from rag.ingest.options import ReadOptions
from rag.records import Document, Picture

_MOST_NAMES = 200_000  # pictures below a folder that are known by their names
_LEAST_OF_A_PAGE = 100  # pixels of the shorter side; smaller pictures of web pages are buttons and portraits
_NAMED = 5  # pictures that a warning names
_NO_TIME = "no time left; set RAG_READ_SECONDS higher"


def with_shown_pictures(document: Document, root: str, options: ReadOptions, max_mb: int | None = None) -> Document:
    """`document` with its pictures read: those of a note name only their targets until here.

    A target is looked for beside the note, then from `root` on, then, if it is a mere name, anywhere below `root`.
    The words read in a picture are put behind the document's text as a block of their own. A picture that is not
    there, lies outside `root` ("": any does) or cannot be read is left out, and one warning says which.
    """
    if not document.pictures:
        return document
    from rag.ingest.readers import build_ocr  # it loads the readers

    taken = _Taken(document, root, build_ocr(options), options.max_megapixels, max_mb)
    done = 0
    for picture in in_time(document.pictures):
        done += 1
        taken.take(picture)
    taken.left_out += [(picture.path, _NO_TIME) for picture in document.pictures[done:]]
    return replace(
        document,
        text=taken.text,
        pictures=tuple(taken.pictures),
        warnings=(*document.warnings, *_warnings(taken.left_out)),
    )


class _Taken:
    """The document's text and pictures as one after the other is taken in."""

    def __init__(self, document: Document, root: str, ocr: Ocr | None, max_megapixels: int, max_mb: int | None) -> None:
        self.document = document
        self.root = root
        self.ocr = ocr
        self.max_megapixels = max_megapixels
        self.max_mb = max_mb
        self.text = document.text
        self.pictures: list[Picture] = []
        self.left_out: list[tuple[str, str]] = []  # target and reason
        self.seen: set[str] = set()

    def take(self, picture: Picture) -> None:
        try:
            path = _found(picture.path, self.document.path, self.root)
            if path not in self.seen:
                self.seen.add(path)
                self._read(picture, path)
        except UnreadableFile as exc:
            # Web pages are mostly saved without their pictures, which is nothing to tell of.
            if self.document.kind != "web" or exc.path != picture.path:
                self.left_out.append((picture.path, exc.reason))

    def _read(self, picture: Picture, path: str) -> None:
        data = load(path, "", self.max_mb).data
        image = pictures.decode(data, path=path, max_megapixels=self.max_megapixels)
        if self.document.kind == "web" and min(image.size) < _LEAST_OF_A_PAGE:
            return
        read = self.ocr.read(image) if self.ocr else OcrText()
        start = end = picture.at
        if read.text:
            start = len(self.text) + 2
            end = start + len(read.text)
            self.text += "\n\n" + read.text
        self.pictures.append(
            replace(
                picture,
                number=len(self.pictures) + 1,
                digest=pictures.digest(data),
                width=image.width,
                height=image.height,
                start=start,
                end=end,
                path=path,
                lines=read.moved(start),
                preview=pictures.encode(image, pictures.PREVIEW_SIDE),
            )
        )


def _found(target: str, document: str, root: str) -> str:
    """The file that `target` in `document` means: an absolute path without links, inside `root`."""
    for place in _places(target, document, root):
        path = os.path.realpath(place)
        if not _is_file(path):
            continue
        if root and Path(path).is_relative_to(os.path.realpath(root)):
            return path
        raise UnreadableFile(target, "it lies outside the folder that was added")
    raise UnreadableFile(target, "it is not there")


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError:  # the name is too long
        return False


def _places(target: str, document: str, root: str) -> list[str]:
    names = _names(target)
    beside = [str(Path(document).parent / name) for name in names]
    below = [str(Path(root) / name.lstrip("/")) for name in names if root]
    anywhere = [_by_name(root).get(name.casefold(), "") for name in names if root and "/" not in name]
    return [place for place in (*beside, *below, *anywhere) if place]


def _names(target: str) -> list[str]:
    """The paths that `target` may mean: as written, decoded like an address, and that without query and fragment."""
    written = target.replace("\\", "/")
    decoded = unquote(written)
    bare = unquote(written.partition("?")[0].partition("#")[0])
    return [name for name in dict.fromkeys((written, decoded, bare)) if "\0" not in name]


@lru_cache(maxsize=4)
def _by_name(root: str) -> dict[str, str]:
    """Picture files below `root` by their names without case; of several the one that lies least deep.

    A process that reads notes lives for one run of `add`, so this is looked up once for each.
    """
    found: dict[str, str] = {}
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in names:
            if media.media_type_of_name(name) in media.IMAGES:
                path = str(Path(folder) / name)
                other = found.get(name.casefold())
                if other is None or path.count(os.sep) < other.count(os.sep):
                    found[name.casefold()] = path
        if len(found) > _MOST_NAMES:
            break
    return found


def _warnings(left_out: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    if not left_out:
        return ()
    named = ", ".join(f"{target!r} ({reason})" for target, reason in left_out[:_NAMED])
    more = f", and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
    return (f"pictures that it shows were left out: {named}{more}",)
