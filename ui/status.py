"""The top of every page, and the Models page: what is in the library and which models run where."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.records import ModelState, Progress, Status
from ui.controls import icon_button, problem
from ui.html import Html, join, tag
from ui.icons import icon
from ui.library import looking_words
from ui.words import count, device, model_name, sentence

_NO_WRITER = "There is no language model, so answers are the passages themselves. Set “generator” in rag.toml."
_PLACES = (("chat", "Chat"), ("library", "Library"), ("search", "Search"), ("models", "Models"))
_ROLES = {
    "embedder": "Finds passages by meaning",
    "image embedder": "Finds pictures by what they show",
    "generator": "Writes answers",
}


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


def sees(status: Status) -> bool:
    """Whether pictures are found by what they show."""
    return any(model.role == "image embedder" for model in status.models)


def turn_on(status: Status) -> str:
    """How to turn picture understanding on."""
    return (
        "Pictures are found by the words in them and around them. To find them by what they show, put an open_clip "
        f"model into {Path(status.home) / 'models'} (see README)."
    )


def render_off(status: Status) -> Html | None:
    """One calm line where picture understanding is off and there are pictures; else nothing."""
    return None if sees(status) or not status.pictures else tag("p", turn_on(status), class_="aside off")


def status_line(status: Status, warmth: Warmth, looking: Progress | None = None) -> Html:
    """`38 documents · 412 passages · 40 pictures · MiniLM-L6-v2 on CPU · …`, or what is being waited for."""
    facts = [count(status.documents, "document"), count(status.chunks, "passage")]
    facts += [count(status.pictures, "picture")] if status.pictures else []
    if warmth.error:
        words = tag("span", "models could not be loaded", class_="trouble", title=warmth.error)
        return join([*map(_fact, facts), tag("a", words, href="#models")])
    if warmth.loading:
        return join([*map(_fact, facts), tag("span", "loading models", class_="loading")])
    off = status.pictures and not sees(status)
    blind = tag("a", "picture understanding off", href="#models", title=turn_on(status)) if off else None
    now = tag("span", looking_words(looking), class_="loading") if looking and looking.total else None
    return join([*map(_fact, [*facts, *(model_name(model) for model in status.models)]), blind, now])


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
        None if sees(status) else _absent("image embedder", turn_on(status)),
        None if any(model.role == "generator" for model in status.models) else _absent("generator", _NO_WRITER),
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


def _absent(role: str, words: str) -> Html:
    """A model that is not there, and how to have one."""
    return tag(
        "article",
        tag("p", _ROLES[role], class_="role"),
        tag("h2", "None"),
        tag("p", words, class_="reason"),
        class_="model",
    )
