"""HTML articles: the main text without menus, banners, comments and footers."""

import codecs
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lxml import etree, html

from rag.ingest import media
from rag.ingest.decode import decode
from rag.ingest.document import make_document, only_unreadable, parsed_date
from rag.ingest.web_pictures import article_pictures
from rag.records import Document, Heading, Link, Source
from rag.text import encodable, one_line

_MOST_LINKS = 500
_LARGEST_ARTICLE = 5_000_000  # characters of HTML; of anything larger the visible text is taken as it is
_DEEPEST = 150  # elements inside each other; the extractor calls itself once for each
_HIDDEN = {"script", "style", "noscript", "template", "head", "svg", "iframe", "object", "select", "textarea"}
_BLOCKS = {
    *("address", "article", "aside", "blockquote", "body", "br", "caption", "dd", "details", "div", "dl", "dt"),
    *("fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr"),
    *("html", "legend", "li", "main", "nav", "ol", "p", "pre", "section", "summary", "table", "tr", "ul"),
}
_HEADING = re.compile(r"h([1-6])")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w-]{2,30})""", re.IGNORECASE)
_WEB_NAMES = {"iso8859-1": "cp1252", "ascii": "cp1252"}  # what browsers take these names for (encoding.spec.whatwg.org)

# They log each page that they find no article or date in.
logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
logging.getLogger("htmldate").setLevel(logging.CRITICAL)


class WebReader:
    """HTML pages; kind "web". Where no article is found, all visible text is taken.

    Its pictures name only their targets: `rag.ingest.shown` opens them.
    """

    media_types = frozenset({media.HTML, "application/xhtml+xml"})

    @only_unreadable
    def read(self, source: Source) -> Document:
        markup, guessed = _decoded(source)
        tree, too_deep = _tree(markup)
        if tree is None:
            return make_document(source, "web", "", warnings=("it has no text",))
        article = _article(markup) if len(markup) <= _LARGEST_ARTICLE and _depth(tree) <= _DEEPEST else None
        text, headings = _joined(_article_blocks(article.body) if article else ())
        if not text:
            text, headings = _joined(_visible_blocks(tree))
        return make_document(
            source,
            "web",
            text,
            (article.title if article else None) or tree.findtext(".//title"),
            headings=headings,
            links=_links(tree, text),
            pictures=article_pictures(tree, text),
            date=parsed_date(article.date) if article and article.date else None,
            fields=_fields(article),
            warnings=tuple(filter(None, (guessed, too_deep, None if text else "it has no text"))),
        )


def visible_text(markup: str) -> str:
    """All text that a browser would show, block by block, with blank lines between them."""
    tree, _ = _tree(markup)
    return "" if tree is None else _joined(_visible_blocks(tree))[0]


@dataclass(frozen=True, slots=True)
class _Block:
    """A paragraph, list item or table; `level` is 1..6 for a heading, else 0."""

    text: str
    level: int = 0


def _decoded(source: Source) -> tuple[str, str | None]:
    """UTF-8 if it is, else the charset that the page names, else a guess."""
    named = _CHARSET.search(source.data[:4096])
    if named and not _is_utf8(source.data):
        try:
            name = codecs.lookup(named[1].decode("ascii")).name
            return encodable(source.data.decode(_WEB_NAMES.get(name, name))), None
        except (LookupError, UnicodeDecodeError):
            pass  # a wrong name: guess
    return decode(source.data, source.path)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _tree(markup: str) -> tuple[Any, str | None]:
    """The root element or None, and a warning or None. Any markup is parsed; no entity or link is followed."""
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True, huge_tree=True)
    try:
        tree = html.document_fromstring(markup.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:
        tree = None
    too_deep = any("depth" in error.message for error in parser.error_log)
    return tree, "it is nested too deeply to be read to its end" if too_deep else None


def _depth(tree: Any) -> int:
    depth = deepest = 0
    for event, _ in etree.iterwalk(tree, events=("start", "end")):
        depth += 1 if event == "start" else -1
        deepest = max(deepest, depth)
    return deepest


def _article(markup: str) -> Any:
    """The extractor's own defaults are those of its published F1; readers' comments are not part of an article."""
    import trafilatura  # takes a second to load, which a process that meets no web page is spared

    return trafilatura.bare_extraction(markup, with_metadata=True, include_comments=False)


def _article_blocks(element: Any) -> Iterator[_Block]:
    """The blocks of an extracted body, whose tags are those of TEI: head, p, list, item, table, row, cell, lb."""
    if element.tag == "head":
        level = _HEADING.fullmatch(element.get("rend") or "")
        yield _Block(_flat(element), int(level[1]) if level else 2)
    elif element.tag == "table":
        rows = (" | ".join(filter(None, map(_flat, row.iter("cell")))) for row in element.iter("row"))
        yield _Block("\n".join(filter(None, rows)))
    elif element.tag == "list":
        yield _Block("\n".join(f"- {_flat(item)}" for item in element.iter("item") if _flat(item)))
    elif element.tag == "code" or not len(element) or element.tag == "p":
        yield _Block(_with_breaks(element))
    else:
        yield _Block(element.text or "")
        for child in element:
            yield from _article_blocks(child)
            yield _Block(one_line(child.tail or ""))


def _flat(element: Any) -> str:
    return one_line(" ".join(element.itertext()))


def _with_breaks(element: Any) -> str:
    for line_break in element.iter("lb"):
        line_break.tail = "\n" + (line_break.tail or "")
    return "".join(element.itertext())


def _visible_blocks(tree: Any) -> Iterator[_Block]:
    words: list[str] = []
    level = 0
    walker = etree.iterwalk(tree, events=("start", "end"))
    for event, element in walker:
        tag = element.tag
        hidden = event == "start" and (tag in _HIDDEN or element.get("hidden") is not None)
        if hidden:
            walker.skip_subtree()
        if tag in _BLOCKS:
            yield _Block(one_line("".join(words)), level)
            words.clear()
            heading = _HEADING.fullmatch(tag)
            level = int(heading[1]) if heading and event == "start" else 0
        elif tag in ("td", "th"):
            words.append(" ")
        if event == "end":
            words.append(element.tail or "")
        elif not hidden:
            words.append(element.text or "")
    yield _Block(one_line("".join(words)))


def _joined(blocks: Iterable[_Block]) -> tuple[str, tuple[Heading, ...]]:
    """The blocks with blank lines between them, and where the headings among them begin."""
    parts: list[str] = []
    headings: list[Heading] = []
    at = 0
    for block in blocks:
        text = encodable(block.text).strip()
        if not text:
            continue
        if block.level:
            headings.append(Heading(block.level, text, at))
        parts.append(text)
        at += len(text) + 2
    return "\n\n".join(parts), tuple(headings)


def _links(tree: Any, text: str) -> tuple[Link, ...]:
    """The links whose words are part of the text, so that those of menus stay out."""
    links: dict[Link, None] = {}
    for anchor in tree.iterfind(".//a[@href]"):
        words, target = one_line("".join(anchor.itertext())), anchor.get("href").strip()
        if words and target and not target.startswith(("#", "javascript:", "data:")) and words in text:
            links[Link(words, encodable(target))] = None
        if len(links) >= _MOST_LINKS:
            break
    return tuple(links)


def _fields(article: Any) -> tuple[tuple[str, str], ...]:
    names = ("author", "sitename", "url", "description", "date")
    values = ((name, getattr(article, name, None)) for name in names)
    return tuple((name, one_line(encodable(value), 500)) for name, value in values if value)
