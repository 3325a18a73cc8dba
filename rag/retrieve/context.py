"""Which of the hits go beside an answer: those that add something, from more than one document if there is a choice."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from rag.records import Hit, SearchResult

HITS_PER_SOURCE = 4  # hits to search for per source wanted, so that there are enough when some say the same

_SHINGLE = 9  # characters; about two words, and it needs no spaces between them
_PICTURES = "pictures"  # what they are counted under together; no document has this id
_SAME = 0.8  # share of a text's shingles that also stand in a better hit: it has nothing new then


def choose(result: SearchResult, count: int) -> SearchResult:
    """`result` with the `count` hits to show and to quote, best first, ranked from 1 again.

    A text that mostly repeats a better hit is left out (forwarded mails, copies, a file indexed twice), and so is the
    very same picture. At most half of the sources, though always two, come from one document while others have
    anything to give; and at most half of them, though always two, are pictures while there is text.
    """
    fresh = _without_repeats(result.hits)
    most = max(2, count // 2)
    seen: Counter[str] = Counter()
    first: list[Hit] = []
    rest: list[Hit] = []
    for hit in fresh:
        shares = [hit.chunk.document_id, *([_PICTURES] if hit.chunk.modality == "image" else [])]
        seen.update(shares)
        (first if all(seen[share] <= most for share in shares) else rest).append(hit)
    chosen = sorted((first + rest)[: max(count, 0)], key=lambda hit: hit.rank)
    return replace(result, hits=tuple(replace(hit, rank=rank) for rank, hit in enumerate(chosen, start=1)))


def _without_repeats(hits: Sequence[Hit]) -> list[Hit]:
    kept: list[tuple[Hit, frozenset[str]]] = []
    digests: set[str] = set()
    for hit in hits:
        shingles = _shingles(hit.chunk.text)
        if hit.chunk.modality == "text":
            repeats = any(_repeats(shingles, other) for _, other in kept)
        else:
            repeats = hit.chunk.digest in digests
        if not repeats:
            kept.append((hit, shingles))
            digests |= {hit.chunk.digest} - {""}
    return [hit for hit, _ in kept]


def _repeats(new: frozenset[str], better: frozenset[str]) -> bool:
    """Whether `new` is mostly contained in `better` (Broder 1997, "On the resemblance and containment")."""
    return len(new & better) >= _SAME * len(new) > 0


def _shingles(text: str) -> frozenset[str]:
    letters = "".join(filter(str.isalnum, text.casefold()))
    return frozenset(letters[i : i + _SHINGLE] for i in range(max(1, len(letters) - _SHINGLE + 1))) - {""}
