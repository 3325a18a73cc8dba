"""The page of one picture: large, with the words in it, what is known about it, and the document it came from."""

from rag.records import Document, Picture
from ui.controls import link_button
from ui.figures import Span, framed, name_of
from ui.html import Html, join, tag
from ui.icons import KIND_NAMES, kind_icon
from ui.links import alike_address, is_like, original_address, place_address, view_address
from ui.passage import pieces
from ui.words import count, day, file_name, folder

_WIDTH, _HEIGHT = 1120, 660  # of the frame, so that the picture and its words fit a window of usual size
_FIELDS = 24
_PLACES = {"pdf": "Figure in", "note": "Shown in the note", "mail": "Shown in the mail", "web": "Shown on the page"}


def render_picture(document: Document, picture: Picture, passage: Span | None = None, chunk: str = "") -> Html:
    """The body of the page. `passage` is marked where it stands in the picture; `chunk` leads on to others like it."""
    return tag(
        "article",
        _head(document, picture),
        tag(
            "div",
            tag("div", _toggle(picture), framed(document, picture, passage, _WIDTH, _HEIGHT), class_="shown"),
            tag(
                "div",
                _caption(document, picture),
                _actions(document, picture, chunk),
                _words(document, picture, passage),
                _facts(document, picture),
                class_="beside",
            ),
            class_="spread",
        ),
        class_="document one-picture",
    )


def whence(document: Document, picture: Picture) -> Html:
    """Where the picture stands: its own file, or its place in a document."""
    if document.kind == "image":
        where = f"{folder(document.path)}/{file_name(document.path)}"
        several = f", picture {picture.number} of {len(document.pictures)}" if len(document.pictures) > 1 else ""
        return tag("span", f"{where}{several}")
    place = f"Figure on page {picture.page} of" if picture.page else _PLACES.get(document.kind, "Shown in")
    address = place_address(document.id, picture.number, picture.at)
    return tag("span", f"{place} ", tag("a", tag("bdi", document.title), href=address))


def _head(document: Document, picture: Picture) -> Html:
    return tag(
        "header",
        tag("p", kind_icon("image"), whence(document, picture), tag("span", day(document.date))),
        tag("h1", name_of(document, picture), dir="auto"),
    )


def _toggle(picture: Picture) -> Html | None:
    """Shows or hides the marks without any script: the style sheet looks at the box."""
    if not picture.lines:
        return None
    words = f"Mark the words in it ({count(len(picture.lines), 'line')})"
    box = tag("input", type="checkbox", id="marks", checked=True, class_="marks-toggle")
    return join([box, tag("label", words, for_="marks", class_="marks-label")])


def _caption(document: Document, picture: Picture) -> Html | None:
    caption = picture.caption.strip()
    return (
        tag("p", caption, class_="caption", dir="auto") if caption and caption != name_of(document, picture) else None
    )


def _actions(document: Document, picture: Picture, chunk: str) -> Html:
    apart = {"target": "_blank", "rel": "noopener"}
    large = view_address(document.id, picture.number, picture.digest)
    original = "Open the original" if document.kind == "image" else f"Open the {KIND_NAMES[document.kind]}"
    return tag(
        "p",
        _alike(document, picture, chunk),
        link_button("Open large", large, drawing="image", look="plain", **apart),
        link_button(original, original_address(document.id, picture.page), drawing="open", look="plain", **apart),
        class_="actions",
    )


def _alike(document: Document, picture: Picture, chunk: str) -> Html | None:
    """The way to others like it: by its chunk where that is known, by its document where it is all of that."""
    alone = document.id if document.kind == "image" and len(document.pictures) == 1 else ""
    like = chunk if is_like(chunk) else alone
    if not like:
        return None
    address = alike_address(like, document.id, picture.number)
    return link_button("More like this", address, drawing="alike", look="plain", target="_top")


def _words(document: Document, picture: Picture, passage: Span | None) -> Html:
    if not document.text[picture.start : picture.end].strip():
        return tag("p", "No words were read in it.", class_="aside")
    said = tag("div", *pieces(document, picture.start, picture.end, passage), class_="text read", dir="auto")
    return tag("section", tag("h2", "Words in it"), said)


def _facts(document: Document, picture: Picture) -> Html:
    facts = [("Size", f"{picture.width:,} × {picture.height:,} pixels")]
    if picture.path:
        facts.append(("File", file_name(picture.path)))
    if document.kind == "image":
        facts += [(name, value) for name, value in document.fields[:_FIELDS] if value.strip() and name != "Size"]
        facts += [("Tags", ", ".join(document.tags))] if document.tags else []
    around = picture.around.strip()
    return join(
        [
            tag("section", tag("h2", "Around it"), tag("p", around, class_="around", dir="auto")) if around else None,
            tag(
                "dl", *(join([tag("dt", name), tag("dd", value, dir="auto")]) for name, value in facts), class_="fields"
            ),
        ]
    )
