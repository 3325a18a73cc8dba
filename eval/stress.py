"""Data sets on which one of the two retrievers is nearly useless, made from any BEIR folder.

A fusion is only as good as its worst day: each of these takes something away from the words, from the vectors, or
from both, and leaves the right answers as they were. The fused list should stay near the better half on all.
"""

import json
import random
import re
import string
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from eval.datasets import Dataset, Entry

_WORD = re.compile(r"\w+")
_CIPHER = str.maketrans(string.ascii_lowercase, "фывапролджэячсмитьбюйцукен")
_BEFORE = "Hello, I was wondering if you could please help me with something I have been thinking about for a while: "
_AFTER = " I would really like to know what my documents say about this, thank you very much in advance."


def variants(dataset: Dataset) -> dict[str, Dataset]:
    """By name: misspelt, keyword and chatty questions; a script that the embedder cannot read; reference codes."""
    return {
        "typos": _asked(dataset, lambda text, rng: _misspelt(text, 0.5, rng)),
        "many-typos": _asked(dataset, lambda text, rng: _misspelt(text, 0.95, rng)),
        "keyword": _asked(dataset, _rarest_word(dataset)),
        "chatty": _asked(dataset, lambda text, rng: _BEFORE + text + _AFTER),
        "cipher": _enciphered(dataset),
        "references": _referenced(dataset),
    }


def write(dataset: Dataset, folder: Path) -> None:
    """Write `dataset` in BEIR layout."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    corpus = [{"_id": entry.id, "title": entry.title, "text": entry.text} for entry in dataset.entries]
    queries = [{"_id": name, "text": text} for name, text in dataset.queries.items()]
    for name, rows in (("corpus.jsonl", corpus), ("queries.jsonl", queries)):
        (folder / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    judged = [f"{q}\t{d}\t{grade}" for q, grades in dataset.judgements.items() for d, grade in grades.items()]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged, ""]), "utf-8")


def _asked(dataset: Dataset, change: Callable[[str, random.Random], str]) -> Dataset:
    """The same questions put differently, each by chance that depends on its id alone."""
    queries = {name: change(text, _chance(name)) for name, text in dataset.queries.items()}
    return replace(dataset, queries=queries)


def _chance(name: str) -> random.Random:
    return random.Random(name)  # noqa: S311  (nothing here is secret)


def _misspelt(text: str, share: float, rng: random.Random) -> str:
    """About `share` of the words of four letters and more with a letter put in, left out or replaced."""
    return " ".join(_slip(word, rng) if len(word) > 3 and rng.random() < share else word for word in text.split())


def _slip(word: str, rng: random.Random) -> str:
    at, letter = rng.randrange(1, len(word) - 1), rng.choice(string.ascii_lowercase)
    return rng.choice((word[:at] + letter + word[at:], word[:at] + word[at + 1 :], word[:at] + letter + word[at + 1 :]))


def _rarest_word(dataset: Dataset) -> Callable[[str, random.Random], str]:
    """A question's word that the fewest documents have, though one has it; of several the longest."""
    frequency = Counter(word for entry in dataset.entries for word in set(_words(entry.title + " " + entry.text)))

    def change(text: str, rng: random.Random) -> str:
        known = [word for word in _words(text) if word in frequency]
        return min(known, key=lambda word: (frequency[word], -len(word)), default=text)

    return change


def _enciphered(dataset: Dataset) -> Dataset:
    """Latin letters become Cyrillic ones without sense: words still match words, an embedder reads nothing."""
    entries = tuple(Entry(e.id, _cipher(e.title), _cipher(e.text)) for e in dataset.entries)
    return replace(dataset, entries=entries, queries={name: _cipher(text) for name, text in dataset.queries.items()})


def _referenced(dataset: Dataset) -> Dataset:
    """Every document ends with a code of its own, and the questions ask for these codes."""
    codes = {entry.id: _code(_chance(entry.id)) for entry in dataset.entries}
    entries = tuple(replace(entry, text=f"{entry.text} Reference {codes[entry.id]}.") for entry in dataset.entries)
    queries = {f"about {name}": f"Which text has the reference {code}?" for name, code in codes.items()}
    holders: dict[str, dict[str, int]] = {}  # two documents may draw the same code: both are right then
    for name, code in codes.items():
        holders.setdefault(code, {})[name] = 1
    judged = {f"about {name}": holders[code] for name, code in codes.items()}
    return replace(dataset, entries=entries, queries=queries, judgements=judged)


def _code(rng: random.Random) -> str:
    return f"{rng.choice(string.ascii_uppercase)}{rng.choice(string.ascii_uppercase)}-{rng.randrange(1000, 10000)}"


def _cipher(text: str) -> str:
    return text.lower().translate(_CIPHER)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
