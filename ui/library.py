"""The Library page: the table of documents, the queue of jobs, and what could not be taken in."""

from collections.abc import Callable, Sequence
from typing import Any

from rag.records import AddReport, DocumentInfo, Failure, Kind, Progress
from rag.text import duration
from ui.controls import button, icon_button, job_card
from ui.html import Html, tag
from ui.icons import KIND_NAMES, icon, kind_icon
from ui.jobs import Job
from ui.links import document_address, picture_address, preview_address
from ui.words import count, day, file_name, folder, sentence

_ROWS = 200  # drawn at once; the filter reaches all
_THUMB = 40  # pixels of a side
_COLUMNS: tuple[tuple[str, str, Callable[[DocumentInfo], Any]], ...] = (
    ("title", "Title", lambda info: info.title.casefold()),
    ("folder", "Folder", lambda info: folder(info.path).casefold()),
    ("pages", "Pages", lambda info: info.pages),
    ("chunks", "Passages", lambda info: info.chunks),
    ("date", "Date", lambda info: info.date.timestamp() if info.date else 0.0),
    ("state", "State", lambda info: (len(info.warnings), info.indexed)),
)


def sort_documents(documents: Sequence[DocumentInfo], column: str, *, down: bool) -> list[DocumentInfo]:
    """By one column, ties by title; an unknown column counts as the title."""
    key = next((key for name, _, key in _COLUMNS if name == column), _COLUMNS[0][2])
    by_title = sorted(documents, key=_COLUMNS[0][2])
    return sorted(by_title, key=key, reverse=down)


def render_table(documents: Sequence[DocumentInfo], total: int, column: str, *, down: bool, rows: int = _ROWS) -> Html:
    """`documents` is what the filter left, sorted; `total` is how many there are in all."""
    if not documents:
        words = "No document matches." if total else "Nothing here yet. Drop files above, or run “rag add” on a folder."
        return tag("div", tag("p", words, class_="none"), class_="table")
    shown = documents[:rows]
    more = button(f"Show all {len(documents):,}", "more")
    return tag(
        "div",
        tag("p", _counted(len(documents), total), class_="counted", role="status"),
        tag("table", _head(column, down), tag("tbody", *(_row(info) for info in shown))),
        more if len(documents) > len(shown) else None,
        class_="table",
    )


def _counted(shown: int, total: int) -> str:
    return count(total, "document") if shown == total else f"{shown:,} of {count(total, 'document')}"


def _head(column: str, down: bool) -> Html:
    everything = tag("input", type="checkbox", data_pick="all", aria_label="Select all documents shown")
    cells = [tag("th", everything, class_="pick", scope="col")]
    for name, label, _ in _COLUMNS:
        order = None if name != column else "descending" if down else "ascending"
        button = tag("button", label, type="button", class_="sort", data_do="sort", data_column=name)
        cells.append(tag("th", button, scope="col", class_=f"col-{name}", aria_sort=order))
    return tag("thead", tag("tr", *cells))


def _row(info: DocumentInfo) -> Html:
    pick = tag("input", type="checkbox", data_pick=info.id, aria_label=f"Select {info.title}")
    address = picture_address(info.id, 1) if _is_picture(info) else document_address(info.id)
    title = tag("a", info.title, href=address, data_open=True, class_="title", dir="auto")
    name = None if file_name(info.path) == info.title else tag("span", file_name(info.path), class_="file")
    return tag(
        "tr",
        tag("td", pick, class_="pick"),
        tag("td", tag("div", _drawing(info, address), tag("span", title, name, class_="names"), class_="titled")),
        tag("td", folder(info.path), class_="col-folder", title=info.path),
        tag("td", info.pages or "", class_="number col-pages"),
        tag("td", info.chunks, class_="number col-chunks"),
        tag("td", day(info.date), class_="col-date"),
        tag("td", _state(info), class_="col-state"),
    )


def _is_picture(info: DocumentInfo) -> bool:
    return info.kind == "image" and info.pages <= 1


def _drawing(info: DocumentInfo, address: str) -> Html:
    """The icon of a kind; of a picture, the picture itself. The title beside it is the link that is heard of."""
    if info.kind != "image":
        return kind_icon(info.kind)
    source = preview_address(info.id, 1, info.sha256)
    shown = tag("img", src=source, alt="", width=_THUMB, height=_THUMB, loading="lazy", decoding="async")
    return tag(
        "a", shown, href=address, class_="thumb", data_open=True, data_view=True, tabindex=-1, aria_hidden="true"
    )


def _state(info: DocumentInfo) -> Html:
    if info.warnings:
        return tag("span", icon("warning"), "in part", class_="state partly", title=" ".join(info.warnings))
    return tag("span", icon("check"), "indexed", class_="state", title=f"indexed {day(info.indexed)}")


def render_kinds(field: str) -> Html:
    """Chips to narrow by kind; none pressed means all. The page keeps which are pressed."""
    chips = (_kind_chip(kind, field) for kind in KIND_NAMES)
    return tag("div", *chips, class_="kinds", role="group", aria_label="Kinds")


def _kind_chip(kind: Kind, field: str) -> Html:
    return tag(
        "button",
        icon(kind),
        tag("span", "Pictures" if kind == "image" else KIND_NAMES[kind]),
        type="button",
        class_="kind-chip",
        aria_pressed="false",
        data_do="kind",
        data_kind=kind,
        data_field=field,
    )


# --- jobs and failures -------------------------------------------------------------------------------------------


def render_jobs(jobs: Sequence[Job]) -> Html:
    """The queue, newest first, each job with its progress or its result."""
    return tag("div", *(_job(job) for job in jobs), class_="jobs")


def _job(job: Job) -> Html:
    stop, dismiss = (
        button("Stop", "stop-job", drawing="stop", job=job.number),
        icon_button("close", "Dismiss", "dismiss", job=job.number),
    )
    control = stop if job.live else dismiss
    return job_card(job_line(job), _details(job), control, job.state, failed=bool(job.error), job=job.number)


def job_line(job: Job) -> str:
    """One sentence on where a job stands."""
    if job.work == "look" and not job.error:
        return _looking_line(job)
    files = file_name(job.paths[0]) if len(job.paths) == 1 else count(len(job.paths), "file")
    if job.error:
        return sentence(job.error)
    if job.report:
        return _result(job.report, stopped=job.state == "stopped")
    if job.stop.is_set():
        return f"Stopping after the file in hand: {files}"
    if job.state == "waiting":
        return f"Waiting: {files}"
    if job.state == "stopped":
        return f"Stopped before it began: {files}"
    progress = job.progress
    if progress is None or not progress.total:
        return f"Reading {files}"
    if progress.stage == "look":
        return _looking_pace(progress)
    parts = [f"Reading {file_name(progress.path)}", f"{progress.done:,} of {count(progress.total, 'file')}"]
    return " · ".join([*parts, *_pace(progress, "files")])


def _pace(progress: Progress, things: str) -> list[str]:
    parts = []
    if progress.seconds >= 1 and progress.done:
        parts.append(f"{progress.done / progress.seconds:.1f} {things}/s")
    if progress.seconds_left is not None:
        parts.append(f"{duration(progress.seconds_left)} left")
    return parts


def looking_words(progress: Progress) -> str:
    """`looking at pictures 40 of 200`."""
    return f"looking at pictures {progress.done:,} of {progress.total:,}"


def _looking_line(job: Job) -> str:
    if job.looked is not None:
        seen = f"looked at {count(job.looked, 'picture')}"
        return f"Stopped: {seen}; the others follow with the next start" if job.state == "stopped" else sentence(seen)
    if job.state == "stopped":
        return "Stopped before the first picture was looked at"
    if job.stop.is_set():
        return "Stopping after the pictures in hand"
    if job.progress is None or not job.progress.total:
        return "Pictures wait to be looked at" if job.state == "waiting" else "Looking at pictures"
    return _looking_pace(job.progress)


def _looking_pace(progress: Progress) -> str:
    return " · ".join([sentence(looking_words(progress)).rstrip("."), *_pace(progress, "pictures")])


def _result(report: AddReport, *, stopped: bool) -> str:
    counts = (
        ("added", report.added),
        ("updated", report.updated),
        ("unchanged", report.unchanged),
        ("skipped", report.skipped),
        ("failed", report.failed),
    )
    said = ", ".join(f"{len(paths):,} {word}" for word, paths in counts if paths) or "nothing to read"
    return f"{'Stopped: ' if stopped else ''}{said} in {duration(report.seconds)}"


def _details(job: Job) -> Html | None:
    if job.state == "running":
        progress = job.progress
        known = progress is not None and progress.total > 0
        return tag(
            "progress",
            max=progress.total if progress and known else None,
            value=progress.done if progress and known else None,
            aria_label="Looking at pictures" if job.work == "look" else "Indexing",
        )
    report = job.report
    if report is None:
        return None
    lines = [tag("li", file_name(path)) for path in (*report.added, *report.updated)[:3]]
    lines += [tag("li", f"{file_name(path)}: this kind of file is not read", class_="bad") for path in report.skipped]
    lines += [
        tag("li", f"{file_name(f.path)}: {sentence(f.error)}", class_="bad") for f in (*report.failed, *report.warnings)
    ]
    return tag("ul", *lines) if lines else None


def render_failures(failures: Sequence[Failure]) -> Html:
    """Files that could not be taken in, with the reason and a retry; nothing when there are none."""
    if not failures:
        return Html("")
    rows = (
        tag(
            "li",
            tag(
                "div",
                tag("strong", file_name(f.path)),
                tag("span", f.path, class_="where"),
                tag("p", sentence(f.error)),
            ),
            button("Try again", "reread", drawing="retry", file=f.path),
        )
        for f in failures
    )
    heading = tag("h2", icon("warning"), f"{count(len(failures), 'file')} could not be read")
    return tag("section", heading, tag("ul", *rows), class_="failures", aria_label="Files that could not be read")
