"""How good is one answer, and how good are many? Pure measures over what was said, cited and held back."""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rag.records import Answer

_MARKER = re.compile(r"\[\d{1,3}\]")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation + "“”‘’„«»–—…·")
_WORD = re.compile(r"\w+")
_STEM = 5  # characters by which two words count as one; numbers count whole
_FUNCTION_WORDS = 3  # letters of the longest word that is not looked up


@dataclass(frozen=True, slots=True)
class Gold:
    """What is right: the strings that answer, and the ids of the documents that hold them."""

    answers: tuple[str, ...]
    documents: frozenset[str]


def normalised(text: str) -> str:
    """Lower case, without punctuation, English articles and runs of white space.

    SQuAD's normalisation (Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250, evaluate-v1.1.py), and typographic
    punctuation as well.
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def token_f1(said: str, gold: str) -> float:
    """SQuAD's F1: the harmonic mean of precision and recall of the normalised words, each counted as often as it is."""
    ours, theirs = normalised(said).split(), normalised(gold).split()
    same = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * same / (len(ours) + len(theirs)) if same else 0.0


def holds(text: str, gold: Gold) -> bool:
    """Whether one of the gold strings stands in `text`, both normalised, in whole words."""
    return any(f" {normalised(answer)} " in f" {normalised(text)} " for answer in gold.answers)


def answer_row(answer: Answer, gold: Gold, answerable: bool, first_ms: float, total_ms: float) -> dict[str, Any]:
    """What is measured of one answer. `first_ms` is when the first words came, `total_ms` when all was done."""
    said = _MARKER.sub("", answer.text)
    evidence = [
        passage.text[e.start - passage.start : e.end - passage.start]
        for passage in answer.passages
        for e in passage.evidence
    ]
    cited = [citation.document_id in gold.documents for citation in answer.citations]
    return {
        "answerable": answerable,
        "abstained": answer.abstained,
        "f1": max(token_f1(said, each) for each in gold.answers),
        "exact": any(normalised(said) == normalised(each) for each in gold.answers),
        "in_answer": holds(said, gold),
        "in_evidence": any(holds(text, gold) for text in evidence),
        "retrieved": any(passage.hit.chunk.document_id in gold.documents for passage in answer.passages),
        "citations": len(cited),
        "citations_right": sum(cited),
        "citations_exact": sum(
            right and holds(c.quote, gold) for right, c in zip(cited, answer.citations, strict=True)
        ),
        "sentences": len(answer.sentences),
        "unsupported": sum(sentence.support == "unsupported" for sentence in answer.sentences),
        "partly": sum(sentence.support == "partly" for sentence in answer.sentences),
        "unmarked": _unmarked(answer),
        "markers_removed": answer.removed_markers,
        "tokens": answer.tokens,
        "ms": {"first": first_ms, "total": total_ms} | _model_ms(answer),
    }


def _model_ms(answer: Answer) -> dict[str, float]:
    first = answer.ms.get("first_token")
    return {} if first is None else {"first_token": first}


def _unmarked(answer: Answer) -> int:
    """Sentences that are called supported though some word of theirs stands in no source.

    A judge that shares nothing with ours but the passages: words of more than three letters and numbers, by their
    first five letters. It takes every paraphrase for unsupported, so it gives an upper bound.
    """
    there = {_stem(w) for p in answer.passages for w in _WORD.findall(f"{p.hit.chunk.context} {p.text}")}
    there |= {_stem(word) for word in _WORD.findall(answer.question)}
    shown = [_MARKER.sub("", answer.text[s.start : s.end]) for s in answer.sentences if s.support == "supported"]
    return sum(any(_stem(word) not in there for word in _telling(text)) for text in shown)


def _telling(text: str) -> list[str]:
    return [word for word in _WORD.findall(text) if len(word) > _FUNCTION_WORDS or word.isdecimal()]


def _stem(word: str) -> str:
    return word if word[0].isdigit() else word.casefold()[:_STEM]


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The measures over many answers; those of what was said are over the answerable questions."""
    asked = [row for row in rows if row["answerable"]]
    answered = [row for row in asked if not row["abstained"]]
    citations = sum(row["citations"] for row in answered)
    judged = sum(row["sentences"] for row in rows)
    return {
        "questions": len(asked),
        "token_f1": _mean(asked, "f1"),
        "exact_match": _mean(asked, "exact"),
        "gold_in_answer": _mean(asked, "in_answer"),
        "gold_in_evidence": _mean(asked, "in_evidence"),
        "gold_in_either": _share(row["in_answer"] or row["in_evidence"] for row in asked),
        "gold_retrieved": _mean(asked, "retrieved"),
        "citation_precision": _ratio(sum(row["citations_right"] for row in answered), citations),
        "citation_precision_sentence": _ratio(sum(row["citations_exact"] for row in answered), citations),
        "citation_recall": _share(row["citations_right"] > 0 for row in answered),
        "sentences": judged,
        "unsupported": _ratio(sum(row["unsupported"] for row in rows), judged),
        "partly_supported": _ratio(sum(row["partly"] for row in rows), judged),
        "unsupported_unmarked": _ratio(sum(row["unmarked"] for row in rows), judged),
        "abstention": abstention(rows),
    }


def abstention(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Precision, recall and F1 of holding back, where the questions without an answer are those to be found."""
    right = sum(row["abstained"] and not row["answerable"] for row in rows)
    precision = _ratio(right, sum(row["abstained"] for row in rows))
    recall = _ratio(right, sum(not row["answerable"] for row in rows))
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}


def times(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Median and 95th percentile in milliseconds, over the answers that have such a time."""
    found: dict[str, dict[str, float]] = {}
    for name in ("first", "first_token", "total"):
        values = [row["ms"][name] for row in rows if name in row["ms"]]
        if values:
            found[name] = {"median": float(np.median(values)), "p95": float(np.percentile(values, 95))}
    return found


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return _share(row[name] for row in rows)


def _share(values: Any) -> float:
    found = [float(value) for value in values]
    return sum(found) / len(found) if found else 0.0


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
