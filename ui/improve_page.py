"""The Improve page: what the tool has learnt and could learn, what was made of it, and what the gate says of that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.tune.records import Candidate, PairSource, Step, Tier, TierStatus, TuneStatus, Verdict
from ui.controls import button, link_button, problem
from ui.html import Html, join, tag
from ui.improve_runs import render_curves, when
from ui.tune_tasks import Change
from ui.verdict import WORDS, render_verdict, score
from ui.words import count, sentence

_SOURCES: dict[PairSource, str] = {
    "feedback": "from your thumbs, pins and corrections",
    "structure": "from the library itself: headings, links, captions, subjects",
    "synthetic": "questions that the language model wrote",
    "import": "imported",
}
TIERS: dict[Tier, tuple[str, str]] = {
    "0": (
        "Weights and memory",
        "How much meaning counts against words in this library, and a memory of what you asked before. A moment.",
    ),
    "1a": (
        "A turn of the questions",
        "Questions are turned a little, towards what you found right. Seconds, and nothing is embedded again.",
    ),
    "1b": (
        "A reader of questions",
        "The model that reads questions learns your words; the passages stay as they are. Minutes.",
    ),
    "2": (
        "A model of your own",
        "The whole model learns your words, and the library is embedded with it beside the old one. The longest.",
    ),
    "image": (
        "Words for pictures",
        "What looks at pictures learns your words for them; no picture is looked at again. Minutes.",
    ),
}


@dataclass(frozen=True, slots=True)
class Made:
    """A candidate, what the gate said of it, and how its training went. `mapped`: there is a map of it."""

    candidate: Candidate
    verdict: Verdict | None = None
    steps: Sequence[Step] = ()
    mapped: bool = False


@dataclass(frozen=True, slots=True)
class Improvement:
    """What the page shows. `busy`: something works, and nothing else can be begun."""

    status: TuneStatus
    made: Sequence[Made] = ()
    proposal: str | None = None
    change: Change | None = None
    busy: bool = False
    lab: bool = False  # its report is there


def render_improve_head() -> Html:
    """What stands above it all and never changes."""
    return tag(
        "section",
        tag("h1", "Improve"),
        tag(
            "p",
            "The search can learn your words from what you found right. Nothing that it learns is used before "
            "questions of yours have shown it to be better, and one step leads back. All of it stays on this machine.",
            class_="lede",
        ),
    )


def render_improve(page: Improvement) -> Html:
    """Everything but what is going on."""
    return tag(
        "section",
        _changed(page.change),
        problem(page.proposal, _back(page, "Roll back")) if page.proposal else None,
        _searching(page),
        _made(page),
        _known(page),
        _tiers(page),
        _lab(page),
        class_="models improve",
    )


# --- what searches ---------------------------------------------------------------------------------------------------


def _changed(change: Change | None) -> Html | None:
    if change is None:
        return None
    if change.error:
        return problem(change.error)
    if change.running:
        return tag("p", "Putting it to use…", class_="waiting", role="status")
    words = f"{change.name} searches from now on." if change.name else "The one before searches again."
    return tag("p", words, class_="notice", role="status")


def _searching(page: Improvement) -> Html:
    status = page.status
    if status.live is None:
        title, words = f"{status.embedder}, as it came", _first_words(status)
    else:
        live = status.live
        title = f"{TIERS[live.tier][0]} ({live.name})"
        words = f"Learnt from {count(live.pairs, 'pair')} on {when(live.created)}, on top of {status.embedder}."
    return tag(
        "article",
        tag("p", "Searches now", class_="role"),
        tag("h2", title),
        tag("p", words, class_="reason"),
        _back(page, f"Roll back to {status.before or 'the model as it came'}"),
        class_="model",
    )


def _back(page: Improvement, words: str) -> Html | None:
    if page.status.before is None:
        return None
    return button(words, "roll-back-tuned", drawing="back", before=page.status.before or "the model as it came")


def _first_words(status: TuneStatus) -> str:
    """One sentence on what the tool has learnt and what it could prove."""
    if status.suggested is None:
        return "It has not learnt anything yet, and there is too little to learn from."
    return f"There is enough to learn from for “{TIERS[status.suggested][0].lower()}”."


# --- what it knows ---------------------------------------------------------------------------------------------------


def _known(page: Improvement) -> Html:
    status = page.status
    pairs = {source: number for source, number in status.pairs.items() if number}
    total = sum(pairs.values())
    of = f" about {count(status.documents, 'document')}" if total else ""
    return tag(
        "article",
        tag("h2", f"{count(total, 'pair')} of question and passage to learn from{of}"),
        tag("ul", *(tag("li", f"{pairs[source]:,} {words}") for source, words in _SOURCES.items() if source in pairs))
        if pairs
        else None,
        tag("p", _provable(status)),
        None if pairs.get("feedback") else _teach(),
        class_="model",
    )


def _provable(status: TuneStatus) -> Html:
    """What its questions for judging are worth."""
    kept = tag("a", count(status.questions, "kept question"), href="#evaluate")
    if status.detectable is None:
        return join(["There is no question to judge by yet (", kept, "), so no gain could be proven."])
    words = f"that could prove a gain of {score(status.detectable)} nDCG@10 or more; smaller ones stay undecided."
    return join([f"{count(status.gate, 'question')} to judge by (", kept, f" and what you asked lately) {words}"])


def _teach() -> Html:
    steps = (
        "Ask and search as you always do.",
        "Give an answer a thumb up when its sources were right; press “This was it” on the source that had it.",
        "Press “Wrong source” where one has nothing to do with the question. That teaches as much.",
    )
    return tag(
        "div",
        tag("h3", "What thumbs are for"),
        tag("p", "Each one makes a pair: what you asked, and the passage that answers it."),
        tag("ol", *(tag("li", step) for step in steps), class_="steps"),
        tag("p", tag("a", "Go to the chat", href="#chat", class_="plain")),
        class_="teach",
    )


# --- what could be trained -------------------------------------------------------------------------------------------


def _tiers(page: Improvement) -> Html:
    rows = (_tier(each, page) for each in page.status.tiers)
    return tag("section", tag("h2", "What it could learn"), *rows, class_="offers")


def _tier(each: TierStatus, page: Improvement) -> Html:
    name, about = TIERS[each.tier]
    suggested = each.tier == page.status.suggested
    mark = tag("span", "suggested", class_="chip mark") if suggested else None
    return tag(
        "article",
        tag(
            "div",
            tag("p", tag("strong", name), tag("span", f"tier {each.tier}", class_="chip"), mark, class_="offer-name"),
            tag("p", about),
            tag("p", sentence(each.needs or each.note), class_="small-print") if each.needs or each.note else None,
            class_="offer-body",
        ),
        tag("div", _train(each, page, suggested=suggested), class_="offer-do"),
        class_="offer",
        aria_label=name,
    )


def _train(each: TierStatus, page: Improvement, *, suggested: bool) -> Html | None:
    if page.busy:
        return None
    if each.unlocked:
        return button("Train", "train", look="primary" if suggested else "plain", tier=each.tier)
    return button("Train anyway", "train-anyway", look="quiet", tier=each.tier, needs=sentence(each.needs))


# --- what was made of it ---------------------------------------------------------------------------------------------


def _made(page: Improvement) -> Html | None:
    """The newest, and folded away the others."""
    if not page.made:
        return None
    newest, *older = (_candidate(each, page) for each in page.made)
    folded = tag("details", tag("summary", f"{len(older):,} learnt earlier"), *older, data_fold="learnt-earlier")
    return join([tag("h2", "What it learnt"), newest, folded if older else None])


def _candidate(each: Made, page: Improvement) -> Html:
    candidate, verdict = each.candidate, each.verdict
    live = page.status.live is not None and page.status.live.name == candidate.name
    facts = f"{candidate.name} · {when(candidate.created)} · from {count(candidate.pairs, 'pair')}"
    curves = render_curves([step for step in each.steps if step.stage == "train"], "Learning")
    learnt = tag("details", tag("summary", "How it learnt"), curves, data_fold=f"curve-{candidate.name}")
    return tag(
        "article",
        tag("h3", TIERS[candidate.tier][0], *_marks(verdict, live=live)),
        tag("p", facts, class_="small-print"),
        render_verdict(verdict, f"figures-{candidate.name}") if verdict else None,
        tag("div", *_buttons(each, page, live=live), class_="actions"),
        learnt if curves else None,
        class_="model candidate",
        data_candidate=candidate.name,
    )


def _marks(verdict: Verdict | None, *, live: bool) -> list[Html]:
    words = [WORDS[verdict.outcome] if verdict else "not judged", *(["searches now"] if live else [])]
    looks = [f"chip mark {verdict.outcome.lower()}" if verdict else "chip", "chip mark"]
    return [tag("span", word, class_=look) for word, look in zip(words, looks, strict=False)]


def _buttons(each: Made, page: Improvement, *, live: bool) -> list[Html]:
    name, verdict = each.candidate.name, each.verdict
    drawn = link_button("Map", f"/improve/{name}/map", drawing="gallery", look="plain", data_open=True)
    buttons = [drawn] if each.mapped else []
    if page.busy:
        return buttons
    if verdict is not None and verdict.outcome == "PASS" and not live:
        buttons.insert(0, button("Use it", "swap", look="primary", drawing="check", name=name))
    if not live:
        again = "Judge it again" if verdict else "Judge it"
        buttons.append(button(again, "judge", look="quiet" if verdict else "plain", name=name))
    if not each.mapped:
        buttons.append(button("Draw the map", "draw-map", look="quiet", drawing="gallery", name=name))
    if not live and (verdict is None or verdict.outcome != "PASS"):
        why = "It was not judged" if verdict is None else f"The gate’s verdict: {WORDS[verdict.outcome]}"
        buttons.append(button("Use it anyway", "swap-anyway", look="quiet", name=name, why=why))
    return buttons


# --- the lab ---------------------------------------------------------------------------------------------------------


def _lab(page: Improvement) -> Html:
    report = link_button("Open the report", "/improve/lab", drawing="open", look="plain", data_open=True)
    words = "Run it again" if page.lab else "Run it"
    return tag(
        "article",
        tag("h2", "The lab"),
        tag(
            "p",
            "How learning from pairs works, shown whole on small pictures of digits: five losses, the space before and "
            "after, nearest neighbours. A few minutes on two cores; it has nothing to do with your library.",
            class_="reason",
        ),
        tag(
            "div",
            report if page.lab else None,
            None if page.busy else button(words, "run-lab", look="quiet" if page.lab else "plain"),
            class_="actions",
        ),
        class_="model",
    )


def tier_of(word: str) -> Tier | None:
    """The tier that a page names, None where there is none of that name."""
    known: Mapping[str, Tier] = {tier: tier for tier in TIERS}
    return known.get(word)
