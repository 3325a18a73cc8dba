"""The Evaluate page: the questions that are kept to measure by, what came of asking them, and how that changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rag.evaluating import DEPTHS, Difference, Evaluation, Outcome, Scores, compare
from rag.records import DocumentInfo
from rag.text import duration
from rag.tune.records import Question
from ui.charts import Line, line_chart
from ui.controls import button, icon_button, job_card, problem
from ui.evaluation import Asking
from ui.html import Html, join, tag
from ui.icons import KIND_NAMES, icon, kind_icon
from ui.links import document_address
from ui.words import count, day, milliseconds

_ENOUGH = 20  # questions from which a difference can be told from chance, unless it is small
_DRAWN = 60  # evaluations on the chart and in its table
_GROUPS = {
    "text": "All texts",
    "image": "All pictures",
    "hand": "Kept from a chat",
    "feedback": "From feedback",
    "structure": "From the library’s structure",
    "synthetic": "Written by the language model",
    "import": "Imported",
}


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What the page shows. `documents` are those of the library by id, `history` is oldest first."""

    questions: Sequence[Question]
    documents: Mapping[str, DocumentInfo]
    history: Sequence[Evaluation] = ()


def render_evaluate_head() -> Html:
    """What stands above it all and never changes."""
    return tag(
        "section",
        tag("h1", "Evaluate"),
        tag(
            "p",
            "Questions whose right documents you know, asked again whenever something changes: a number for how well "
            "your library finds what you ask for.",
            class_="lede",
        ),
    )


def render_asking(asking: Asking) -> Html:
    """What is going on, or why it ended before its time."""
    if asking.error:
        return problem(asking.error)
    if not asking.running:
        return Html("")
    stopping = asking.stop.is_set()
    left = f" · {duration(asking.seconds_left)} left" if asking.seconds_left is not None and not stopping else ""
    words = "Stopping" if stopping else f"Asking {asking.done:,} of {count(asking.total, 'question')}{left}"
    line = words if asking.total else "Asking the questions"
    bar = tag("progress", value=asking.done, max=max(asking.total, 1), aria_label="Asking the questions")
    stop = button("Stop", "stop-evaluation", drawing="stop")
    return tag("div", job_card(line, bar, stop, "running", failed=False), class_="jobs")


def render_evaluate(page: Evaluated, asking: Asking) -> Html:
    """The result, its history, and the questions."""
    if not page.questions:
        return tag("section", _teach(), class_="models")
    latest = page.history[-1] if page.history else None
    places = {one.id: one for one in latest.outcomes} if latest else {}
    return tag(
        "section",
        _run_button(page, asking),
        _result(page.history) if latest else None,
        _chart(page.history),
        tag("h2", "Questions"),
        _more_needed(page.questions),
        tag("ul", *(_question(each, page.documents, places, latest) for each in page.questions), class_="questions"),
        class_="models evaluate",
    )


# --- before there is anything ----------------------------------------------------------------------------------------


def _teach() -> Html:
    steps = (
        "Ask something in the chat whose answer you know.",
        "If the answer cites the right document, press “Keep as a test question” below it.",
        f"Keep about {_ENOUGH}, of the kinds you really ask, and run them here.",
    )
    return tag(
        "article",
        tag("h2", "No test question is kept yet"),
        tag(
            "p",
            "A search that gets worse does so quietly. A few questions with known answers tell you, after a new model, "
            "after new documents, or before you let the tool use what it learnt.",
        ),
        tag("ol", *(tag("li", step) for step in steps), class_="steps"),
        tag("p", tag("a", "Go to the chat", href="#chat", class_="plain")),
        class_="model",
    )


def _more_needed(questions: Sequence[Question]) -> Html | None:
    missing = _ENOUGH - len(questions)
    if missing <= 0:
        return None
    words = f"{count(missing, 'more question')} would let the page tell a difference from chance."
    return tag("p", words, class_="aside")


# --- the result ------------------------------------------------------------------------------------------------------


def _run_button(page: Evaluated, asking: Asking) -> Html:
    words = f"Ask {count(len(page.questions), 'question')}"
    return tag(
        "p",
        button(words, "evaluate-now", look="primary", drawing="check") if not asking.running else None,
        tag("span", f"Last asked {_when(page.history[-1])}", class_="aside") if page.history else None,
        class_="do-now",
    )


def _result(history: Sequence[Evaluation]) -> Html:
    latest, scores = history[-1], history[-1].scores
    found = sum(one.place is not None and one.place <= 5 for one in latest.outcomes)
    verb = "finds" if scores.questions == 1 else "find"
    headline = f"{found:,} of {count(scores.questions, 'question')} {verb} a right document among the first five."
    return tag(
        "article",
        tag("h2", headline),
        _compared(history),
        tag("dl", *_figures(scores), tag("dt", "Time"), tag("dd", f"{milliseconds(latest.ms)} for a search, median")),
        _lost(latest),
        _groups(latest),
        class_="model result",
    )


def _figures(scores: Scores) -> list[Html]:
    recall = " · ".join(f"{_share(scores.recall[depth])} in the first {depth}" for depth in DEPTHS)
    rows = (
        ("Found", recall),
        ("MRR", f"{_score(scores.mrr)} (1: always in first place)"),
        ("nDCG@10", f"{_score(scores.ndcg)} (1: all that is right stands on top)"),
    )
    return [join([tag("dt", name), tag("dd", words)]) for name, words in rows]


def _compared(history: Sequence[Evaluation]) -> Html | None:
    """Against the time before: a warning where it got worse, else what can be said."""
    if len(history) < 2:
        return None
    found = compare(history[-2], history[-1])
    if not found.questions:
        return tag("p", "No question is the same as the time before, so the two cannot be compared.", class_="aside")
    words = difference_words(found)
    return problem(words) if found.judged == "worse" else tag("p", words, class_="aside")


def difference_words(found: Difference) -> str:
    """What lies between two evaluations, in a sentence or two."""
    changed = f"What changed: {', '.join(found.changed)}." if found.changed else "Nothing was set up differently."
    step = f"nDCG@10 {_score(found.before)} → {_score(found.after)} on {count(found.questions, 'question')}"
    low, high = found.interval
    if found.judged == "none":
        least = f"a difference under {_score(found.detectable)} could not have been told from chance"
        return f"No evidence of a difference to the time before ({step}; {least}). {changed}"
    verb = "got worse" if found.judged == "worse" else "got better"
    return f"It {verb} since the time before: {step}, 95 % interval {low:+.2f} to {high:+.2f}. {changed}"


def _lost(latest: Evaluation) -> Html | None:
    if not latest.lost:
        return None
    words = f"{count(len(latest.lost), 'question')} could not be asked: what is right for them has left the library"
    return problem(f"{words}. Remove them, or add the documents again")


def _groups(latest: Evaluation) -> Html:
    """By what the right documents are, and where the questions come from."""
    named = [(_GROUPS.get(name, name), scores) for name, scores in latest.modalities.items()]
    named += [(KIND_NAMES[kind], latest.kinds[kind]) for kind in KIND_NAMES if kind in latest.kinds]
    named += [(_GROUPS.get(name, name), scores) for name, scores in latest.sources.items()]
    head = tag("tr", *(tag("th", words, scope="col") for words in ("", "Questions", "In 5", "In 10", "MRR", "nDCG@10")))
    rows = (
        _row(name, f"{s.questions:,}", _share(s.recall[5]), _share(s.recall[10]), _score(s.mrr), _score(s.ndcg))
        for name, s in named
    )
    table = tag("div", tag("table", tag("thead", head), tag("tbody", *rows)), class_="table")
    return tag("details", tag("summary", "By kind of document and question"), table, data_fold="evaluate-groups")


def _row(name: str, *cells: str) -> Html:
    return tag("tr", tag("th", name, scope="row"), *(tag("td", cell, class_="number") for cell in cells))


# --- over time -------------------------------------------------------------------------------------------------------


def _chart(history: Sequence[Evaluation]) -> Html | None:
    if len(history) < 2:
        return None
    shown = history[-_DRAWN:]
    lines = [
        Line("nDCG@10", _points([each.scores.ndcg for each in shown]), [_told(each) for each in shown]),
        Line("found in the first 10", _points([each.scores.recall[10] for each in shown])),
        Line("MRR", _points([each.scores.mrr for each in shown])),
    ]
    chart = line_chart(
        lines,
        label="Results over time",
        y_words=lambda value: f"{value:g}",
        x_ends=(_when(shown[0]), _when(shown[-1])),
        y_range=(0.0, 1.0),
    )
    return tag("article", tag("h2", "Over time"), chart, _history_table(shown), class_="model")


def _history_table(shown: Sequence[Evaluation]) -> Html:
    befores: list[Evaluation | None] = [None, *shown[:-1]]
    rows = [_history_row(before, after) for before, after in zip(befores, shown, strict=True)]
    names = ("When", "Questions", "nDCG@10", "In 10", "MRR", "What changed before it")
    head = tag("tr", *(tag("th", words, scope="col") for words in names))
    table = tag("div", tag("table", tag("thead", head), tag("tbody", *reversed(rows))), class_="table")
    return tag("details", tag("summary", "As a table"), table, data_fold="evaluate-history")


def _history_row(before: Evaluation | None, after: Evaluation) -> Html:
    found = compare(before, after) if before else None
    scores = after.scores
    figures = (f"{scores.questions:,}", _score(scores.ndcg), _share(scores.recall[10]), _score(scores.mrr))
    worse = tag("span", icon("warning"), "worse", class_="state partly") if found and found.judged == "worse" else None
    better = tag("span", "better", class_="chip mark") if found and found.judged == "better" else None
    changed = tag("td", worse, better, " ", "; ".join(found.changed) if found else "", class_="what-changed")
    cells = (tag("td", figure, class_="number") for figure in figures)
    return tag("tr", tag("th", _when(after), scope="row"), *cells, changed)


def _points(values: Sequence[float]) -> list[tuple[float, float]]:
    return [(float(at), value) for at, value in enumerate(values)]


def _told(each: Evaluation) -> str:
    searched = " with ".join(filter(None, (each.setup.embedder, each.setup.retriever)))
    return f"{_when(each)}: {_score(each.scores.ndcg)}, {searched}, {count(each.setup.documents, 'document')}"


# --- the questions ---------------------------------------------------------------------------------------------------


def _question(
    each: Question, documents: Mapping[str, DocumentInfo], places: Mapping[str, Outcome], latest: Evaluation | None
) -> Html:
    asked = places.get(each.id)
    pin = "Pinned: its answer must stay among the first five" if each.pinned else "Pin: never lose its answer"
    return tag(
        "li",
        tag(
            "div",
            tag("p", each.text, class_="question-text", dir="auto"),
            tag("ul", *(_right(each, document, documents.get(document)) for document in each.right), class_="right"),
            tag("p", _standing(asked), class_="small-print") if latest else None,
            class_="offer-body",
        ),
        tag(
            "div",
            tag(
                "button",
                icon("pin"),
                type="button",
                class_="quiet",
                aria_pressed="true" if each.pinned else "false",
                aria_label=f"Pin “{each.text}”",
                title=pin,
                data_do="pin-question",
                data_question=each.id,
            ),
            icon_button(
                "pencil", f"Edit “{each.text}”", "edit-question", hint="Edit", question=each.id, text=each.text
            ),
            icon_button(
                "bin", f"Remove “{each.text}”", "remove-question", hint="Remove", question=each.id, text=each.text
            ),
            class_="offer-do",
        ),
        class_="offer",
        data_question=each.id,
    )


def _right(each: Question, document: str, info: DocumentInfo | None) -> Html:
    """A right document, and a cross that leaves it out where there are others."""
    if info is None:
        shown: Html = tag("span", "a document that has left the library", class_="gone")
    else:
        shown = tag("a", info.title, href=document_address(document), data_open=True, dir="auto")
    name = info.title if info else document[:8]
    cross = icon_button(
        "close", f"{name} is not right for it", "wrong-document", look="cross", question=each.id, document=document
    )
    return tag("li", kind_icon(info.kind) if info else None, shown, cross if len(each.right) > 1 else None)


def _standing(asked: Outcome | None) -> Html:
    if asked is None:
        return tag("span", "not asked yet")
    if asked.place is None:
        return tag("span", icon("warning"), "not among the first 20", class_="state partly")
    return tag("span", "in first place" if asked.place == 1 else f"in place {asked.place}")


# --- figures ---------------------------------------------------------------------------------------------------------


def _share(value: float) -> str:
    return f"{100 * value:.0f}\N{NO-BREAK SPACE}%"


def _score(value: float) -> str:
    """`.713`: as such scores are written."""
    return f"{value:.3f}".removeprefix("0") if 0 <= value < 1 else f"{value:.3g}"


def _when(each: Evaluation) -> str:
    moment = datetime.fromtimestamp(each.time)  # of the clock on this machine's wall
    return f"{day(moment)}, {moment:%H:%M}"
