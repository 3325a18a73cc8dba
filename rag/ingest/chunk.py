"""How a document is cut into the pieces that are embedded, found and cited."""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rag.ingest.sections import Section, paths_at, sections
from rag.records import Box, Chunk, Document, OcrLine, Picture, chunk_id
from rag.text import one_line
from rag.text import sentences as sentence_spans

Tokenize = Callable[[str], Sequence[tuple[int, int]]]
"""A text to the character spans of its tokens in order, special tokens left out."""

_SEGMENT = 50_000  # characters given to the tokenizer at a time, which bounds its memory
_LONG_TOKEN = 32  # characters; a longer token is a word the tokenizer gave up on, counted by its characters
_UNTOKENIZED = 8  # characters that count as one token where the tokenizer sees nothing, such as white space
_PARAGRAPH_END = re.compile(r"\n\s*\n")
_WHITE = re.compile(r"\s*")
_CLEAN = " \t\n\r"  # white space to every tokenizer
_LONGEST_CONTEXT = 300  # characters of a title or heading
_LONGEST_CAPTION = 2000  # characters of a picture's caption and of the words around it
_WORDS = re.compile(r"[^\W\d_]+")
# Names that cameras, phones and browsers give: IMG_2041, DSC00012, PXL_2024..., "Screenshot from ...", "image(3)".
_NAME_WORD = re.compile(
    r"(?!(?:img|image|images|dsc|dscn|dscf|dscx|pxl|mvimg|vid|pic|picture|photo|foto|bild|scan|screenshot|screen|shot|"
    r"bildschirmfoto|capture|clipboard|pasted|untitled|unnamed|download|whatsapp|signal|from|at|am|pm|copy|edited)$)"
    r".{3,}"
)
_SPACES = "\n \t\r\f\v\u00a0\u3000"


def chunk(document: Document, tokenize: Tokenize, max_tokens: int) -> list[Chunk]:
    """Cut `document` into chunks whose `embedding_text` has at most `max_tokens` (>= 8) tokens.

    A chunk lies on one page. It ends where its section ends if it can, else after a paragraph, a sentence, a line, a
    word, or, in a word that alone is too long, after any character. Chunks follow each other without overlap, begin
    and end without white space, and hold every other character of the document. A section too small to stand alone
    joins the next one. Title and headings are shortened where they would take more than a quarter of the tokens.
    Each picture is a chunk of its own with the words read in it, the caption and the words around it, which are
    shortened likewise; words that do not fit follow in chunks of text. Linear in the length of the text.
    """
    if max_tokens < 8:
        raise ValueError(f"chunks of {max_tokens} tokens are too small; give at least 8")
    cutter = _Cutter(document, tokenize, max_tokens)
    pieces = sorted((*cutter.pieces(), *cutter.picture_pieces()), key=lambda piece: (piece.start, piece.end))
    lines = {page.number: page.lines for page in document.pages}
    return [
        _as_chunk(document, ordinal, piece, _region(piece, lines.get(piece.page or 0, ())))
        for ordinal, piece in enumerate(pieces)
    ]


def embedding_text(chunk: Chunk) -> str:
    """What the embedder reads of a chunk: its context line, its caption, its text, the words around a picture.

    Also what BM25 analyses.
    """
    return "\n".join(filter(None, (chunk.context, chunk.caption, chunk.text, chunk.around)))


def says_something(chunk: Chunk) -> bool:
    """Whether there are words to embed: a picture may have none but a name that a camera gave it.

    The title of a note or PDF says nothing about a picture in it; the headings above the picture do.
    """
    if chunk.modality == "text" or chunk.text or chunk.caption or chunk.around:
        return True
    named = chunk.context if chunk.kind == "image" else " ".join(chunk.headings)
    return any(_NAME_WORD.fullmatch(word) for word in _WORDS.findall(named.casefold()))


@dataclass(frozen=True, slots=True)
class _Context:
    """Title and heading path, shortened to fit, and the tokens they leave for the text."""

    title: str
    headings: tuple[str, ...]
    room: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """Part of a section, or of a picture; `whole` marks the piece that stands for the picture itself."""

    start: int
    end: int
    page: int | None
    context: _Context
    picture: Picture | None = None
    whole: bool = False
    caption: str = ""
    around: str = ""


def _as_chunk(document: Document, ordinal: int, piece: _Piece, region: Box | None) -> Chunk:
    picture = piece.picture
    number = picture.number if picture else None
    return Chunk(
        id=chunk_id(document.id, document.sha256, piece.start, piece.end, number if piece.whole else None),
        document_id=document.id,
        version=document.sha256,
        ordinal=ordinal,
        modality="image" if piece.whole else "text",
        text=document.text[piece.start : piece.end],
        start=piece.start,
        end=piece.end,
        page=piece.page,
        title=piece.context.title,
        headings=piece.context.headings,
        path=document.path,
        kind=document.kind,
        tags=document.tags,
        date=document.date,
        language=document.language,
        picture=number,
        digest=picture.digest if picture and piece.whole else "",
        caption=piece.caption,
        around=piece.around,
        region=region,
    )


def _region(piece: _Piece, page_lines: Sequence[OcrLine]) -> Box | None:
    """A figure's place on its page; else the rectangle around what was read of the piece, None for a whole picture."""
    if piece.picture and (piece.picture.box or piece.whole):
        return piece.picture.box
    lines = piece.picture.lines if piece.picture else page_lines
    boxes = [line.box for line in lines if line.start < piece.end and piece.start < line.end]
    if not boxes:
        return None
    return Box(
        left=min(box.left for box in boxes),
        top=min(box.top for box in boxes),
        right=max(box.right for box in boxes),
        bottom=max(box.bottom for box in boxes),
    )


class _Cutter:
    """One document being cut. Every question about size is a bisection in the sorted starts of its tokens."""

    def __init__(self, document: Document, tokenize: Tokenize, max_tokens: int) -> None:
        self.document = document
        self.text = document.text
        self.tokenize = tokenize
        self.max_tokens = max_tokens
        self.starts = _token_starts(self.text, tokenize)
        self.paragraphs = [match.end() for match in _PARAGRAPH_END.finditer(self.text)]
        self.sentences = [start for start, _ in sentence_spans(self.text, document.language)]
        self.contexts: dict[tuple[str, ...], _Context] = {}

    def pieces(self) -> Iterator[_Piece]:
        for section in self._joined(sections(self.document)):
            context = self._context(section.path)
            for start, end in self._cut(section.start, section.end, context.room):
                yield _Piece(start, end, section.page, context)

    def picture_pieces(self) -> Iterator[_Piece]:
        """Each picture as one piece with the beginning of its words, and what is left of them."""
        pictures = self.document.pictures
        for picture, path in zip(pictures, paths_at(self.document, [each.at for each in pictures]), strict=True):
            whole = self._whole_picture(picture, self._context(path))
            yield whole
            for start, end in self._cut(whole.end, picture.end, whole.context.room):
                yield _Piece(start, end, picture.page, whole.context, picture)

    def _whole_picture(self, picture: Picture, context: _Context) -> _Piece:
        """At most a quarter of the tokens go to the caption; the words around it get what its own words leave."""
        quarter = self.max_tokens // 4
        caption = self._shortened(picture.caption, quarter)
        room = context.room - self._context_size(caption, ())
        around = self._shortened(picture.around, quarter)
        own = room - self._context_size(around, ())
        start, end = next(self._cut(picture.start, picture.end, own), (picture.start, picture.start))
        if end == self._last_word(picture):
            taken = max(self._tokens(start, end), self._tokens_alone(start, end))
            around = self._shortened(picture.around, room - taken)
        return _Piece(start, end, picture.page, context, picture, True, caption, around)

    def _last_word(self, picture: Picture) -> int:
        return picture.start + len(self.text[picture.start : picture.end].rstrip())

    def _cut(self, start: int, end: int, room: int) -> Iterator[tuple[int, int]]:
        """The text from `start` to `end` in pieces of at most `room` tokens, without white space at their ends."""
        start = self._skip_white(start, end)
        while start < end:
            cut = self._piece_end(start, end, room)
            yield start, start + len(self.text[start:cut].rstrip())
            start = self._skip_white(cut, end)

    def _joined(self, parts: Iterator[Section]) -> Iterator[Section]:
        """Sections with each one that is too small to stand alone put in front of the next on its page."""
        held: Section | None = None
        for section in parts:
            if held is None:
                held = section
                continue
            union = held.joined(section)
            if self._belong(held, section) and self._size(union) <= self._context(union.path).room:
                held = union
            else:
                yield held
                held = section
        if held is not None:
            yield held

    def _belong(self, first: Section, second: Section) -> bool:
        if first.page != second.page or first.end != second.start:  # a picture's words may lie between them
            return False
        return first.bare or self._size(first) < self.max_tokens // 8

    def _size(self, section: Section) -> int:
        return self._tokens(section.start, section.end)

    def _tokens(self, start: int, end: int) -> int:
        return bisect_left(self.starts, end) - bisect_left(self.starts, start)

    def _skip_white(self, start: int, end: int) -> int:
        match = _WHITE.match(self.text, start, end)
        return match.end() if match else start

    def _piece_end(self, start: int, end: int, room: int) -> int:
        """Where the piece from `start` ends: at most `room` tokens on, at most at `end`."""
        first = bisect_left(self.starts, start)
        rest = bisect_left(self.starts, end) - first
        tiny_rest = room < rest <= room * 5 // 4
        share = rest * 3 // 5 if tiny_rest else room  # rather share the text than leave a tiny remainder
        cut = end if rest <= room else self._best_cut(start, first, share)
        while (count := self._tokens_alone(start, cut)) > room and cut - start > 1:
            cut = start + max(1, (cut - start) * room // count)
        return cut

    def _best_cut(self, start: int, first: int, share: int) -> int:
        """The best place to stop at most `share` tokens behind `start`, the first of them being token `first`."""
        reach = max(self.starts[first + share], start + 1)
        half = self.starts[first + share // 2]
        quarter = self.starts[first + share // 4]
        for cuts, least in ((self.paragraphs, half), (self.sentences, quarter)):
            cut = cuts[at - 1] if (at := bisect_right(cuts, reach)) else 0
            if cut > max(least, start):
                return cut
        line = self.text.rfind("\n", quarter, reach) + 1
        if line > start:
            return line
        word = max(self.text.rfind(space, start, reach) for space in _SPACES) + 1
        return word if word > start else reach

    def _tokens_alone(self, start: int, end: int) -> int:
        """Tokens of the piece on its own where that differs from its part of the document, else 0."""
        before, after = self.text[max(start - 1, 0) : start], self.text[end - 1 : end + 1]
        if before in _CLEAN and (len(after) < 2 or after[0] in _CLEAN or after[1] in _CLEAN):
            return 0
        return len(self.tokenize(self.text[start:end].rstrip()))

    def _context(self, path: tuple[str, ...]) -> _Context:
        if path not in self.contexts:
            self.contexts[path] = self._fitted_context(path)
        return self.contexts[path]

    def _fitted_context(self, path: tuple[str, ...]) -> _Context:
        limit = self.max_tokens // 4
        title = one_line(self.document.title, _LONGEST_CONTEXT)
        headings = tuple(one_line(heading, _LONGEST_CONTEXT) for heading in path)
        if self._context_size(title, headings) > limit:
            title = self._shortened(title, limit // 2 if headings else limit)
        while headings and self._context_size(title, headings) > limit:
            headings = headings[1:]  # the nearest heading says most
        return _Context(title, headings, self.max_tokens - self._context_size(title, headings))

    def _context_size(self, title: str, headings: tuple[str, ...]) -> int:
        parts = [part for part in (title, *headings) if part]
        return len(self.tokenize(" › ".join(parts) + "\n")) if parts else 0

    def _shortened(self, text: str, limit: int) -> str:
        """The longest beginning of `text` of at most `limit` tokens, in one line."""
        line = one_line(text, _LONGEST_CAPTION)
        if self._context_size(line, ()) <= limit:
            return line
        lengths = range(1, len(line) + 1)
        fitting = bisect_right(lengths, limit, key=lambda length: self._context_size(one_line(line, length), ()))
        return one_line(line, fitting) if fitting else ""


def _token_starts(text: str, tokenize: Tokenize) -> "array[int]":
    """Where each token begins, sorted. What the tokenizer skips or swallows whole counts by its length."""
    starts, end = array("Q"), 0
    for offset, segment in _segments(text):
        for left, right in tokenize(segment):
            left, right = left + offset, right + offset
            if left - end > _LONG_TOKEN:
                starts.extend(range(end, left, _UNTOKENIZED))
            starts.extend(range(left, right if right - left > _LONG_TOKEN else left + 1))
            end = max(end, right)
    if len(text) - end > _LONG_TOKEN:
        starts.extend(range(end, len(text), _UNTOKENIZED))
    return starts


def _segments(text: str) -> Iterator[tuple[int, str]]:
    """Pieces of `text` with their offsets, cut at white space where there is any."""
    start = 0
    while start < len(text):
        end = min(start + _SEGMENT, len(text))
        if end < len(text):
            end = max(text.rfind(" ", start, end), text.rfind("\n", start, end)) + 1 or end
        yield start, text[start:end]
        start = end
