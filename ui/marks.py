"""What a reader can say: of an answer that it helped or did not, of a source that it was the one or a wrong one.

`marks.js` is the other half: it shows a mark at once and tells the server, which may refuse it.
"""

from collections.abc import Callable

from rag.tune.records import Act
from rag.tune.standing import AGAINST, Marks
from ui.controls import button
from ui.html import Html, tag
from ui.icons import icon

MarksOf = Callable[[str], Marks]

HINT = "Your marks teach the search your words. They stay on this machine, and pressing again takes one back."


def no_marks(_: str) -> Marks:
    """Where nothing is marked."""
    return Marks()


def render_thumbs(marks: Marks) -> Html:
    """Whether the answer helped. A thumb up also counts for the sources that the answer cites."""
    return tag(
        "span",
        _mark("thumb-up", "This answer helped", "up", pressed=marks.thumb == "up"),
        _mark("thumb-down", "This answer did not help", "down", pressed=marks.thumb == "down"),
        class_="opinions",
        role="group",
        aria_label="Your opinion of the answer",
    )


def render_judgements(chunk: str, title: str, marks: Marks) -> Html:
    """What a source was for the words that were asked; `title` is what it is called."""
    acts = marks.chunks.get(chunk, frozenset())
    return tag(
        "div",
        _mark("check", "This was it", "this", pressed="this" in acts, named=True),
        _mark("close", "Wrong source", "wrong", pressed="wrong" in acts, named=True),
        _mark("pin", "Pin: never lose this for these words", "pin", pressed="pin" in acts),
        class_="opinions judgements",
        role="group",
        aria_label=f"Your opinion of {title}",
    )


def render_hint() -> Html:
    """What marks are for. It goes for good with the first mark, or when it is put away."""
    return tag("p", tag("span", HINT), button("Got it", "know-marks", look="quiet"), class_="marks-hint")


def _mark(drawing: str, words: str, act: Act, *, pressed: bool, named: bool = False) -> Html:
    """A button that is pressed or not; `named`: it shows its words beside the drawing."""
    return tag(
        "button",
        icon(drawing),
        tag("span", words) if named else None,
        type="button",
        class_="quiet opinion",
        aria_label=None if named else words,
        title=words,
        aria_pressed="true" if pressed else "false",
        data_do="mark",
        data_act=act,
        data_against=" ".join(AGAINST[act]),
    )
