"""The top of every page: what is in the library and which models run where."""

from dataclasses import dataclass

from rag.records import Progress, Status
from ui.controls import icon_button
from ui.html import Html, join, tag
from ui.icons import icon
from ui.library import looking_words
from ui.words import count, model_name

_PLACES = (
    ("chat", "Chat"),
    ("library", "Library"),
    ("search", "Search"),
    ("improve", "Improve"),
    ("evaluate", "Evaluate"),
    ("models", "Models"),
)


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


def turn_on() -> str:
    """How to turn picture understanding on."""
    return (
        "Pictures are found by the words in them and around them. To find them by what they show, get a model for that "
        "on the Models page."
    )


def render_off(status: Status) -> Html | None:
    """One calm line where picture understanding is off and there are pictures; else nothing."""
    return None if sees(status) or not status.pictures else tag("p", turn_on(), class_="aside off")


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
    blind = tag("a", "picture understanding off", href="#models", title=turn_on()) if off else None
    now = tag("span", looking_words(looking), class_="loading") if looking and looking.total else None
    return join([*map(_fact, [*facts, *(model_name(model) for model in status.models)]), blind, now])


def _fact(words: str) -> Html:
    return tag("span", words)
