"""Do the sources bear out what a sentence of an answer says?

Nothing here understands a sentence. It is compared with the one in the sources that is nearest, and what can be looked
up is looked up: each number, date and name has to stand there, a quotation word for word; what is denied must not be
affirmed there; a number must count the same thing, and two names must not have changed places. So "supported" means
that nothing was found amiss; eval/LOG.md says how much of what is amiss is found.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rag.answer.evidence import Sentence, SentencePool, grams
from rag.answer.lookup import Told, looked_up
from rag.records import Passage, Support

# The first two are scores of a sentence in its pool, the mean of cosine and overlap; the next two are shares of its
# grams. Chosen on sentences that were made wrong (eval/LOG.md).
_NEAR = 0.5
_SOMEWHAT = 0.38
_SAME_WORDS = 0.8
_OTHER_WORDS = 0.5
_SURE = 0.75  # a score that leaves no doubt, whatever words a clause has
_CLAUSE_WORDS = 4
_LEAST_QUOTED = 12  # letters that are taken for a quotation: fewer stand in a row by chance
_QUOTED = 0.8  # share of a sentence's letters inside quotation marks: it says nothing else
_NOUNS_ARE_CAPITAL = {"de", "lb"}

_WORD = re.compile(r"\w+")
_ITEM = re.compile(r"\s*(?:[-*+•>]|\d{1,3}[.)]|#{1,6})\s+")
_QUOTATION = re.compile(r"[“\"„«]([^“”\"„«»]{12,})[”\"“»]")
_GAP = re.compile(r"…|\.\.\.|\[…\]")
_CLAUSE = re.compile(r";|,?\s+(?:and|but|while|whereas|because|und|aber|weil|während|et|mais|car|y|pero|porque)\s+")
_ASKS = re.compile(r"[?？؟][\W_]*\Z")
_LEADS_IN = re.compile(r"[:：][\W_]*\Z")
_REFUSES = re.compile(
    r"\b(?:sources?|passages?|documents?|context|information|quellen?)\b.*"
    r"\b(?:not|no|nothing|cannot|kein\w*|nicht|nichts)\b|n[’']t\b.*\b(?:sources?|passages?|documents?|information)\b"
    r"|\b(?:not|no|cannot|keine?|nicht)\b.*\b(?:sources?|passages?|documents?|context|information|quellen?)\b"
    r"|\bI (?:do not|don[’']t|cannot|can[’']t) (?:know|say|tell|answer)\b",
    re.IGNORECASE,
)
_NEGATIONS = frozenset(
    _WORD.findall(
        "not no never none nobody nothing neither nor cannot without nicht kein keine keinen keiner keines nie niemals "
        "weder ohne ne pas jamais aucun aucune sans nunca ningún ninguna ninguno sin tampoco non mai nessuno senza não "
        "nem sem niet geen nooit zonder inte aldrig ikke"
    )
)
_DENIES = re.compile(r"\w+[’']t\b|\w+")
_DENIED = 3  # words behind a negation that it denies, about

_NOTHING_LIKE_IT = "no source says anything like it"
_ONLY_PARTLY = "not all of it stands in the source"
_MISQUOTED = "the words in quotation marks do not stand in the source"
_DENIES_OTHERWISE = "the source and this sentence differ in what they deny"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a sentence stands, why it is not wholly supported, and the sentence of the sources that it rests on."""

    support: Support
    reasons: tuple[str, ...]
    sentence: Sentence | None


def claims(sentence: str) -> bool:
    """Whether a sentence says anything that sources could bear out: no question, no "the sources do not say"."""
    if _ASKS.search(sentence) or _LEADS_IN.search(sentence):
        return False
    return bool(_WORD.search(sentence)) and not _REFUSES.search(sentence)


class Judge:
    """Holds sentences against the passages whose sentences are in `pool`."""

    def __init__(self, pool: SentencePool) -> None:
        self._pool = pool
        self._passages = {sentence.number: sentence.passage for sentence in pool.sentences}

    @cached_property
    def _told(self) -> dict[int, Told]:
        return {number: Told.of(told_by(passage)) for number, passage in self._passages.items()}

    def verdict(self, claim: str, scores: NDArray[np.float32], within: Collection[int] = ()) -> Verdict:
        """How `claim`, a sentence without markers, stands.

        Args:
            scores: of the claim with each sentence of the pool, as its `scores` gives them: float32[N].
            within: the numbers of the passages that it cites; none: any passage may bear it out.
        """
        among = [i for i, s in enumerate(self._pool.sentences) if not within or s.number in within]
        if not among:
            return Verdict("unsupported", (_NOTHING_LIKE_IT,), None)
        claim = _ITEM.sub("", claim, count=1)
        shares = {i: _share(claim, self._pool.sentences[i].text) for i in among}
        best = max(among, key=lambda i: (float(scores[i]) + shares[i], -i))  # a claim of few words has little meaning
        sentence, near, covered = self._pool.sentences[best], float(scores[best]), shares[best]
        numbers = {self._pool.sentences[i].number for i in among}
        quotation = _quotation(claim, [self._told[number].text for number in sorted(numbers)])
        if quotation is True and (_QUOTATION.search(claim) or not _denies_otherwise(claim, sentence.text)):
            return Verdict("supported", (), sentence)
        invented, doubts = self._amiss(claim, sentence)
        doubts += [_MISQUOTED] if quotation is False else []
        around = _share(claim, self._told[sentence.number].text)
        if near < _SOMEWHAT and max(covered, around) < _SAME_WORDS:
            return Verdict("unsupported", (_NOTHING_LIKE_IT, *invented, *doubts), sentence)
        if not (invented or doubts) and (
            (near < _NEAR and max(covered, around) < _SAME_WORDS)
            or (near < _SURE and self._says_more(claim, sentence.number))
        ):
            doubts = [_ONLY_PARTLY]
        support: Support = "unsupported" if invented else "partly" if doubts else "supported"
        return Verdict(support, (*invented, *doubts), sentence)

    def _amiss(self, claim: str, sentence: Sentence) -> tuple[list[str], list[str]]:
        """What stands in no source, and what stands there otherwise."""
        german = sentence.passage.hit.chunk.language in _NOUNS_ARE_CAPITAL
        said, here = (Told.of(text, nouns_are_capital=german) for text in (claim, sentence.text))
        invented, doubts = looked_up(said, here, self._told[sentence.number], list(self._told.values()))
        return invented, doubts + ([_DENIES_OTHERWISE] if _denies_otherwise(claim, sentence.text) else [])

    def _says_more(self, claim: str, number: int) -> bool:
        """Whether a clause of the claim has mostly words that passage `number` does not have."""
        clauses = [clause for clause in _CLAUSE.split(claim) if len(_WORD.findall(clause)) >= _CLAUSE_WORDS]
        return any(_share(clause, self._told[number].text) < _OTHER_WORDS for clause in clauses)


def told_by(passage: Passage) -> str:
    """All that is written in a passage and about it."""
    chunk = passage.hit.chunk
    date = f"{chunk.date:%Y-%m-%d}" if chunk.date else ""
    return "\n".join(filter(None, (chunk.context, chunk.caption, chunk.around, date, passage.text)))


def _share(claim: str, text: str) -> float:
    """The share of the grams of `claim` that stand in `text`."""
    said = grams(claim)
    return len(said & grams(text)) / len(said) if said else 0.0


def _quotation(claim: str, sources: Sequence[str]) -> bool | None:
    """Whether what the claim quotes stands there word for word: True where it says nothing else, None where it does.

    A claim all of which stands there so is a quotation too, whatever marks it has; None where nothing is quoted.
    """
    there = [_letters(source) for source in sources]
    if len(_letters(claim)) >= _LEAST_QUOTED and any(_letters(claim) in source for source in there):
        return True
    quoted = _QUOTATION.findall(claim)
    if not quoted:
        return None
    pieces = [_letters(piece) for quotation in quoted for piece in _GAP.split(quotation)]
    if not all(any(piece in source for source in there) for piece in pieces):
        return False
    return True if sum(map(len, pieces)) >= _QUOTED * len(_letters(claim)) else None


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _denies_otherwise(claim: str, source: str) -> bool:
    """Whether one of the two denies what the other affirms.

    Only what is sure: the claim denies something and the source denies nothing; or the source denies words that the
    claim, which denies nothing, has too.
    """
    said, there = _denied(claim), _denied(source)
    if said is None or there is None:
        words = {word.casefold()[:5] for word in _WORD.findall(claim)}
        return there is None if said is not None else bool(there and there & words)
    return False


def _denied(text: str) -> frozenset[str] | None:
    """Stems of the words that follow a negation; None where there is no negation."""
    words = [word.casefold() for word in _DENIES.findall(text)]
    at = [i for i, word in enumerate(words) if word in _NEGATIONS or word.endswith(("n't", "n’t"))]
    if not at:
        return None
    return frozenset(word[:5] for i in at for word in words[i + 1 : i + 1 + _DENIED] if len(word) > 3)
