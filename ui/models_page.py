"""The Models page: which models run, which are installed, which would suit this machine, and what is being got."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import urlsplit

from rag.models.installed import ModelKind
from rag.models.overview import ModelRow
from rag.models.pull import Transfer
from rag.records import IndexVersion, ModelState, Progress, Status
from rag.text import duration, gigabytes
from ui.controls import button, icon_button, job_card, problem
from ui.html import Html, join, tag
from ui.model_tasks import Task
from ui.status import Warmth, sees, turn_on
from ui.words import count, device, sentence

_NO_WRITER = "There is no language model, so answers are the passages themselves. Get one below."
_ROLES: dict[str, str] = {
    "embedder": "Finds passages by meaning",
    "image embedder": "Finds pictures by what they show",
    "reranker": "Looks a second time at what was found",
    "generator": "Writes answers",
}
_FITS = {
    "gpu": "runs on the graphics card",
    "cpu": "runs on the processor",
    "slow": "runs slowly here",
    "no": "too large for this machine",
}


@dataclass(frozen=True, slots=True)
class Models:
    """What the page shows. `serving` are the names of those that run, `later` of those that will after a restart.

    `waiting` are the settings that a restart would change, as they are written.
    """

    status: Status
    warmth: Warmth
    rows: Sequence[ModelRow] = ()
    versions: Sequence[IndexVersion] = ()
    tasks: Sequence[Task] = ()
    serving: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()
    waiting: tuple[str, ...] = ()


def render_head() -> Html:
    """What stands above it all and never changes."""
    return tag(
        "section",
        tag("h1", "Models"),
        tag(
            "p",
            "Everything runs on this machine. Nothing you ask or keep is sent anywhere; only getting a model goes out.",
            class_="lede",
        ),
    )


def render_tasks(tasks: Sequence[Task]) -> Html:
    """What is going on, newest first: a part of its own, because it changes all the time."""
    return tag("div", *(_task(task) for task in tasks), class_="jobs")


def render_models(page: Models) -> Html:
    """What runs, what is installed, what could be."""
    status, warmth = page.status, page.warmth
    return tag(
        "section",
        problem(warmth.error) if warmth.error else None,
        _restart(page.waiting) if page.waiting else None,
        *(_model(model, warmth) for model in status.models),
        None if sees(status) else _absent("image embedder", turn_on()),
        None if any(model.role == "generator" for model in status.models) else _absent("generator", _NO_WRITER),
        _way_back(page),
        _installed(page),
        _offered(page),
        class_="models",
    )


def render_machine(facts: Sequence[tuple[str, str]], home: str) -> Html:
    """What this machine has: at the end, and it never changes."""
    return tag(
        "section",
        tag("h2", "This machine"),
        tag("dl", *(join([tag("dt", name), tag("dd", value)]) for name, value in facts)),
        tag("p", f"Everything is kept in {home}.", class_="aside"),
        class_="models",
    )


# --- what runs ---


def _model(model: ModelState, warmth: Warmth) -> Html:
    ready = f"{device(model)} · {model.precision} · ready"
    state = ready if model.loaded else "loading" if warmth.loading else "loads when it is needed"
    return tag(
        "article",
        tag("p", _ROLES[model.role], class_="role"),
        tag("h2", model.name),
        tag("p", state, class_="small-print"),
        tag("p", sentence(model.reason), class_="reason") if model.loaded else None,
        class_="model",
    )


def _absent(role: str, words: str) -> Html:
    """A model that is not there, and how to have one."""
    return tag(
        "article",
        tag("p", _ROLES[role], class_="role"),
        tag("h2", "None"),
        tag("p", words, class_="reason"),
        class_="model",
    )


def _restart(waiting: Sequence[str]) -> Html:
    words = f"{', '.join(waiting)} will be used from the next start of the program. What is shown here runs until then."
    return tag("p", words, class_="notice", role="status")


def _way_back(page: Models) -> Html | None:
    """The embedder that the library was searched with before, if its index is still there."""
    before = next((version for version in page.versions if version.state == "kept"), None)
    if before is None or any(task.live and task.work != "pull" for task in page.tasks):
        return None
    changed = (
        f"; {count(before.missing, 'document')} changed since and will be embedded first" if before.missing else ""
    )
    return tag(
        "p",
        tag("span", f"Before, the library was searched with {before.embedder}. Its index is kept{changed}."),
        button("Roll back", "roll-back", drawing="back", model=before.embedder),
        class_="way-back",
    )


# --- what is there, and what could be ---


def _installed(page: Models) -> Html | None:
    rows = [row for row in page.rows if row.installed]
    return join([tag("h2", "Installed"), *(_row(row, page) for row in rows)]) if rows else None


def _offered(page: Models) -> Html | None:
    """The catalogue but for what is installed, by what it is for: what is suggested, and folded away the others."""
    rows = [row for row in page.rows if not row.installed]
    groups = [_kind(kind, list(group), page) for kind, group in groupby(rows, key=lambda row: row.kind)]
    return join([tag("h2", "For this machine"), *groups]) if groups else None


def _kind(kind: ModelKind, rows: Sequence[ModelRow], page: Models) -> Html:
    first = [row for row in rows if row.suggested]
    others = [row for row in rows if not row.suggested]
    folded = tag(
        "details",
        tag("summary", count(len(others), "other") if first else count(len(others), "model")),
        *(_row(row, page) for row in others),
        data_fold=kind,
    )
    heading = tag("h3", _ROLES[kind])
    return tag("section", heading, *(_row(row, page) for row in first), folded if others else None, class_="offers")


def _row(row: ModelRow, page: Models) -> Html:
    quality = f"{row.quality} ({urlsplit(row.quality_source).netloc})" if row.quality else ""
    return tag(
        "article",
        tag(
            "div",
            tag("p", tag("strong", row.name), *_marks(row, page), class_="offer-name"),
            tag("p", row.about) if row.about else None,
            tag("p", " · ".join(_facts(row)), class_="small-print"),
            tag("p", quality, class_="small-print") if quality else None,
            class_="offer-body",
        ),
        tag("div", *_buttons(row, page), class_="offer-do"),
        class_="offer",
        aria_label=row.name,
    )


def _marks(row: ModelRow, page: Models) -> list[Html]:
    words = []
    if row.name in page.serving:
        words.append("in use")
    elif row.name in page.later:
        words.append("from the next start")
    elif row.used:
        words.append("an index of it is kept")
    if row.suggested and not row.installed:
        words.append("suggested")
    return [tag("span", word, class_="chip mark") for word in words]


def _facts(row: ModelRow) -> list[str]:
    known = [
        _ROLES[row.kind].lower() if row.installed else "",
        gigabytes(row.bytes) + ("" if row.installed else " to get"),
        f"about {gigabytes(row.memory)} of memory",
        _FITS[row.fit],
        "looks at pictures too" if row.sees else "",
        row.languages,
        f"licence {row.licence}" if row.licence else "",
        "its licence has to be accepted on the hub first" if row.gated else "",
    ]
    return [fact for fact in known if fact]


def _buttons(row: ModelRow, page: Models) -> list[Html]:
    if any(task.live and task.model == row.name for task in page.tasks):
        return []
    if not row.installed:
        return [] if row.fit == "no" else [button("Pull", "pull-model", drawing="tray", model=row.name)]
    serves = row.name in page.serving or row.name in page.later
    buttons = []
    if not serves:
        buttons.append(button("Use", "use-model", drawing="check", model=row.name, kind=row.kind))
    if not (serves or row.used):
        buttons.append(button("Remove", "remove-model", drawing="bin", look="quiet", model=row.name))
    return buttons


# --- what is going on ---


def _task(task: Task) -> Html:
    stop, dismiss = (
        button("Stop", "stop-task", drawing="stop", task=task.number),
        icon_button("close", "Dismiss", "dismiss-task", task=task.number),
    )
    control = stop if task.live else dismiss
    return job_card(task_line(task), _bar(task), control, task.state, failed=bool(task.error))


def _bar(task: Task) -> Html | None:
    if task.state != "running":
        return None
    done, total = (task.told.done, task.told.total) if task.told else (0, 0)
    name = "Getting the model" if task.work == "pull" else "Embedding the library"
    return tag("progress", value=done, max=total, aria_label=name) if total else tag("progress", aria_label=name)


def task_line(task: Task) -> str:
    """One sentence on where a task stands."""
    if task.error:
        return sentence(task.error)
    if task.live and task.stop.is_set():
        return "Stopping"
    return _pull_line(task) if task.work == "pull" else _switch_line(task)


def _pull_line(task: Task) -> str:
    told = task.told if isinstance(task.told, Transfer) else None
    if task.state == "waiting":
        return f"Waiting: {task.model}"
    if task.state == "done":
        return f"{task.model} is installed."
    if task.state == "stopped":
        kept = f"; {gigabytes(told.done)} are kept, and Pull goes on" if told and told.done else ""
        return f"Stopped getting {task.model}{kept}."
    if told is None or not told.total:
        return f"Getting {task.model}"
    parts = [f"Getting {task.model}", f"{gigabytes(told.done)} of {gigabytes(told.total)}"]
    if told.rate:
        parts.append(f"{told.rate / 1e6:.1f} MB/s")
    if told.seconds_left is not None and told.done < told.total:
        parts.append(f"{duration(told.seconds_left)} left")
    return " · ".join(parts)


def _switch_line(task: Task) -> str:
    what = task.model or "the model before"
    if task.state == "waiting":
        return f"Waiting: to embed the library with {what}"
    if task.state == "done":
        name = task.report.embedder if task.report else what
        return f"{name} searches the library now."
    if task.state == "stopped":
        return f"Stopped: the library is searched as before. What is embedded with {what} is kept, and Use goes on."
    pace = _pace(task.told) if isinstance(task.told, Progress) else []
    return " · ".join([f"Embedding the library with {what}", *pace])


def _pace(progress: Progress) -> list[str]:
    if not progress.total:
        return []
    left = [f"{duration(progress.seconds_left)} left"] if progress.seconds_left is not None else []
    return [f"{progress.done:,} of {count(progress.total, 'passage')}", *left, "searching goes on with the old one"]
