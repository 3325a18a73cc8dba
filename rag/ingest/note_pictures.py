"""Which pictures a Markdown note shows, where, and what it writes about them. Nothing is opened here."""

import html
import re
from collections.abc import Iterator, Sequence
from itertools import islice

from markdown_it.token import Token

from rag.ingest import media
from rag.ingest.surroundings import words_around
from rag.records import Picture
from rag.text import one_line

MOST_PICTURES = 500  # of one note
_LONGEST_CAPTION = 600  # characters
_EMBED = re.compile(r"!\[\[(?P<target>[^\[\]|#\n\\]+)(?:#[^\[\]|\n\\]*)?(?:\\?\|(?P<words>[^\[\]\n]*))?\]\]")
_TAG = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"""\s(?P<name>src|alt|title)\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'>]+))""",
    re.IGNORECASE,
)
_SIZE = re.compile(r"\|?\s*\d+(?:\s*x\s*\d+)?\s*$")  # "300" and "300x200", behind a bar: how large it is shown
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:|//", re.IGNORECASE)  # of one letter it is a Windows drive
_DESTINATION = re.compile(r"\([^)\n]*\)|\[[^\]\n]*\]")  # behind an image's alternative text
_MARKUP = re.compile(
    r"!\[\[[^\]\n]*\]\]|!\[[^\]\n]*\](?:\([^)\n]*\)|\[[^\]\n]*\])|<img\b[^>]*>"  # other pictures
    r"|(?m:^[ \t>]*(?:#{1,6}[ \t]+|(?:[-*+]|\d+[.)])[ \t]+)?)"  # marks of quotations, headings and lists
    r"|(?m:^[ \t]*\|[ \t:|-]+$)"  # the rule below a table's head
)


def shown_pictures(tokens: Sequence[Token], text: str) -> tuple[Picture, ...]:
    """The pictures in a parsed note in order, as `rag.ingest.shown` wants them: `path` is the target as written.

    What lies in the network or in the address itself (`data:`) is left out.
    """
    found = islice(_found(tokens, text), MOST_PICTURES)
    return tuple(
        as_target(number, target, caption, start, around(text, start, end))
        for number, (target, caption, start, end) in enumerate(found, 1)
    )


def as_target(number: int, target: str, caption: str, at: int, around: str) -> Picture:
    """A picture of which only the target is known; `rag.ingest.shown` finds the rest."""
    caption = one_line(caption, _LONGEST_CAPTION)
    return Picture(number, "", 0, 0, start=at, end=at, at=at, caption=caption, around=around, path=target)


def is_local(target: str) -> bool:
    """Whether `target` may be the path of a picture file."""
    name = target.partition("?")[0].partition("#")[0]
    return not _SCHEME.match(target) and media.media_type_of_name(name) in media.IMAGES


def around(text: str, start: int, end: int) -> str:
    """The words around the picture whose mark-up is `text[start:end]`, without that of other pictures."""
    near = text[max(start - 4000, 0) : start], text[end : end + 4000]
    before, after = (_MARKUP.sub(" ", part) for part in near)
    return words_around(before + after, len(before), len(before), 0, len(before) + len(after))


def _found(tokens: Sequence[Token], text: str) -> Iterator[tuple[str, str, int, int]]:
    """Target, caption, and where the mark-up begins and ends."""
    lines = [0, *(match.end() for match in re.finditer("\n", text)), len(text)]
    for token in tokens:
        if token.type not in ("inline", "html_block") or not token.map:
            continue
        at, last = lines[token.map[0]], lines[min(token.map[1], len(lines) - 1)]
        for written, target, caption in _in_block(token):
            start = text.find(written, at, last)
            if start >= 0:
                at = start + len(written)
                destination = _DESTINATION.match(text, at, last)
                at = destination.end() if destination else at
            if is_local(target):
                yield target, caption, max(start, lines[token.map[0]]), at


def _in_block(token: Token) -> Iterator[tuple[str, str, str]]:
    """How a picture is written (or its beginning), its target and its caption."""
    if token.type == "html_block":
        yield from _tags(token.content)
    for child in token.children or ():
        if child.type == "image":
            alt = "".join(each.content for each in child.children or ())
            words = (_SIZE.sub("", alt) if "|" in alt else alt, str(child.attrs.get("title", "")))
            yield f"![{child.content}]", str(child.attrs.get("src", "")), _caption(*words)
        elif child.type == "html_inline":
            yield from _tags(child.content)
        elif child.type == "text":
            for match in _EMBED.finditer(child.content):
                yield match[0], match["target"].strip(), _caption(_SIZE.sub("", match["words"] or ""))


def _tags(content: str) -> Iterator[tuple[str, str, str]]:
    for tag in _TAG.finditer(content):
        values = {
            match["name"].lower(): html.unescape(match["double"] or match["single"] or match["bare"] or "")
            for match in _ATTRIBUTE.finditer(tag[0])
        }
        yield tag[0], values.get("src", "").strip(), _caption(values.get("alt", ""), values.get("title", ""))


def _caption(*words: str) -> str:
    return " ".join(dict.fromkeys(filter(None, map(str.strip, words))))
