"""What a camera and its owner wrote into a picture: EXIF, IPTC, XMP, and the text chunks of PNG.

All of it is optional, comes in many dialects and is often broken. What cannot be read is left out.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rag.ingest.document import parsed_date
from rag.text import encodable, one_line

if TYPE_CHECKING:
    from lxml.etree import _Element
    from PIL.ImageFile import ImageFile

_LONGEST = 2000  # characters of a caption
_LONGEST_FACT = 100  # of a camera's name, a keyword
_MOST_TAGS = 100

# EXIF 2.32 (CIPA DC-008), the XP tags from Microsoft
_DESCRIPTION, _MAKE, _MODEL, _MODIFIED, _EXIF, _GPS = 0x010E, 0x010F, 0x0110, 0x0132, 0x8769, 0x8825
_XP_TITLE, _XP_COMMENT, _XP_KEYWORDS = 0x9C9B, 0x9C9C, 0x9C9E
_TAKEN, _DIGITIZED, _OFFSET, _OFFSET_TAKEN, _OFFSET_DIGITIZED = 0x9003, 0x9004, 0x9010, 0x9011, 0x9012
_SECONDS, _F_NUMBER, _ISO, _FOCAL_LENGTH, _FOCAL_LENGTH_35, _LENS = 0x829A, 0x829D, 0x8827, 0x920A, 0xA405, 0xA434
_NORTH_OR_SOUTH, _LATITUDE, _EAST_OR_WEST, _LONGITUDE = 1, 2, 3, 4
_IPTC_TITLE, _IPTC_KEYWORDS, _IPTC_CAPTION = (2, 5), (2, 25), (2, 120)  # IPTC-IIM 4.2

_XMP = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
}
_DATE = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?\s*(Z|[+-]\d\d:?\d\d)?")
_OFFSET_FORM = re.compile(r"[+-]\d\d:\d\d")
# What devices and programs write into every picture says nothing about this one.
_SENSELESS = re.compile(
    r"(?:(?:olympus|sony|samsung|minolta|konica minolta|kodak|nikon|canon|casio|pentax|fujifilm|digital|dsc)\W*)?"
    r"(?:digital camera|dsc|digital still camera|camera|cof|hdr\w*|default|screenshot|image|untitled|\W*)|"
    r"dcim\\.*|(?:created|edited) with .*|creator: gd-jpeg.*|file written by .*|ascii\W*|sdr|rptfph|oznor\w*|edf",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """`title` and `caption` may be ""; `date` is aware where the camera knew its time zone, else local time, naive.

    `fields` are for people to read: Camera, Lens, Exposure and Place ("48.8584, 2.2945": latitude, longitude).
    """

    title: str = ""
    caption: str = ""
    tags: tuple[str, ...] = ()
    date: datetime | None = None
    fields: tuple[tuple[str, str], ...] = ()


def facts(image: "ImageFile", location: bool) -> Facts:
    """What is written in `image` beside its pixels; `location`: also where it was taken. Raises nothing."""
    exif, details, gps = _exif(image)
    iptc, xmp = _iptc(image), _Xmp(image.info.get("xmp"))
    chunks = image.info if image.format == "PNG" else {}
    place = _place(gps) if location else ""
    named = (("Camera", _camera(exif)), ("Lens", _words(details.get(_LENS))), ("Exposure", _exposure(details)))
    return Facts(
        title=_first(xmp.text("dc:title"), iptc.get(_IPTC_TITLE), _wide(exif.get(_XP_TITLE)), chunks.get("Title")),
        caption=_first(
            xmp.text("dc:description"),
            iptc.get(_IPTC_CAPTION),
            exif.get(_DESCRIPTION),
            _wide(exif.get(_XP_COMMENT)),
            chunks.get("Description"),
            chunks.get("Comment"),
        ),
        tags=_tags(xmp.texts("dc:subject"), iptc.get(_IPTC_KEYWORDS), _wide(exif.get(_XP_KEYWORDS)).split(";")),
        date=_taken(exif, details) or xmp.date() or _date(chunks.get("Creation Time")),
        fields=tuple((name, value) for name, value in (*named, ("Place", place)) if value),
    )


def drawing_facts(data: bytes) -> Facts:
    """The title and the description of an SVG. Raises nothing."""
    root = _parsed(data)
    if root is None:
        return Facts()
    found: dict[str, str] = {}
    for child in root.iterchildren("{*}title", "{*}desc"):
        name = str(child.tag).rpartition("}")[2]
        found.setdefault(name, "".join(child.itertext()))
    return Facts(title=_first(found.get("title")), caption=_first(found.get("desc")))


# --- words -------------------------------------------------------------------------------------------------------


def _words(value: Any) -> str:
    """Text, in whatever form it comes, without what every picture of some device has."""
    if isinstance(value, list | tuple):
        value = next(iter(value), "")
    if isinstance(value, bytes):
        value = value.decode("utf-8") if _is_utf8(value) else value.decode("latin-1")
    if not isinstance(value, str):
        return ""
    # Pillow reads EXIF as Latin-1, which the standard does not allow either; most write UTF-8.
    raw = value.encode("latin-1", "replace")
    if not value.isascii() and _is_utf8(raw) and b"?" not in raw:
        value = raw.decode("utf-8")
    return one_line(encodable(value.partition("\0")[0]), _LONGEST)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _wide(value: Any) -> str:
    """The text of a tag by Microsoft: UTF-16 in bytes."""
    data = bytes(value) if isinstance(value, bytes | tuple) and all(0 <= each < 256 for each in value) else b""
    return _words(data.decode("utf-16-le", "ignore"))


def _first(*values: Any) -> str:
    """The first of `values` that says something."""
    return next((words for words in map(_words, values) if words and not _SENSELESS.fullmatch(words)), "")


def _tags(*groups: Any) -> tuple[str, ...]:
    flat = (each for group in groups for each in (group if isinstance(group, list) else [group]))
    words = (one_line(_words(each), _LONGEST_FACT) for each in flat)
    return tuple(dict.fromkeys(filter(None, words)))[:_MOST_TAGS]


# --- EXIF --------------------------------------------------------------------------------------------------------


def _exif(image: "ImageFile") -> tuple[Mapping[int, Any], Mapping[int, Any], Mapping[int, Any]]:
    """The tags of the picture, of the exposure, and of the place."""
    try:
        exif = image.getexif()
        return dict(exif), dict(exif.get_ifd(_EXIF)), dict(exif.get_ifd(_GPS))
    except Exception:  # noqa: BLE001 broken EXIF fails in more ways than are documented, and the picture stands
        return {}, {}, {}


def _number(value: Any) -> float | None:
    """A positive number; cameras write 0/0 for what they do not know."""
    if isinstance(value, tuple):
        value = next(iter(value), None)
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _camera(exif: Mapping[int, Any]) -> str:
    """Maker and model, the maker once: "NIKON CORPORATION" and "NIKON D90" are "NIKON D90"."""
    make, model = _words(exif.get(_MAKE)), _words(exif.get(_MODEL))
    repeated = make and model.casefold().startswith(make.split()[0].casefold())
    return one_line(model if repeated else f"{make} {model}", _LONGEST_FACT)


def _exposure(details: Mapping[int, Any]) -> str:
    """For example "1/125 s, f/2.8, ISO 100, 26 mm"; the focal length is that of 35 mm film if the camera says it."""
    seconds, aperture, iso = (_number(details.get(tag)) for tag in (_SECONDS, _F_NUMBER, _ISO))
    focal = _number(details.get(_FOCAL_LENGTH_35)) or _number(details.get(_FOCAL_LENGTH))
    parts = (
        (f"1/{1 / seconds:.0f} s" if seconds < 0.3 else f"{seconds:.3g} s") if seconds else "",
        f"f/{aperture:.3g}" if aperture else "",
        f"ISO {iso:.0f}" if iso else "",
        f"{focal:.3g} mm" if focal else "",
    )
    return ", ".join(filter(None, parts))


def _taken(exif: Mapping[int, Any], details: Mapping[int, Any]) -> datetime | None:
    candidates = (
        (details.get(_TAKEN), details.get(_OFFSET_TAKEN)),
        (details.get(_DIGITIZED), details.get(_OFFSET_DIGITIZED)),
        (exif.get(_MODIFIED), details.get(_OFFSET)),
    )
    return next(filter(None, (_date(when, offset) for when, offset in candidates)), None)


def _date(when: Any, offset: Any = None) -> datetime | None:
    """A time as EXIF or XMP writes it; in local time, naive, where no offset is known."""
    match = _DATE.match(_words(when))
    if not match:
        return None
    year, month, day, time, zone = match.groups()
    zone = zone or (_words(offset) if _OFFSET_FORM.fullmatch(_words(offset)) else "")
    return _naive_or_aware(f"{year}-{month}-{day}T{time}", zone)


def _naive_or_aware(local: str, zone: str) -> datetime | None:
    if zone:
        return parsed_date(local + zone)
    try:
        return datetime.fromisoformat(local)
    except ValueError:
        return None


def _place(gps: Mapping[int, Any]) -> str:
    latitude = _degrees(gps.get(_LATITUDE), gps.get(_NORTH_OR_SOUTH), "S", 90)
    longitude = _degrees(gps.get(_LONGITUDE), gps.get(_EAST_OR_WEST), "W", 180)
    if latitude is None or longitude is None or (latitude, longitude) == (0, 0):  # that is where GPS knows nothing
        return ""
    return f"{latitude:.4f}, {longitude:.4f}"


def _degrees(value: Any, reference: Any, negative: str, limit: int) -> float | None:
    """Degrees, minutes and seconds as one number."""
    try:
        parts = [float(each) for each in value]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    total = sum(part / 60.0**power for power, part in enumerate(parts[:3]))
    if not parts or not math.isfinite(total) or abs(total) > limit:
        return None
    return -total if _words(reference).upper().startswith(negative) else total


# --- IPTC and XMP ------------------------------------------------------------------------------------------------


def _iptc(image: "ImageFile") -> Mapping[tuple[int, int], Any]:
    from PIL.IptcImagePlugin import getiptcinfo

    try:
        return getiptcinfo(image) or {}
    except Exception:  # noqa: BLE001 broken IPTC fails in more ways than are documented, and the picture stands
        return {}


class _Xmp:
    """A packet of XMP, or nothing where there is none or it is broken."""

    def __init__(self, packet: Any) -> None:
        self._root = _parsed(packet) if isinstance(packet, bytes) else None

    def text(self, name: str) -> str:
        """The first text of a property: the one for any language stands first."""
        return next(iter(self.texts(name)), "")

    def texts(self, name: str) -> list[str]:
        return list(filter(None, map(_words, self._values(name))))

    def date(self) -> datetime | None:
        names = ("exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate")
        return next(filter(None, (_date(text) for name in names for text in self._values(name))), None)

    def _values(self, name: str) -> Iterator[str]:
        """A property is an element, with a list inside or without, or an attribute."""
        if self._root is None:
            return
        prefix, _, local = name.partition(":")
        tag = f"{{{_XMP[prefix]}}}{local}"
        for element in self._root.iter(tag):
            items: Iterable[_Element] = list(element.iter(f"{{{_XMP['rdf']}}}li")) or [element]
            yield from ("".join(item.itertext()) for item in items)
        yield from (value for each in self._root.iter() if (value := each.get(tag)))


def _parsed(data: bytes) -> "_Element | None":
    """The root of some XML: without entities from outside, None where it is broken."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities="internal", no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(data.rstrip(b"\0 \n\r\t"), parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
