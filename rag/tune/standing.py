"""Which choices stand? What was taken back or contradicted later does not, nor a citation of an answer nobody kept."""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from rag.tune.records import Act, Choice

JUDGEMENTS: frozenset[Act] = frozenset({"pin", "this", "wrong"})
THUMBS: frozenset[Act] = frozenset({"up", "down"})
AGAINST: Mapping[Act, tuple[Act, ...]] = {
    "up": ("down",),
    "down": ("up",),
    "pin": ("wrong",),
    "this": ("wrong",),
    "wrong": ("pin", "this"),
}


@dataclass(frozen=True, slots=True)
class Marks:
    """What is marked in one list, to be shown again: the thumb of its answer, and the judgements of its chunks."""

    thumb: Act | None = None
    chunks: Mapping[str, frozenset[Act]] = field(default_factory=dict)


class Standing:
    """Takes lists and choices in the order in which they were made, and tells which choices stand.

    A judgement of a chunk (pin, this, wrong) belongs to the words that were asked: it stands for every list that they
    were asked for, until it is taken back or contradicted in any of them. Thumbs and events (open, copy, cited) belong
    to the list itself. A "cited" stands only where the answer was kept: where it has a thumb up, or was copied and has
    no thumb down.
    """

    def __init__(self) -> None:
        self._queries: dict[str, str] = {}  # as they are compared, by list
        self._choices: dict[tuple[str, str, Act], Choice] = {}
        self._judged: defaultdict[str, dict[str, set[Act]]] = defaultdict(dict)  # by query and chunk

    def saw(self, shown: str, query: str) -> None:
        """A list was shown for these words."""
        self._queries[shown] = folded(query)

    def add(self, choice: Choice) -> None:
        """A choice was made, or taken back."""
        topic = self._topic(choice)
        for act in (choice.act, *AGAINST.get(choice.act, ())):
            if act == choice.act or not choice.taken_back:
                self._drop(topic, choice.chunk, act)
        if not choice.taken_back:
            self._choices[topic, choice.chunk, choice.act] = choice
            if choice.act in JUDGEMENTS:
                self._judged[topic].setdefault(choice.chunk, set()).add(choice.act)

    def choices(self) -> list[Choice]:
        """Those that stand, in the order in which they were made."""
        return [each for each in self._choices.values() if each.act != "cited" or self._is_kept(each.shown)]

    def marks(self, shown: str, query: str | None = None) -> Marks:
        """What is marked in a list; `query` are its words where it was not seen."""
        topic = self._queries.get(shown, "") if query is None else folded(query)
        chunks = {chunk: frozenset(acts) for chunk, acts in self._judged.get(topic, {}).items() if acts}
        return Marks(next((act for act in sorted(THUMBS) if (shown, "", act) in self._choices), None), chunks)

    def _topic(self, choice: Choice) -> str:
        return self._queries.get(choice.shown, choice.shown) if choice.act in JUDGEMENTS else choice.shown

    def _drop(self, topic: str, chunk: str, act: Act) -> None:
        self._choices.pop((topic, chunk, act), None)
        if act in JUDGEMENTS:
            self._judged[topic].get(chunk, set()).discard(act)

    def _is_kept(self, shown: str) -> bool:
        up, down, copied = ((shown, "", act) in self._choices for act in ("up", "down", "copy"))
        return up or (copied and not down)


def folded(query: str) -> str:
    """The words of a query as they are compared: case, runs of white space and ways of writing do not count."""
    return " ".join(unicodedata.normalize("NFKC", query).casefold().split())
