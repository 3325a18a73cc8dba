"""Which pairs follow from the names that a library itself gives to its passages?

A heading names its section, the words of a link the note that it leads to, a subject its mail, a caption its figure,
a title its document. Names that many documents share name none of them.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rag.text import one_line
from rag.tune.pairs import has_words, new_pair
from rag.tune.questions import words_of
from rag.tune.records import Excerpt, Pair

Kind = Literal["heading", "link", "subject", "caption", "title"]

# How sure each makes. The words of a link were chosen for a reader elsewhere; all others stand in what is embedded.
WEIGHTS: dict[Kind, float] = {"link": 0.5, "caption": 0.3, "subject": 0.3, "heading": 0.2, "title": 0.2}
SHARED_BY = 3  # documents that may have the same name for one of their passages

_SHORTEST, _LONGEST = 3, 200  # characters of a name
_REPLY = re.compile(r"^(?:(?:re|aw|antw|fw|fwd|wg|tr)\s*:\s*)+", re.IGNORECASE)  # before the subject of an answer


@dataclass(frozen=True, slots=True)
class Naming:
    """Words that name a passage, as they stand in the library. `time` is Unix seconds of when it was read."""

    kind: Kind
    words: str
    passage: Excerpt
    time: float


@dataclass(frozen=True, slots=True)
class Structured:
    """The pairs, how many of each kind there are, and how many names were left out for each reason."""

    pairs: tuple[Pair, ...]
    kinds: dict[Kind, int]
    dropped: dict[str, int]


def pairs_from_structure(namings: Iterable[Naming]) -> Structured:
    """What can be learnt from names, each with its kind's weight; of equal ones the kind that makes surest counts."""
    dropped: Counter[str] = Counter()
    sound: list[tuple[str, Naming]] = []
    for each in namings:
        name = _name(each)
        if not _SHORTEST <= len(name) <= _LONGEST or not has_words(name):
            dropped["too short or too long"] += 1
        elif not has_words(each.passage.text):
            dropped["a passage without words"] += 1
        else:
            sound.append((name, each))
    users: dict[str, set[str]] = defaultdict(set)
    for name, each in sound:
        users[words_of(name)].add(each.passage.document)
    pairs: dict[str, tuple[Kind, Pair]] = {}
    for name, each in sorted(sound, key=lambda found: -WEIGHTS[found[1].kind]):
        if len(users[words_of(name)]) > SHARED_BY:
            dropped["a name that many documents share"] += 1
            continue
        pair = new_pair(name, each.passage, "structure", each.time, weight=WEIGHTS[each.kind])
        pairs.setdefault(pair.id, (each.kind, pair))
    kinds = Counter(kind for kind, _ in pairs.values())
    return Structured(tuple(pair for _, pair in pairs.values()), dict(kinds), dict(dropped))


def _name(naming: Naming) -> str:
    words = one_line(naming.words)
    return _REPLY.sub("", words) if naming.kind == "subject" else words
