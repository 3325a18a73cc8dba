"""Numbers, times and names as people write them."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePath

from rag.records import ModelState

_SEARCH_STAGES = (
    "ocr",
    "embed",
    "text",
    "bm25",
    "image",
    "likeness",
    "picture_text",
    "picture_bm25",
    "fuse",
    "rerank",
)
_STANDS_OUT = 0.05  # pictures: what fewer would reach by chance
_ORDINALS = {1: "st", 2: "nd", 3: "rd"}


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 document`, `1,204 documents`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def sentence(words: str) -> str:
    """`it is empty` as a sentence: a capital at the beginning, a full stop at the end."""
    clean = words.strip()
    begun = clean[:1].upper() + clean[1:]
    return begun if not begun or begun[-1] in ".!?…:" else begun + "."


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    suffix = "th" if number % 100 in (11, 12, 13) else _ORDINALS.get(number % 10, "th")
    return f"{number}{suffix}"


def chance_words(chance: float) -> str:
    """`stands out, by chance .002 pictures would`: how many of the library's pictures would score as high."""
    if chance >= 0.95:
        return f"by chance {count(round(chance), 'picture')} would"
    number = f"{chance:.1g}" if chance >= 0.001 else "less than 0.001"
    shown = f"by chance {number.replace('0.', '.')} pictures would"
    return f"stands out, {shown}" if chance < _STANDS_OUT else shown


def milliseconds(ms: float) -> str:
    """`23 ms`, `1.4 s`: what a person can tell apart."""
    return f"{ms:.0f} ms" if ms < 950 else f"{ms / 1000:.1f} s"


def day(date: datetime | None) -> str:
    """`3 Mar 2024`, or nothing."""
    return f"{date.day} {date:%b %Y}" if date else ""


def folder(path: str) -> str:
    """The last two folders above a file: enough to know it by, short enough for a table."""
    return "/".join(PurePath(path.replace("\\", "/")).parent.parts[-2:]).lstrip("/") or "/"


def file_name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def found_in(ms: Mapping[str, float]) -> str:
    """How long the search took, of all the stages that a result or an answer tells, in milliseconds."""
    return milliseconds(sum(ms.get(stage, 0.0) for stage in _SEARCH_STAGES))


def device(state: ModelState) -> str:
    """`CPU`, `GPU`: where a model runs, as people call it."""
    return "GPU" if state.device.startswith(("cuda", "mps")) else state.device.upper()


def model_name(state: ModelState) -> str:
    """`SmolLM2-135M on CPU`: the short name of a model and, once it is loaded, where it runs."""
    short = short_model(state.name)
    return f"{short} on {device(state)}" if state.loaded else short


def short_model(name: str) -> str:
    """The name without the folder, the ending and what everyone appends to names of models."""
    short = file_name(name).removesuffix(".gguf").removeprefix("all-")
    return short.split("-Instruct")[0]
