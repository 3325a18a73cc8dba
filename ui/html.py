"""HTML that cannot be injected into: plain strings are escaped, only `Html` is taken as it is.

Whatever comes from documents, file names or the model is a plain `str`, so it is always escaped. Addresses in
`href`, `src` and `action` must be our own (they begin with "/" or "#"), so no text can send a reader elsewhere.
"""

import html
from collections.abc import Iterable

from rag.text import visible

Attribute = str | int | float | bool | None

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
_ADDRESSES = frozenset({"href", "src", "action"})


class Html(str):
    """A piece of markup that was made here. Never build one from text that came from elsewhere."""

    __slots__ = ()


def escape(text: object) -> Html:
    """`text` as inert characters; what UTF-8 cannot carry (lone surrogates of odd file names) becomes "?".

    What is not seen, or turns the direction of what follows round, is left out.
    """
    clean = visible(str(text).replace("\x00", "�")).encode("utf-8", "replace").decode("utf-8")
    return Html(html.escape(clean, quote=True))


def join(parts: Iterable[object], separator: str = "") -> Html:
    """The parts after one another; each that is not `Html` is escaped, None is left out."""
    return Html(separator.join(_piece(part) for part in parts if part is not None))


def tag(name: str, /, *children: object, **attributes: Attribute) -> Html:
    """`<name attributes>children</name>`.

    Underscores in attribute names become hyphens, a trailing one is dropped (`class_`, `aria_label`). True writes
    the bare attribute; False and None leave it out.

    Raises:
        ValueError: an address that is not our own.
    """
    written = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    opening = f"<{name}{written}>"
    return Html(opening) if name in _VOID else Html(f"{opening}{join(children)}</{name}>")


def _piece(part: object) -> str:
    return part if isinstance(part, Html) else escape(part)


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    if name in _ADDRESSES and not _is_ours(str(value)):
        raise ValueError(f"{name}={value!r} is not an address of this program")
    return f' {name}="{escape(value)}"'


def _is_ours(address: str) -> bool:
    return address.startswith("#") or (address.startswith("/") and address[1:2] not in ("/", "\\"))
