"""The top of every page, and the Models page: what is in the library and which models run where."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag.records import ModelState, Status
from ui.controls import icon_button, problem
from ui.html import Html, join, tag
from ui.icons import icon
from ui.words import count, device, model_name, sentence

_PLACES = (("chat", "Chat"), ("library", "Library"), ("search", "Search"), ("models", "Models"))
_ROLES = {"embedder": "Finds passages by meaning", "generator": "Writes answers"}


@dataclass(frozen=True, slots=True)
class Warmth:
    """How far the models have come since the start: loading, ready, or the reason why not."""

    loading: bool = True
    error: str | None = None


def render_header() -> Html:
    """Name and places; it never changes. The status line is a part of its own."""
    places = (tag("a", icon(name), tag("span", label), href=f"#{name}", data_place=name) for name, label in _PLACES)
    return tag(
        "header",
        icon_button("menu", "Show or hide the conversations", "list", look="round list-toggle"),
        tag("a", "Commonplace", href="#chat", class_="brand"),
        tag("nav", *places, class_="places", aria_label="Places"),
        class_="top",
    )


def status_line(status: Status, warmth: Warmth) -> Html:
    """`38 documents · 412 passages · MiniLM-L6-v2 on CPU · SmolLM2-135M on CPU`, or what is being waited for."""
    facts = [count(status.documents, "document"), count(status.chunks, "passage")]
    if warmth.error:
        words = tag("span", "models could not be loaded", class_="trouble", title=warmth.error)
        return join([*map(_fact, facts), tag("a", words, href="#models")])
    if warmth.loading:
        return join([*map(_fact, facts), tag("span", "loading models", class_="loading")])
    return join([*map(_fact, [*facts, *(model_name(model) for model in status.models)])])


def _fact(words: str) -> Html:
    return tag("span", words)


def render_models(status: Status, warmth: Warmth, machine: Sequence[tuple[str, str]]) -> Html:
    """Which model does what, where, at which precision and why; then the facts of the machine."""
    trouble = problem(warmth.error) if warmth.error else None
    return tag(
        "section",
        tag("h1", "Models"),
        tag("p", "Everything runs on this machine. Nothing you ask or keep is sent anywhere.", class_="lede"),
        trouble,
        *(_model(model, warmth) for model in status.models),
        None if any(model.role == "generator" for model in status.models) else _no_writer(),
        tag("h2", "This machine"),
        tag("dl", *(join([tag("dt", name), tag("dd", value)]) for name, value in machine)),
        tag("p", f"Everything is kept in {status.home}.", class_="aside"),
        class_="models",
    )


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


def _no_writer() -> Html:
    words = "There is no language model, so answers are the passages themselves. Set “generator” in rag.toml."
    role, name = tag("p", _ROLES["generator"], class_="role"), tag("h2", "None")
    return tag("article", role, name, tag("p", words, class_="reason"), class_="model")
