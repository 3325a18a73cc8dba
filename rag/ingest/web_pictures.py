"""Which pictures of a saved web page belong to its article, and where in it. Nothing is opened here."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from lxml import etree

from rag.ingest.note_pictures import MOST_PICTURES, as_target, is_local
from rag.ingest.surroundings import words_around
from rag.records import Picture
from rag.text import one_line

_BLOCKS = {"blockquote", "dd", "dt", "figcaption", "h1", "h2", "h3", "h4", "h5", "h6", "li", "p", "pre", "td", "th"}
_COMPARED = 40  # characters at the beginning of a block by which it is found again in the article
_PARTS = 20  # pieces of text of a block, such as its links, from which its beginning is taken
_REACH = 100_000  # characters behind the last block found in which the next one is looked for
_FEWEST = 12  # characters of a block that is looked for: "Home" stands in many places
_DEEPEST_FIGURE = 4  # elements between a picture and the figure that holds its caption


def article_pictures(tree: Any, text: str) -> tuple[Picture, ...]:
    """The pictures in files of their own next to which a block stands that is part of `text`, in order.

    `path` is the target as written, as `rag.ingest.shown` wants it.
    """
    if not any(map(_is_picture, tree.iter("img"))):
        return ()
    found: list[tuple[str, str, int]] = []
    waiting: list[Any] = []  # pictures behind a block that is not part of the article: the next one decides
    at, inside = 0, False
    for place in _places(tree, text):
        if not isinstance(place, int):
            if inside:
                found.append(_described(place, at))
            else:
                waiting.append(place)
            continue
        inside = place >= 0
        if inside:
            found += [_described(element, at) for element in waiting]
            at = max(at, place)
        waiting.clear()
    return tuple(
        as_target(number, target, caption, place, words_around(text, place, place, 0, len(text)))
        for number, (target, caption, place) in enumerate(found[:MOST_PICTURES], 1)
    )


def _places(tree: Any, text: str) -> Iterator[Any]:
    """In the order of the page: each local picture's element, and for each block where it ends in `text`, or -1."""
    searched = 0
    for _, element in etree.iterwalk(tree, events=("start",)):
        if element.tag == "img":
            if _is_picture(element):
                yield element
        elif element.tag in _BLOCKS:
            words = one_line("".join(islice(element.itertext(), _PARTS)))
            if len(words) < _FEWEST:
                continue
            start = text.find(words[:_COMPARED], searched, searched + _REACH)
            searched = max(searched, start)
            paragraph = text.find("\n\n", start) if start >= 0 else -1
            yield -1 if start < 0 else paragraph if paragraph >= 0 else len(text)


def _is_picture(element: Any) -> bool:
    return is_local((element.get("src") or "").strip())


def _described(element: Any, at: int) -> tuple[str, str, int]:
    words = (element.get("alt") or "", element.get("title") or "", _figure_caption(element))
    caption = " ".join(dict.fromkeys(filter(None, map(one_line, words))))
    return element.get("src").strip(), caption, at


def _figure_caption(element: Any) -> str:
    for _, above in zip(range(_DEEPEST_FIGURE), element.iterancestors(), strict=False):
        if above.tag == "figure":
            caption = above.find(".//figcaption")
            return "" if caption is None else "".join(caption.itertext())
    return ""
