"""What works on the retriever now, with its curve of losses, and what ended before its time."""

from collections.abc import Sequence
from datetime import datetime

from rag.text import duration
from rag.tune.process import Run, Work
from rag.tune.records import Step
from ui.charts import Line, line_chart, thinned
from ui.controls import button, icon_button, job_card, problem
from ui.html import Html, join, tag
from ui.tune_tasks import is_unfinished
from ui.words import day, sentence

_RECENT = 30  # steps from which the rate is told
_WORKS: dict[Work, str] = {
    "train": "Learning",
    "embed": "Embedding the library beside the old one",
    "judge": "Judging",
    "map": "Drawing the map",
    "synth": "Writing questions",
    "lab": "The lab: digits",
}
_STAGES = {
    "collect": "gathering what there is to learn from",
    "mine": "looking for near misses",
    "train": "learning",
    "blend": "blending with the model as it came",
    "embed": "embedding the library",
    "judge": "asking the questions that were set aside",
}


def render_runs(runs: Sequence[Run], *, trouble: str = "") -> Html:
    """A card for everything that works, and for every run that ended before its time."""
    shown = [run for run in runs if run.state != "done"]
    return join([problem(trouble) if trouble else None, tag("div", *map(_card, shown), class_="jobs")])


def run_line(run: Run) -> str:
    """One sentence on where a run stands."""
    what = _WORKS[run.work] if run.work in ("lab", "map") else f"{_WORKS[run.work]} · {run.name}"
    if run.state == "failed":
        return f"{what}: {sentence(run.trouble)}"
    if run.state == "killed":
        said = f" The last it said: {sentence(run.trouble)}" if run.trouble else ""
        return f"{what} was ended from outside, or ran out of memory.{said} What searches is untouched."
    if run.state == "stopped":
        return f"{what}: stopped. What searches is untouched."
    if run.stopping:
        return f"{what}: stopping after the step in work"
    return " · ".join([what, *pace(run.steps)])


def pace(steps: Sequence[Step]) -> list[str]:
    """The stage, how many of how many, the rate and the time left, as far as they are known."""
    if not steps:
        return ["starting"]
    last = steps[-1]
    parts = [last.text or _STAGES.get(last.stage, last.stage)]
    if not last.total:
        return parts
    parts.append(f"{last.done:,} of {last.total:,}")
    recent = [step for step in steps if step.stage == last.stage][-_RECENT:]
    seconds, done = last.time - recent[0].time, last.done - recent[0].done
    if seconds > 0 and done > 0:
        parts += [_rate(done / seconds), f"{duration((last.total - last.done) * seconds / done)} left"]
    if last.loss is not None:
        parts.append(f"loss {last.loss:.3f}")
    return parts


def render_curves(steps: Sequence[Step], label: str) -> Html | None:
    """How the loss went down, and what held-out questions said meanwhile; None where nothing was measured."""
    losses = thinned([(step.time, step.loss) for step in steps if step.loss is not None])
    scores = [(step.time, step.score) for step in steps if step.score is not None]
    charts = [
        _curve("Loss", losses, label),
        _curve("nDCG@10 on questions held back", scores, label),
    ]
    found = [chart for chart in charts if chart is not None]
    return tag("div", *found, class_="curves") if found else None


def _card(run: Run) -> Html:
    curves = render_curves(run.steps, _WORKS[run.work]) if run.work == "train" else None
    return job_card(run_line(run), join([_bar(run), curves]), _controls(run), run.state, failed=run.state == "failed")


def _bar(run: Run) -> Html | None:
    if not run.live:
        return None
    last = run.last
    words = _WORKS[run.work]
    if last is None or not last.total:
        return tag("progress", aria_label=words)
    return tag("progress", value=last.done, max=last.total, aria_label=words)


def _controls(run: Run) -> Html:
    if run.live:
        words = "End it now" if run.stopping else "Stop"
        return button(words, "stop-run", drawing="stop", run=run.name)
    goes_on = {"train": "go-on", "lab": "run-lab"}.get(run.work) if run.state != "failed" else None
    return tag(
        "div",
        button("Go on", goes_on, drawing="retry", run=run.name) if goes_on else None,
        button("Delete", "delete-run", look="quiet", drawing="bin", run=run.name)
        if is_unfinished(run)
        else icon_button("close", "Dismiss", "delete-run", run=run.name),
        class_="offer-do",
    )


def _curve(name: str, points: Sequence[tuple[float, float]], label: str) -> Html | None:
    if len(points) < 2:
        return None
    took = points[-1][0] - points[0][0]
    ends = (name, f"after {duration(took)}")
    return line_chart([Line(name, points)], label=label, y_words=lambda value: f"{value:.3g}", x_ends=ends)


def _rate(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"


def when(moment: float) -> str:
    """`21 Nov 2026, 15:40`, by the clock on this machine's wall."""
    date = datetime.fromtimestamp(moment)
    return f"{day(date)}, {date:%H:%M}"
