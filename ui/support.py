"""How the sentences of an answer stand against its sources: marks in the text with their reasons, and their counts.

A supported sentence is plain, with its citation. The others are underlined in two ways, and a word after each says how
it stands; pointing at that word, tabbing to it or tapping it tells why.
"""

import re
from collections.abc import Sequence

from rag.records import GroundedSentence, Support
from ui.html import Html, join, tag
from ui.words import count, sentence

# Unicode's noncharacters: no text has them, and neither Markdown nor escaping changes them.
_BEGIN, _END = "\ufdd0", "\ufdd1"
_PIECE = re.compile(f"(<[^>]*>|{_BEGIN}|{_END})")
_BEFORE = re.compile(r"(?:[-*+•>|]|\d{1,3}[.)]|#{1,6})[ \t]+|[*_]+")  # of a line or of emphasis: they must stay first
_BLOCK = re.compile(r"```|~~~|\n[=-]+\Z")  # must stay at the beginning or the end of its line
_WORDS: dict[Support, str] = {"partly": "partly", "unsupported": "unsupported"}
_SPOKEN: dict[Support, str] = {
    "partly": "Only partly supported by the sources",
    "unsupported": "Not supported by the sources",
}


def marked_source(text: str, sentences: Sequence[GroundedSentence]) -> tuple[str, tuple[GroundedSentence, ...]]:
    """Markdown with signs around the sentences that are not supported, and those sentences, in their order.

    A sentence that is, or ends in, a block of code or a heading's rule is left as it is.
    """
    doubtful = [s for s in sentences if s.support != "supported" and not _BLOCK.search(text[s.start : s.end])]
    parts, at, kept = [], 0, []
    for each in doubtful:
        start, end = _inside(text, each)
        if at <= start < end:
            parts += [text[at:start], _BEGIN, text[start:end], _END]
            at = end
            kept.append(each)
    return "".join([*parts, text[at:]]), tuple(kept)


def without_signs(text: str) -> str:
    """`text` in which no sign of ours can stand; of the same length."""
    return text.replace(_BEGIN, "\ufffd").replace(_END, "\ufffd")


def marked(html: str, sentences: Sequence[GroundedSentence], name: str) -> Html:
    """HTML rendered from `marked_source`, with the signs made into marks. Chips of citations stay as they are.

    `name` is the answer's own on its page: the ids of its reasons begin with it.
    """
    waiting = iter(enumerate(sentences))
    number, current = 0, None
    in_link = False
    parts: list[str] = []
    for piece in filter(None, _PIECE.split(html)):
        if piece == _BEGIN:
            number, current = next(waiting, (number, None))
        elif piece == _END:
            parts += [_flag(current, f"{name}-{number}")] if current else []
            current = None
        elif piece.startswith("<"):
            in_link = piece.startswith("<a ") or (in_link and piece != "</a>")
            parts.append(piece.replace(_BEGIN, "").replace(_END, ""))
        elif current and piece.strip() and not in_link:
            parts.append(tag("span", Html(piece), class_=f"doubt {current.support}"))
        else:
            parts.append(piece)
    return Html("".join(parts))


def render_counts(sentences: Sequence[GroundedSentence]) -> Html | None:
    """`3 sentences, 1 not supported by the sources`; nothing where none was judged."""
    if not sentences:
        return None
    found = {support: sum(s.support == support for s in sentences) for support in ("partly", "unsupported")}
    words = [count(len(sentences), "sentence")]
    words += [f"{found['partly']} only partly supported"] if found["partly"] else []
    words += [f"{found['unsupported']} not supported by the sources"] if found["unsupported"] else []
    if len(words) == 1:
        words.append("supported by the sources" if len(sentences) == 1 else "all supported by the sources")
    return tag("p", ", ".join(words), class_="support" + (" doubtful" if found["unsupported"] else ""))


def _inside(text: str, each: GroundedSentence) -> tuple[int, int]:
    """The span of a sentence without what Markdown must find at its beginning and at its end."""
    start, end = each.start, min(each.end, len(text))
    while before := _BEFORE.match(text, start, end):
        start = before.end()
    while end > start and text[end - 1] in "*_":
        end -= 1
    return start, end


def _flag(each: GroundedSentence, name: str) -> Html:
    """The word after a sentence, and the reasons that it shows."""
    spoken = _SPOKEN[each.support]
    reasons = [sentence(reason) for reason in each.reasons] or [f"{spoken}."]
    button = tag("button", _WORDS[each.support], type="button", class_="flag", aria_label=spoken, aria_describedby=name)
    shown = tag("span", join(reasons, " "), class_="why", id=name, role="tooltip")
    return tag("span", button, shown, class_=f"flagged {each.support}")
