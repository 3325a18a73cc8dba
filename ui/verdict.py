"""What the gate says of a candidate, in plain words, with the questions that got better and worse."""

from collections.abc import Sequence

from rag.tune.records import Example, Outcome, Verdict
from ui.html import Html, join, tag
from ui.words import count, milliseconds, sentence

WORDS: dict[Outcome, str] = {"PASS": "passed", "FAIL": "did not pass", "INCONCLUSIVE": "undecided"}
_HEADLINES: dict[Outcome, str] = {
    "PASS": "It is better, and worse at nothing that counts.",
    "FAIL": "It is not to be used: something got worse.",
    "INCONCLUSIVE": "Nobody can tell yet whether it is better.",
}


def render_verdict(verdict: Verdict, fold: str) -> Html:
    """The outcome, its reasons, examples, and folded away (as `fold`) the figures."""
    return tag(
        "section",
        tag("h4", _HEADLINES[verdict.outcome]),
        tag("ul", *(tag("li", sentence(reason)) for reason in verdict.reasons), class_="reasons"),
        _examples("Better now", verdict.better),
        _examples("Worse now", verdict.worse),
        tag("details", tag("summary", "The figures"), tag("dl", *_figures(verdict)), data_fold=fold),
        class_=f"verdict verdict-{verdict.outcome.lower()}",
    )


def score(value: float) -> str:
    """`.713`: nDCG and its like, as such scores are written."""
    return f"{value:.3f}".removeprefix("0") if 0 <= value < 1 else f"{value:.3f}"


def change(value: float) -> str:
    """`+.042`, `-.010`: a difference of two scores."""
    return f"{value:+.3f}".replace("0.", ".", 1)


def _examples(title: str, examples: Sequence[Example]) -> Html | None:
    if not examples:
        return None
    rows = (
        tag("li", tag("q", each.question, dir="auto"), " ", tag("span", _moved(each), class_="moved"))
        for each in examples
    )
    return join([tag("h5", title), tag("ul", *rows, class_="examples")])


def _moved(example: Example) -> str:
    return f"{_place(example.before)} → {_place(example.after)}"


def _place(place: int | None) -> str:
    return "not found" if place is None else f"place {place}"


def _figures(verdict: Verdict) -> list[Html]:
    low, high = verdict.interval
    rows = [
        ("nDCG@10", f"{score(verdict.before)} → {score(verdict.after)} on {count(verdict.questions, 'question')}"),
        ("Gain", f"{change(verdict.gain)}, 95 % interval {change(low)} to {change(high)}, p = {verdict.p:.3f}"),
        ("Could be shown", f"a gain of {score(verdict.detectable)} or more"),
        ("Recall@20", f"{score(verdict.recall[0])} → {score(verdict.recall[1])}"),
        ("Time", f"{milliseconds(verdict.ms[0])} → {milliseconds(verdict.ms[1])}"),
    ]
    if verdict.canary is not None:
        mean, bound = verdict.canary
        rows.append(("Other subjects", f"{change(mean)}, at worst {change(bound)}"))
    if verdict.lost:
        rows.append(("Pinned and lost", "; ".join(verdict.lost)))
    return [join([tag("dt", name), tag("dd", words)]) for name, words in rows]
