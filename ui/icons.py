"""The icons, drawn for this program on a 24-unit grid in strokes of the current colour."""

from rag.records import Kind
from ui.html import Html, tag

_STROKES = {
    "note": "M6 3h9l4 4v14H6zM15 3v4h4M9 12h7M9 16h5",
    "text": "M6 3h12v18H6zM9 8h6M9 12h6M9 16h4",
    "web": "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18M3.5 9h17M3.5 15h17M12 3c-5 5-5 13 0 18M12 3c5 5 5 13 0 18",
    "pdf": "M6 3h9l4 4v14H6zM15 3v4h4M9 17v-5h1.6a1.5 1.5 0 0 1 0 3H9M14 12v5M14 12h2.5M14 14.5h2",
    "mail": "M3 6h18v13H3zM3 7l9 7l9-7",
    "image": "M4 5h16v14H4zM4 16l5-5l4 4l3-3l4 4M15 9.5h.5",
    "chat": "M4 5h16v11H9l-5 4z",
    "library": "M5 4v16M9 4v16M13 4v16M17 5l3 14.5",
    "search": "M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13M15.5 15.5L21 21",
    "improve": "M4 18l6-6l4 4l7-8M15 8h6v6",
    "evaluate": "M4 4h16v16H4zM8 16v-4M12 16V8M16 16v-6",
    "keep": "M7 4h10v16l-5-4l-5 4z",
    "models": "M7 7h10v10H7zM10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17 10h4M17 14h4",
    "plus": "M12 5v14M5 12h14",
    "pencil": "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
    "bin": "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
    "clip": "M19 11l-7.5 7.5a4.5 4.5 0 0 1-6.4-6.4L13 4.3a3 3 0 0 1 4.3 4.3l-7.8 7.8a1.5 1.5 0 0 1-2.2-2.1L14 7.6",
    "send": "M12 19V5M6 11l6-6l6 6",
    "stop": "M7 7h10v10H7z",
    "copy": "M9 9h11v11H9zM5 15H4V4h11v1",
    "retry": "M19 12a7 7 0 1 1-2-5M19 3v5h-5",
    "open": "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
    "close": "M6 6l12 12M18 6L6 18",
    "menu": "M4 7h16M4 12h16M4 17h16",
    "warning": "M12 4l9 16H3zM12 10v4.5M12 17v.5",
    "tray": "M4 14v6h16v-6M12 3v11M7.5 9.5L12 14l4.5-4.5",
    "check": "M5 12.5l4.5 4.5L19 7.5",
    "gallery": "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
    "pin": "M8 4h8M10 4v6l-3 4h10l-3-4V4M12 14v6",
    "thumb-up": "M4 11h3v9H4zM7 11l4-8a2.4 2.4 0 0 1 2.4 2.4V9h5.2a2 2 0 0 1 2 2.3l-1.1 7a2 2 0 0 1-2 1.7H7",
    "thumb-down": "M4 4h3v9H4zM7 13l4 8a2.4 2.4 0 0 0 2.4-2.4V15h5.2a2 2 0 0 0 2-2.3l-1.1-7a2 2 0 0 0-2-1.7H7",
    "alike": "M3 6h12v12H3zM7 3h14v13",
    "back": "M14 5l-7 7l7 7",
    "forth": "M10 5l7 7l-7 7",
}

KIND_NAMES: dict[Kind, str] = {
    "note": "Note",
    "text": "Text",
    "web": "Web page",
    "pdf": "PDF",
    "mail": "Mail",
    "image": "Picture",
}


def icon(name: str) -> Html:
    """The drawing `name`, hidden from screen readers: the words beside it say what it is."""
    path = tag("path", d=_STROKES[name])
    return tag("svg", path, class_="icon", viewBox="0 0 24 24", aria_hidden="true", focusable="false")


def kind_icon(kind: Kind) -> Html:
    """The icon of a kind of document, with its name for those who hear or point at it."""
    return tag(
        "span", icon(kind), class_=f"kind kind-{kind}", title=KIND_NAMES[kind], role="img", aria_label=KIND_NAMES[kind]
    )
