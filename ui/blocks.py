"""The page: which parts it has, and which handler answers which event with which parts.

All events come from one invisible part, the bridge, to which `page.js` is tied; what a person sees and clicks is
HTML made by the render functions, so that every word of it is escaped in one place.
"""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from ui.asked import Where
from ui.controls import button, icon_button, search_field
from ui.desk import Desk
from ui.doctor import Examined, render_doctor
from ui.evaluate_events import EvaluateEvents
from ui.evaluate_page import render_evaluate_head
from ui.events import Events
from ui.html import Html, tag
from ui.icons import icon
from ui.improve_events import ImproveEvents
from ui.improve_page import render_improve_head
from ui.library import render_kinds
from ui.machine import machine_facts
from ui.models_page import render_head, render_machine
from ui.routes import SCRIPTS
from ui.search import render_results
from ui.servers import Servers, render_servers
from ui.status import render_header
from ui.welcome import drop_zone

_OF_IMPROVE = (
    "improve",
    "train",
    "go_on",
    "stop_run",
    "delete_run",
    "judge",
    "draw_map",
    "run_lab",
    "swap",
    "roll_back_tuned",
)
_OF_EVALUATE = (
    "evaluate",
    "evaluate_now",
    "stop_evaluation",
    "edit_question",
    "wrong_document",
    "pin_question",
    "remove_question",
)
_OF_KEEPING = ("kept", "keep_question")
_EVENTS = (
    "open",
    "ask",
    "attach",
    "detach",
    "stop",
    "sources",
    "find",
    "rename",
    "delete",
    "table",
    "adopt",
    "reread",
    "stop_job",
    "dismiss",
    "remove",
    "search",
    "mark",
    "pull_model",
    "use_model",
    "remove_model",
    "roll_back",
    "find_servers",
    "stop_task",
    "dismiss_task",
    "examine",
    "refresh",
    *_OF_IMPROVE,
    *_OF_EVALUATE,
    *_OF_KEEPING,
)


def build_blocks(desk: Desk) -> gr.Blocks:
    """The Gradio application for one desk."""
    with gr.Blocks(title="Commonplace", analytics_enabled=False, fill_width=True, fill_height=True) as page:
        _part("header", render_header())
        status = _part("status")
        marked = _part("marked")
        chat = _chat(desk.library.settings.max_file_mb)
        library = _library()
        searched_with, looking, results = _search()
        improve = _place("improve", render_improve_head())
        evaluate = _place("evaluate", render_evaluate_head())
        kept = _part("kept")
        with gr.Column(elem_id="place-models", elem_classes="place"):
            _part("models-head", render_head())
            model_tasks = _part("model-tasks")
            models = _part("model-list")
            servers = _part("servers", render_servers(Servers()))
            _part("machine", render_machine(machine_facts(), str(desk.library.settings.home)))
            doctor = _part("doctor", render_doctor(Examined()))
        bridge = _bridge()
        conversations, thread, live, sources, jobs_here, asked_with = chat
        notice, jobs_there, failures, table = library
        outputs: dict[str, list[gr.HTML]] = {
            "open": [conversations, thread, live, sources],
            "ask": [conversations, thread, live, sources],
            "attach": [asked_with, searched_with],
            "detach": [asked_with, searched_with],
            "stop": [],
            "sources": [sources],
            "find": [conversations],
            "rename": [conversations],
            "delete": [conversations],
            "table": [table, failures],
            "adopt": [jobs_here, jobs_there],
            "reread": [jobs_here, jobs_there],
            "stop_job": [jobs_here, jobs_there],
            "dismiss": [jobs_here, jobs_there],
            "remove": [notice],
            "search": [looking, results],
            "mark": [marked],
            "pull_model": [model_tasks, models],
            "use_model": [model_tasks, models, servers],
            "find_servers": [servers],
            "remove_model": [model_tasks, models],
            "roll_back": [model_tasks, models],
            "stop_task": [model_tasks, models],
            "dismiss_task": [model_tasks, models],
            "examine": [doctor],
            "refresh": [status, jobs_here, jobs_there, model_tasks, models],
            **dict.fromkeys(_OF_IMPROVE, improve),
            **dict.fromkeys(_OF_EVALUATE, evaluate),
            **{name: [kept] for name in _OF_KEEPING},
        }
        _wire(bridge, (Events(desk), ImproveEvents(desk), EvaluateEvents(desk)), outputs)
    result: gr.Blocks = page
    return result


def _part(name: str, value: Html | str = "") -> gr.HTML:
    return gr.HTML(value, elem_id=name, apply_default_css=False, js_on_load=None)


def _chat(limit: int) -> tuple[gr.HTML, ...]:
    with gr.Row(elem_id="place-chat", elem_classes="place"):
        conversations = _part("conversations")
        with gr.Column(elem_id="middle"):
            with gr.Column(elem_id="reading"):
                thread = _part("thread")
                live = _part("live")
            with gr.Column(elem_id="writing"):
                jobs = _part("jobs-here")
                asked_with = _part("tile-chat")
                _part("composer", _composer(limit))
        sources = _part("sources")
    return conversations, thread, live, sources, jobs, asked_with


def _library() -> tuple[gr.HTML, ...]:
    with gr.Column(elem_id="place-library", elem_classes="place"):
        _part("library-head", tag("section", tag("h1", "Library"), drop_zone()))
        jobs = _part("jobs-there")
        failures = _part("failures")
        _part("library-tools", _library_tools())
        notice = _part("notice")
        table = _part("table")
    return notice, jobs, failures, table


def _search() -> tuple[gr.HTML, ...]:
    with gr.Column(elem_id="place-search", elem_classes="place"):
        _part("search-tools", _search_tools())
        return _part("tile-search"), _part("looking"), _part("results", render_results(None))


def _place(name: str, head: Html) -> list[gr.HTML]:
    """A page of its own: what stands above it, what is going on there, and the rest."""
    with gr.Column(elem_id=f"place-{name}", elem_classes="place"):
        _part(f"{name}-head", head)
        waiting = tag("p", "Looking at what there is…", class_="waiting late", role="status")
        return [_part(f"{name}-work"), _part(f"{name}-page", waiting)]


def _bridge() -> gr.HTML:
    names = ", ".join(f"'{name}'" for name in _EVENTS)
    scripts = "".join(f'<script src="/ui/{name}"></script>' for name in SCRIPTS)
    return gr.HTML(
        "",
        elem_id="bridge",
        apply_default_css=False,
        head=scripts,
        js_on_load=f"commonplace.connect(trigger, upload, [{names}]);",
    )


def _wire(bridge: gr.HTML, handlers: Sequence[object], outputs: dict[str, list[gr.HTML]]) -> None:
    for name in _EVENTS:
        handler: Callable[..., Any] = next(getattr(each, name) for each in handlers if hasattr(each, name))
        getattr(bridge, name)(
            handler,
            inputs=None,
            outputs=outputs[name] or None,
            show_progress="hidden",
            trigger_mode="multiple",  # "always_last" forgets what the event carried
            concurrency_limit=None,
            api_visibility="private",
        )


def _composer(limit: int) -> Html:
    return tag(
        "form",
        icon_button("clip", "Add files to the library", "choose", look="round"),
        _picture_button("Ask with a picture", "chat"),
        tag("label", "Ask your library", for_="question", class_="unseen"),
        tag(
            "textarea",
            id="question",
            rows=1,
            placeholder="Ask your library",
            autocomplete="off",
            aria_keyshortcuts="/",
        ),
        icon_button("stop", "Stop", "stop", look="round stop", hint="Stop (Esc)"),
        tag("button", icon("send"), type="submit", class_="round send", aria_label="Ask", title="Ask (Enter)"),
        tag("span", "Drop here to ask with this picture", class_="drop-ask", aria_hidden="true"),
        class_="composer asks",
        data_where="chat",
        data_limit=limit,
    )


def _picture_button(label: str, where: Where) -> Html:
    hint = f"{label}: choose, paste or drop one here"
    return icon_button("image", label, "choose-picture", look="round", hint=hint, where=where)


def _library_tools() -> Html:
    return tag(
        "div",
        search_field("filter", "Filter documents by title or path", "Filter by title or path"),
        render_kinds("filter"),
        button("Remove", "remove", drawing="bin"),
        class_="tools",
    )


def _search_tools() -> Html:
    return tag(
        "section",
        tag("h1", "Search"),
        tag(
            "form",
            search_field("search", "Search your library", "Words, names, or a whole sentence", "find large"),
            _picture_button("Search with a picture", "search"),
            tag("button", icon("search"), tag("span", "Search"), type="submit", class_="primary"),
            tag("span", "Drop here to search with this picture", class_="drop-ask", aria_hidden="true"),
            class_="search-form asks",
            data_where="search",
        ),
        render_kinds("search"),
    )
