"""What does a row of somebody else's file say? Pairs, triplets, graded pairs, lists as FlagEmbedding's, or captions.

Fields go by the names that are in use for them; what has another name is passed over.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rag.tune.pairs import has_words

_QUERY = ("query", "question", "anchor", "sentence1", "sentence_1", "text1", "text_1")
_RIGHT = ("positive", "pos", "passage", "answer", "response", "context", "sentence2", "sentence_2", "text2", "text_2")
_WRONG = re.compile(r"neg(?:ative)?s?(?:_\d+)?|hard_negatives?(?:_\d+)?")
_SCORE = ("score", "label", "similarity")
_PICTURE = ("image", "file_name", "filename", "filepath", "image_path", "image_file")
_CAPTION = ("caption", "title", "text")
_LONGEST = 100_000  # characters of a text


@dataclass(frozen=True, slots=True)
class Row:
    """A query, passages that are right for it, passages that are not, and a score where there is one."""

    query: str
    right: tuple[str, ...]
    wrong: tuple[str, ...] = ()
    score: float | None = None


@dataclass(frozen=True, slots=True)
class CaptionRow:
    """A picture's path, as it is written, and what is said of it."""

    picture: str
    text: str


class BadRow(Exception):
    """A row that cannot be used; its text is the reason."""


def read_row(row: object) -> Row | CaptionRow:
    """What a row says: a mapping of fields, or a list of a query, a right and, perhaps, a wrong passage.

    Raises:
        BadRow: it is neither, lacks something, or holds what is no text or number.
    """
    if isinstance(row, Sequence) and not isinstance(row, str):
        row = dict(zip(("query", "positive", "negative"), row, strict=False))
    if not isinstance(row, Mapping):
        raise BadRow("it is neither an object with fields nor a list of texts")
    fields = {str(name).strip().lower(): value for name, value in row.items() if value not in (None, "")}
    if picture := _first(fields, _PICTURE):
        return CaptionRow(_text(picture, "the picture"), _text(_first(fields, _CAPTION), "the caption"))
    query = _text(_first(fields, _QUERY), f"the query ({_names(_QUERY)})")
    right = tuple(_texts(_first(fields, _RIGHT), f"a right passage ({_names(_RIGHT)})"))
    if not right:
        raise BadRow(f"there is no right passage ({_names(_RIGHT)})")
    named = [value for name, value in fields.items() if _WRONG.fullmatch(name)]
    wrong = tuple(text for value in named for text in _texts(value, "a wrong passage"))
    if both := next((text for text in right if text in wrong), ""):
        raise BadRow(f"a passage is called right and wrong: {both[:60]!r}")
    return Row(query, tuple(dict.fromkeys(right)), tuple(dict.fromkeys(wrong)), _score(_first(fields, _SCORE)))


def _first(fields: Mapping[str, object], names: Sequence[str]) -> object:
    return next((fields[name] for name in names if name in fields), None)


def _texts(value: object, what: str) -> Iterator[str]:
    for each in value if isinstance(value, list) else [value]:
        yield _text(each, what)


def _text(value: object, what: str) -> str:
    if value is None:
        raise BadRow(f"there is no field for {what}")
    if not isinstance(value, str) or not has_words(value):
        raise BadRow(f"{what} is no text with words in it")
    if len(value) > _LONGEST:
        raise BadRow(f"{what} has {len(value)} characters; {_LONGEST} are the most")
    return value.strip()


def _score(value: object) -> float | None:
    if value is None:
        return None
    try:
        score = float(value)  # type: ignore[arg-type]  # whatever float refuses is no number
    except (TypeError, ValueError):
        raise BadRow(f"the score {value!r} is no number") from None
    if not math.isfinite(score) or score < 0:
        raise BadRow(f"the score {score} is not 0 or more")
    return score


def _names(names: Sequence[str]) -> str:
    return " or ".join(map(repr, names[:2])) + " …"
