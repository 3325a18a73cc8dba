"""A picture among the sources of an answer or the results of a search: what it shows and where it stands."""

from rag.records import Chunk
from rag.text import one_line
from ui.controls import link_button
from ui.html import Html, join, tag
from ui.links import alike_address, place_address, preview_address
from ui.words import file_name, folder

_TITLE = 90
_WIDTH, _HEIGHT = 320, 240  # of the frame, which the picture is fitted into: nothing moves when it comes


def shows_picture(chunk: Chunk) -> bool:
    """Whether a chunk is a picture, or the words that stand in one."""
    return chunk.picture is not None


def title_of(chunk: Chunk) -> str:
    """What a chunk is called: a picture by its caption where it has one, everything else by its document's title."""
    if not shows_picture(chunk):
        return chunk.title
    alone = chunk.title if chunk.kind == "image" else f"Picture in {chunk.title}"
    return one_line(chunk.caption, _TITLE) or alone


def thumbnail(chunk: Chunk, address: str) -> Html | None:
    """The picture, small, leading to the large one; screen readers hear its name, never what was read in it."""
    if chunk.picture is None:
        return None
    picture = tag(
        "img",
        src=preview_address(chunk.document_id, chunk.picture, chunk.digest),
        alt=title_of(chunk),
        width=_WIDTH,
        height=_HEIGHT,
        loading="lazy",
        decoding="async",
    )
    return tag("a", picture, href=address, class_="thumbnail", data_open=True, data_view=True)


def whence(chunk: Chunk) -> Html:
    """`figure on p. 3 of Boiler manual`, `shown in the note Garden`, or folder and file of a picture of its own."""
    if chunk.kind == "image" or chunk.picture is None:
        page = f", p. {chunk.page}" if chunk.page is not None else ""
        return tag("span", f"{folder(chunk.path)}/{file_name(chunk.path)}{page}")
    place = f"figure on p. {chunk.page} of " if chunk.page is not None else f"{_SHOWN_IN.get(chunk.kind, 'shown in')} "
    address = place_address(chunk.document_id, chunk.picture, chunk.start)
    return tag("span", place, tag("a", tag("bdi", chunk.title), href=address, data_open=True))


_SHOWN_IN = {"note": "shown in the note", "mail": "shown in the mail", "web": "shown on the page", "pdf": "figure in"}


def also_in(places: tuple[Chunk, ...]) -> Html | None:
    """The other places of the very same picture."""
    if not places:
        return None
    return tag("p", "The same picture: ", join((whence(chunk) for chunk in places), ", "), class_="aside")


def alike(chunk: Chunk) -> Html | None:
    """The way to more pictures like this one."""
    if chunk.modality != "image" or chunk.picture is None:
        return None
    return link_button("More like this", alike_address(chunk.id, chunk.document_id, chunk.picture), drawing="alike")
