"""The model's text made safe and tidy as it streams: no images, links or HTML, and every citation marker alike.

What a model writes may repeat what a document told it to write. So nothing in an answer may load, link to or run
anything: links keep their words and lose their targets, addresses lose the scheme that would make them links, tags are
shown as text, and characters that steer a terminal or are not seen are left out. Markers such as `[1, 2]`, `[1-3]`,
`【1】` and `[source 2]` become `[1][2]`; markers to passages that do not exist are removed and counted.
"""

import re

from rag.text import visible

# A link or image: words of one line, then a target. Both limits bound what is held back while streaming.
_WORDS = r"(?:\\.|[^\[\]\\\n]){0,200}"
_TARGET = r"(?:\\.|[^()\\\n]|\([^()\n]{0,80}\)){0,400}"
_LINK = re.compile(rf"!?\[({_WORDS})\]\({_TARGET}\)")
_OPEN_LINK = re.compile(rf"(?<!\s)\s*!?\[{_WORDS}(?:\](?:\({_TARGET}(?:\([^()\n]{{0,80}})?)?)?\Z")
# Rewritten without joining what was apart: removing "http://" twice from "hthttp://tp://x" must leave no scheme.
_SCHEME = re.compile(r"(?:[a-z0-9+.-]{0,40}:/{2,})+", re.IGNORECASE)
_WWW = re.compile(r"(?:w{3,}\.)+", re.IGNORECASE)
_TAG = re.compile(r"<(?=[a-z/!?])", re.IGNORECASE)
_LINK_SYNTAX = re.compile(r"\](?=[(:])")  # what is left of a link or of a reference's definition
_IMAGE_SYNTAX = re.compile(r"!+(?=\[\D)")

_NUMBER = r"(?:sources?|passages?|references?|refs?\.?|no\.?|#)?\s{0,3}\d{1,3}(?:†[^\[\]【】\n]{0,40})?"
_LIST = rf"\s{{0,3}}{_NUMBER}(?:\s{{0,3}}(?:,|;|&|and|-|–|—)\s{{0,3}}{_NUMBER})*\s{{0,3}}"
_MARKER = re.compile(rf"((?<!\s)\s*|)(?:\[({_LIST})\]|【({_LIST})】)", re.IGNORECASE)
_OPEN_MARKER = re.compile(r"(?<!\s)\s*【[^】\n]{0,200}\Z")
_RANGE = re.compile(r"(\d{1,3})(?:\s*[-–—]\s*\D{0,12}?(\d{1,3}))?")
_LEADING = re.compile(r"^\s*(?:(?:[-*+>]|#{1,6})\s+)+")
_WIKILINK = re.compile(r"\[\[([^\[\]|]{1,200})(?:\|([^\[\]|]{1,200}))?\]\]")
_EMPHASIS = re.compile(r"(\*\*|__|`)(?=\S)(.{1,400}?)(?<=\S)\1")
_BARS = re.compile(r"\s*\|(?:[\s:|-]*\|)*\s*")
_BACKTICKS = re.compile(r"(`+|\n)")
_DAGGER = re.compile(r"†[^,;]*")
# Nothing is decided within a run of these without spaces: it may be half an address, a tag or a marker.
_UNDECIDED = "".join(map(chr, range(0x21, 0x7F))) + "†【】"
_MOST_HELD = 2000  # characters held back; a longer word is broken, for nobody reads it


class Cleaner:
    """Cleans text that comes in pieces; the result does not depend on where the pieces were cut.

    `count` is the number of passages. `removed` counts the markers that pointed to none.
    """

    def __init__(self, count: int) -> None:
        self.removed = 0
        self._count = count
        self._held = ""
        self._code = ""  # the backticks that opened the code we are in
        self._last: int | None = None  # the marker that the text so far ends with

    def feed(self, piece: str) -> str:
        """What can be shown after `piece`; the rest is held back until it is whole."""
        self._held += visible(piece)
        cut = len(self._held.rstrip(_UNDECIDED).rstrip())
        for unclosed in (_OPEN_LINK, _OPEN_MARKER):
            if match := unclosed.search(self._held, 0, cut):
                cut = match.start()
        if len(self._held) - cut > _MOST_HELD:
            self._held += " "  # or what follows could join what was shown to an address
            cut = len(self._held)
        ready, self._held = self._held[:cut], self._held[cut:]
        return self._cleaned(ready)

    def finish(self) -> str:
        """What was held back to the end."""
        ready, self._held = self._held, ""
        return self._cleaned(ready)

    def _cleaned(self, text: str) -> str:
        return "".join(self._marked(part) for part in _BACKTICKS.split(harmless(text)) if part)

    def _marked(self, part: str) -> str:
        """`part` with its markers made alike, unless it is code."""
        if part.startswith("`"):
            if not self._code:
                self._code = part
            elif part == self._code:
                self._code = ""
        elif part == "\n" and len(self._code) < 3:
            self._code = ""  # a lone backtick must not hide the markers of what follows
        elif not self._code:
            return self._with_markers(part)
        self._last = None
        return part

    def _with_markers(self, text: str) -> str:
        written, at = "", 0
        for match in _MARKER.finditer(text):
            if text[at : match.start()]:
                self._last = None
            written += text[at : match.start()]
            numbers = self._numbers(match[2] or match[3])
            markers = ""
            for number in numbers:
                markers += f"[{number}]" if number != self._last else ""
                self._last = number
            written += match[1] + markers if markers else ""
            at = match.end()
        if text[at:]:
            self._last = None
        return written + text[at:]

    def _numbers(self, written: str) -> list[int]:
        """The passages that a marker points to; `2-4` is three."""
        found: list[int] = []
        for match in _RANGE.finditer(_DAGGER.sub("", written)):
            first, last = int(match[1]), int(match[2] or match[1])
            found += [n for n in range(max(first, 1), min(last, self._count) + 1) if n not in found]
            self.removed += (not 1 <= first <= self._count) + (match[2] is not None and not 1 <= last <= self._count)
        return found


def clean(text: str, count: int) -> tuple[str, int]:
    """Whole text cleaned, and how many markers to nothing were removed from it."""
    cleaner = Cleaner(count)
    return cleaner.feed(text) + cleaner.finish(), cleaner.removed


def harmless(text: str) -> str:
    """`text` without anything that Markdown or HTML would load, link or run; the words stay."""
    text = _LINK.sub(lambda m: f"[{m[1]}]" if m[1].strip().isdigit() else m[1], text)
    text = _WWW.sub("", _SCHEME.sub("", text))
    text = _TAG.sub("‹", text)
    return _LINK_SYNTAX.sub("] ", _IMAGE_SYNTAX.sub("", text))


def unbracketed(text: str) -> str:
    """`text` with all that could be taken for a marker, whatever its form, in round brackets: `(12)`, `(source 3)`."""
    return _MARKER.sub(lambda marker: f"{marker[1]}({marker[2] or marker[3]})", text)


def unmarked(line: str) -> str:
    """A line of Markdown as it reads: without list and heading marks, emphasis, table bars and wikilink brackets."""
    line = _LEADING.sub("", line)
    line = _WIKILINK.sub(lambda link: link[2] or link[1], line)
    line = _EMPHASIS.sub(r"\2", line)
    return _BARS.sub(" · ", line.strip("| "))
