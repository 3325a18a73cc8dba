"""Buttons and fields, so that each of them has a name, a type and an action, and looks like its kin."""

from typing import Literal

from ui.html import Attribute, Html, tag
from ui.icons import icon
from ui.words import sentence

Look = Literal["plain", "quiet", "primary", "round"]


def button(words: str, action: str, *, drawing: str = "", look: Look = "plain", **data: Attribute) -> Html:
    """A button that does `action` (a name in page.js); `data` becomes `data-*` attributes for it."""
    return tag(
        "button",
        icon(drawing) if drawing else None,
        tag("span", words),
        type="button",
        class_=look,
        data_do=action,
        **{f"data_{name}": value for name, value in data.items()},
    )


def icon_button(
    drawing: str, label: str, action: str, *, look: str = "quiet", hint: str = "", **data: Attribute
) -> Html:
    """A button that shows only a drawing; `label` is what screen readers say."""
    return tag(
        "button",
        icon(drawing),
        type="button",
        class_=look,
        aria_label=label,
        title=hint or label,
        data_do=action,
        **{f"data_{name}": value for name, value in data.items()},
    )


def link_button(words: str, address: str, *, drawing: str, look: Look = "quiet", **more: Attribute) -> Html:
    """A link that looks like a button: it leads to another address instead of doing something here."""
    return tag("a", icon(drawing), tag("span", words), href=address, class_=look, **more)


def search_field(name: str, label: str, placeholder: str, look: str = "find") -> Html:
    """A field that page.js reads as it is typed in."""
    return tag(
        "input",
        type="search",
        class_=look,
        placeholder=placeholder,
        aria_label=label,
        data_field=name,
        autocomplete="off",
    )


def problem(words: str, *more: object) -> Html:
    """What went wrong, in a sentence with its remedy, next to what caused it."""
    return tag("div", icon("warning"), tag("p", sentence(words)), *more, class_="problem", role="alert")


def job_card(line: object, more: Html | None, control: Html, state: str, *, failed: bool, **data: Attribute) -> Html:
    """Long work or its result: what it is, how far it is, and the button that stops or dismisses it."""
    return tag(
        "div",
        tag("div", tag("p", line, class_="job-line"), more, class_="job-body"),
        control,
        class_=f"job job-{state}",
        **{f"data_{name}": value for name, value in data.items()},
        data_state=state,
        role="alert" if failed else "status",
    )
