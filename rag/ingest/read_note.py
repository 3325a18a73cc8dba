"""Markdown notes and plain text: front matter, headings, links, tags and the pictures that a note shows."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rag.ingest import media
from rag.ingest.decode import decode
from rag.ingest.document import make_document, only_unreadable, parsed_date
from rag.ingest.note_pictures import shown_pictures
from rag.records import Document, Heading, Link, Source
from rag.text import one_line

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_LARGEST_PARSED = 4_000_000  # characters; the parser's tokens take some hundred times the memory of the text
_TOO_LARGE = "it is too long for its headings and links to be read; its text is indexed"
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?P<yaml>.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_LONGEST_FRONT_MATTER = 64_000  # characters
_WIKI_LINK = re.compile(r"\[\[(?P<target>[^\[\]|\n]+)(?:\|(?P<text>[^\[\]\n]*))?\]\]")
_TAG = re.compile(r"(?<![\w/#&])#(?P<tag>(?=[^\s#]*[^\W\d])[\w][\w/-]*)")
_SEPARATORS = re.compile(r"[,\s]+")
_DATE_KEYS = ("date", "created", "created_at", "published")


class NoteReader:
    """Markdown. The document's text is the source after its front matter; kind "note".

    Its pictures name only their targets: `rag.ingest.shown` opens them.
    """

    media_types = frozenset({media.MARKDOWN})

    @only_unreadable
    def read(self, source: Source) -> Document:
        text, warning = decode(source.data, source.path)
        front, text = _front_matter(text)
        too_large = _TOO_LARGE if len(text) > _LARGEST_PARSED else None
        tokens = [] if too_large else _MARKDOWN.parse(text)
        headings = _headings(tokens, text)
        links, tags = _links_and_tags(tokens)
        return make_document(
            source,
            "note",
            text,
            front.title or next((heading.text for heading in headings if heading.level == 1), None),
            headings=headings,
            links=links,
            tags=tuple(dict.fromkeys((*front.tags, *tags))),
            pictures=shown_pictures(tokens, text),
            date=front.date,
            fields=front.fields,
            warnings=tuple(filter(None, (warning, front.warning, too_large))),
        )


class TextReader:
    """Plain text as it is; kind "text"."""

    media_types = frozenset({media.PLAIN})

    @only_unreadable
    def read(self, source: Source) -> Document:
        text, warning = decode(source.data, source.path)
        return make_document(source, "text", text, warnings=(warning,) if warning else ())


@dataclass(frozen=True, slots=True)
class _FrontMatter:
    title: str = ""
    tags: tuple[str, ...] = ()
    date: datetime | None = None
    fields: tuple[tuple[str, str], ...] = ()
    warning: str | None = None


def _front_matter(text: str) -> tuple[_FrontMatter, str]:
    """The front matter and the text behind it; broken front matter stays in the text, with a warning."""
    match = _FRONT_MATTER.match(text, 0, _LONGEST_FRONT_MATTER)
    if not match:
        return _FrontMatter(), text
    try:
        # BaseLoader makes only strings, lists and mappings, so a date like 2025-13-45 or a huge number cannot fail.
        content = yaml.load(match["yaml"], Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, RecursionError) as exc:
        return _FrontMatter(warning=f"its front matter is not valid YAML: {one_line(str(exc), 120)}"), text
    if content and not isinstance(content, dict):
        return _FrontMatter(), text  # a thematic break and some prose
    return _from_mapping(content or {}), text[match.end() :]


def _from_mapping(content: dict[object, object]) -> _FrontMatter:
    values = {str(key).lower(): _strings(value) for key, value in content.items()}
    dates = (parsed_date(value) for key in _DATE_KEYS for value in values.get(key, ()))
    tags = (
        tag for key in ("tags", "tag", "keywords") for value in values.get(key, ()) for tag in _SEPARATORS.split(value)
    )
    return _FrontMatter(
        title=" ".join(values.get("title", ())),
        tags=tuple(dict.fromkeys(filter(None, (tag.lstrip("#") for tag in tags)))),
        date=next(filter(None, dates), None),
        fields=tuple((key, ", ".join(value)) for key, value in values.items() if value),
    )


def _strings(value: object) -> tuple[str, ...]:
    """The text in a YAML value: itself, or the strings of a list. Deeper nesting is left out."""
    items = value if isinstance(value, list) else [value]
    return tuple(one_line(item, 1000) for item in items if isinstance(item, str) and item.strip())


def _headings(tokens: list[Token], text: str) -> list[Heading]:
    starts = _line_starts(text)
    return [
        Heading(int(opening.tag[1:]), one_line(_plain(inline)), starts[opening.map[0]])
        for opening, inline in pairwise(tokens)
        if opening.type == "heading_open" and opening.level == 0 and opening.map and _plain(inline).strip()
    ]


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _plain(inline: Token) -> str:
    return "".join(
        child.content if child.content else " " * child.type.endswith("break") for child in inline.children or ()
    )


def _links_and_tags(tokens: list[Token]) -> tuple[tuple[Link, ...], tuple[str, ...]]:
    links: list[Link] = []
    tags: list[str] = []
    for token in tokens:
        if token.type == "inline":
            links.extend(_inline_links(token.children or []))
            tags.extend(_inline_tags(token.children or []))
    return tuple(dict.fromkeys(links)), tuple(dict.fromkeys(tags))


def _inline_links(children: list[Token]) -> Iterator[Link]:
    target = ""
    words: list[str] = []
    for child in children:
        if child.type == "link_open":
            target, words = str(child.attrs.get("href", "")), []
        elif child.type == "link_close":
            yield Link(one_line("".join(words)), target)
            target = ""
        elif target:
            words.append(child.content)
        elif child.type == "text":
            for match in _WIKI_LINK.finditer(child.content):
                page = match["target"].strip()
                yield Link((match["text"] or page).strip(), page)


def _inline_tags(children: list[Token]) -> Iterator[str]:
    for child in children:
        if child.type == "text":
            yield from (match["tag"] for match in _TAG.finditer(_WIKI_LINK.sub(" ", child.content)))
