"""Pictures that are asked with: taken in when they are pasted or dropped, shown as tiles, found again by digest."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from rag.errors import UnreadableFile
from rag.text import one_line
from ui.controls import icon_button, problem
from ui.html import Html, tag
from ui.links import asked_address, is_digest, preview_address

Where = Literal["chat", "search"]

_REMEMBERED = 64  # originals of the latest ones; of older ones the kept WebP is asked with
_TILE = 72  # pixels of a tile's height
_CAPTION = 60


class Keeper(Protocol):
    """The two calls of the library that this makes."""

    def keep_picture(self, data: bytes) -> str: ...
    def kept_picture(self, digest: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A picture that is asked with: its name among the kept ones, and its bytes."""

    digest: str
    data: bytes = field(repr=False)


class AskedPictures:
    """Takes pictures from the folder of uploads only. Thread-safe."""

    def __init__(self, library: Keeper, uploads: Path) -> None:
        self._library = library
        self._uploads = uploads
        self._files: dict[str, Path] = {}
        self._lock = threading.Lock()

    def take(self, path: str) -> str:
        """Keep the picture that the browser uploaded to `path`; gives its digest.

        Raises:
            UnreadableFile: it is not there, is no picture, is damaged or too large.
        """
        file = Path(path).resolve()
        if not file.is_relative_to(self._uploads.resolve()) or not file.is_file():
            raise UnreadableFile(file.name, "it was not received; paste or drop it again")
        try:
            digest = self._library.keep_picture(file.read_bytes())
        except UnreadableFile as error:
            raise UnreadableFile(file.name, error.reason) from error
        with self._lock:
            self._files[digest] = file
            while len(self._files) > _REMEMBERED:
                del self._files[next(iter(self._files))]
        return digest

    def get(self, digest: str) -> Asked | None:
        """The picture of that digest, as it was given if that is still there; None for no digest.

        Raises:
            RagError: it is not kept any more.
        """
        if not is_digest(digest):
            return None
        with self._lock:
            file = self._files.get(digest)
        try:
            data = file.read_bytes() if file else self._library.kept_picture(digest)
        except FileNotFoundError:
            data = self._library.kept_picture(digest)
        return Asked(digest, data)


# --- tiles -------------------------------------------------------------------------------------------------------


def render_asked(digest: str, where: Where) -> Html:
    """The picture that the next question or search goes with, and a way to leave it out."""
    words = "Ask with this picture" if where == "chat" else "Searching with this picture"
    return _tile(asked_address(digest), words, where, data_picture=digest)


def render_alike(document: str, number: int, title: str, like: str) -> Html:
    """The picture of the library to which others are looked for."""
    words = f"More like “{one_line(title, _CAPTION)}”"
    return _tile(preview_address(document, number), words, "search", data_like=like)


def render_refused(words: str, where: Where) -> Html:
    """Why a picture cannot be asked with."""
    return tag("div", problem(words), _leave(where, "Dismiss"), class_="refused")


def _tile(address: str, words: str, where: Where, **data: str) -> Html:
    picture = tag("img", src=address, alt="", height=_TILE, decoding="async")
    return tag(
        "figure",
        picture,
        tag("figcaption", words, dir="auto"),
        _leave(where, "Leave the picture out"),
        class_="tile",
        **data,
    )


def _leave(where: Where, label: str) -> Html:
    return icon_button("close", label, "detach", look="round", where=where)
