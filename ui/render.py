"""What the model wrote, as safe HTML: a little Markdown, citation chips, nothing that loads or leads elsewhere.

Raw HTML, images, links, link definitions and bare addresses are switched off in the parser itself, so a
document that talks the model into writing them gets its own words back as text.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from rag.records import GroundedSentence, Passage
from ui.html import Html, join, tag
from ui.links import source_address
from ui.picture_card import title_of
from ui.support import marked, marked_source, without_signs

_OFF = ("html_block", "html_inline", "image", "link", "autolink", "reference", "entity", "hr")
_MARKER = re.compile(r"\[(\d{1,3})\]")


def render_answer(
    text: str, passages: Mapping[int, Passage], sentences: Sequence[GroundedSentence] = (), name: str = "answer"
) -> Html:
    """`text` with `[n]` as chips that open passage n; a marker without a passage stays as it was written.

    Those of its `sentences` that the sources do not bear out are marked; `name` is the answer's own on the page.
    """
    source, doubtful = marked_source(without_signs(text), sentences)
    return marked(_parser().render(source, {"passages": passages}), doubtful, name)


def render_words(text: str) -> Html:
    """Plain text in paragraphs, for what is shown as it was written."""
    return join(tag("p", part.strip()) for part in re.split(r"\n\s*\n", text) if part.strip())


def chip(passage: Passage) -> Html:
    """The numbered chip of a citation: hovering lights the source's card, clicking opens its place."""
    number = passage.number
    return tag(
        "a",
        number,
        class_="cite",
        href=source_address(passage),
        data_number=number,
        data_chunk=passage.hit.chunk.id,
        data_open=True,
        aria_label=f"Source {number}: {title_of(passage.hit.chunk)}",
    )


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "typographer": False}).disable(list(_OFF))
    parser.add_render_rule("text", _text)
    parser.add_render_rule("heading_open", _heading)
    parser.add_render_rule("heading_close", _heading)
    return parser


def _text(_: RendererHTML, tokens: list[Token], index: int, __: OptionsDict, env: EnvType) -> str:
    passages: Mapping[int, Passage] = env["passages"]
    parts: list[object] = []
    end = 0
    content = tokens[index].content
    for marker in _MARKER.finditer(content):
        passage = passages.get(int(marker[1]))
        if passage is None:
            continue
        parts += [content[end : marker.start()].rstrip(" "), chip(passage)]
        end = marker.end()
    return join([*parts, content[end:]])


def _heading(_: RendererHTML, tokens: list[Token], index: int, __: OptionsDict, ___: EnvType) -> str:
    """Headings of an answer are all of one size: the page has its own."""
    return "<h4>" if tokens[index].nesting == 1 else "</h4>\n"
