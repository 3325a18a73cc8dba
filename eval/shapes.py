"""Pictures that are drawn to a caption, to train and to measure a small CLIP without anyone's photographs.

A scene is one or two groups of equal shapes: "two red circles above a blue square". The compositions are split: some
pairs of a colour and a shape (`HELD_OUT`) are in no training scene, and in every scene that is asked for. A model
that finds those has learnt colours and shapes apart from each other.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = {
    "red": (214, 48, 49),
    "green": (39, 158, 76),
    "blue": (41, 98, 214),
    "yellow": (241, 196, 15),
    "purple": (142, 68, 173),
    "black": (33, 33, 33),
}
SHAPES = ("circle", "square", "triangle", "star", "cross")
COUNTS = {1: "a", 2: "two", 3: "three"}
PLACES = ("above", "below", "left of", "right of")
HELD_OUT = frozenset(
    {("red", "star"), ("green", "circle"), ("blue", "cross"), ("yellow", "square"), ("purple", "triangle")}
    | {("black", "circle"), ("red", "cross"), ("blue", "square")}
)
WORDS = (*COLOURS, *SHAPES, *(f"{shape}s" for shape in SHAPES), "crosses", *COUNTS.values(), *" ".join(PLACES).split())

_RETOLD = (
    "red crimson, green emerald, blue azure, yellow golden, purple violet, black jet, circle disc, square box, "
    "triangle wedge, star spark, cross plus, circles discs, squares boxes, triangles wedges, stars sparks, "
    "crosses pluses, a one, two twin, three triple, above over, below under, left west, right east, of from"
)
OTHER_WORDS = dict(pair.split() for pair in _RETOLD.split(", "))  # what another person says for each of WORDS

_ALONE = 0.2  # share of scenes with one group
_UNSEEN = 1_000_000  # seeds of drawings from here on are in no training

_CORNERS = {  # of a shape that fits the circle of radius 1, as fractions of it
    "square": tuple((cos(a) * 1.1, sin(a) * 1.1) for a in (pi / 4 + k * pi / 2 for k in range(4))),
    "triangle": tuple((cos(a) * 1.15, sin(a) * 1.15 + 0.2) for a in (-pi / 2 + k * 2 * pi / 3 for k in range(3))),
    "star": tuple((cos(a) * r, sin(a) * r) for a, r in ((-pi / 2 + k * pi / 5, (1.2, 0.5)[k % 2]) for k in range(10))),
    "cross": tuple(
        (x, y)
        for x, y in (
            *((-0.3, -1.0), (0.3, -1.0), (0.3, -0.3), (1.0, -0.3), (1.0, 0.3), (0.3, 0.3)),
            *((0.3, 1.0), (-0.3, 1.0), (-0.3, 0.3), (-1.0, 0.3), (-1.0, -0.3), (-0.3, -0.3)),
        )
    ),
}


@dataclass(frozen=True, slots=True)
class Group:
    """`count` equal shapes, side by side."""

    count: int
    colour: str
    shape: str

    @property
    def caption(self) -> str:
        ending = "" if self.count == 1 else "es" if self.shape.endswith("s") else "s"
        return f"{COUNTS[self.count]} {self.colour} {self.shape}{ending}"

    @property
    def held_out(self) -> bool:
        return (self.colour, self.shape) in HELD_OUT


@dataclass(frozen=True, slots=True)
class Scene:
    """`first` alone, or `first` above, below, left or right of `second`."""

    first: Group
    place: str = ""
    second: Group | None = None

    @property
    def caption(self) -> str:
        return f"{self.first.caption} {self.place} {self.second.caption}" if self.second else self.first.caption

    @property
    def turned(self) -> "Scene":
        """The same scene told from above and from the left, so that it is told in one way."""
        if self.second is None or self.place in ("above", "left of"):
            return self
        return Scene(self.second, {"below": "above", "right of": "left of"}[self.place], self.first)

    @property
    def groups(self) -> tuple[Group, ...]:
        return (self.first, self.second) if self.second else (self.first,)


def training_scenes(count: int, seed: int = 0) -> list[Scene]:
    """`count` scenes of which none shows a pair of HELD_OUT; the same one may come twice."""
    return _take(count, (scene for scene in _scenes(seed) if not any(group.held_out for group in scene.groups)))


def held_out_scenes(count: int, seed: int = 1) -> list[Scene]:
    """`count` different scenes, each of which shows a pair of HELD_OUT."""
    found: dict[Scene, Scene] = {}
    for scene in _scenes(seed):
        if any(group.held_out for group in scene.groups):
            found.setdefault(scene.turned, scene)
        if len(found) == count:
            break
    return list(found.values())


def draw(scene: Scene, seed: int, side: int = 128) -> Image.Image:
    """`scene` as RGB of `side` by `side` pixels; `seed` decides where exactly, how large and on which light ground."""
    rng = random.Random(seed)  # noqa: S311  (nothing here is secret)
    ground = tuple(rng.randint(215, 255) for _ in range(3))
    image = Image.new("RGB", (side, side), ground)
    canvas = ImageDraw.Draw(image)
    for group, (left, top, right, bottom) in zip(scene.groups, _fields(scene), strict=True):
        upright = bottom - top > right - left
        for number in range(group.count):
            along = (number + 0.5) / group.count
            x = left + (right - left) * (0.5 if upright else along) + rng.uniform(-0.03, 0.03)
            y = top + (bottom - top) * (along if upright else 0.5) + rng.uniform(-0.03, 0.03)
            _draw_shape(canvas, group, x * side, y * side, rng.uniform(0.1, 0.14) * side)
    return image


def retold(caption: str) -> str:
    """`caption` in OTHER_WORDS, none of which is in any caption of `Scene`."""
    return " ".join(OTHER_WORDS[word] for word in caption.split())


def write_datasets(folder: Path, scenes: Sequence[Scene]) -> tuple[Path, Path]:
    """Two data sets in BEIR layout: `words-to-pictures` and `pictures-to-words`, one right answer to each question."""
    found, given = folder / "words-to-pictures", folder / "pictures-to-words"
    for target in (found, given):
        write_pictures(target / "pictures", scenes)
    shown = [{"_id": f"p{n}", "image": f"pictures/{n:04}.png"} for n in range(len(scenes))]
    told = [{"_id": f"t{n}", "text": scene.caption} for n, scene in enumerate(scenes)]
    _write_dataset(found, shown, told)
    _write_dataset(given, told, shown)
    return found, given


def write_pictures(folder: Path, scenes: Sequence[Scene]) -> list[Path]:
    """A PNG of each scene under a name that tells nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04}.png" for number in range(len(scenes))]
    for number, (path, scene) in enumerate(zip(paths, scenes, strict=True)):
        draw(scene, _UNSEEN + number).save(path)
    return paths


def _write_dataset(
    folder: Path, corpus: Sequence[Mapping[str, object]], queries: Sequence[Mapping[str, object]]
) -> None:
    for name, rows in (("corpus.jsonl", corpus), ("queries.jsonl", queries)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    judged = [f"{query['_id']}\t{right['_id']}\t1" for query, right in zip(queries, corpus, strict=True)]
    (folder / "qrels").mkdir(exist_ok=True)
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged, ""]), "utf-8")


def _scenes(seed: int) -> Iterator[Scene]:
    rng = random.Random(seed)  # noqa: S311
    while True:
        first, second = _group(rng), _group(rng)
        if rng.random() < _ALONE:
            yield Scene(first)
        elif (first.colour, first.shape) != (second.colour, second.shape):
            yield Scene(first, rng.choice(PLACES), second)


def _group(rng: random.Random) -> Group:
    return Group(rng.choice(list(COUNTS)), rng.choice(list(COLOURS)), rng.choice(SHAPES))


def _take(count: int, scenes: Iterator[Scene]) -> list[Scene]:
    return [next(scenes) for _ in range(count)]


def _fields(scene: Scene) -> tuple[tuple[float, float, float, float], ...]:
    """Left, top, right, bottom of each group, in fractions of the picture."""
    above, below, left, right = (0.0, 0.0, 1.0, 0.5), (0.0, 0.5, 1.0, 1.0), (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
    sides = {"above": (above, below), "below": (below, above), "left of": (left, right), "right of": (right, left)}
    return sides[scene.place] if scene.second else ((0.0, 0.0, 1.0, 1.0),)


def _draw_shape(canvas: ImageDraw.ImageDraw, group: Group, x: float, y: float, radius: float) -> None:
    colour = COLOURS[group.colour]
    if group.shape == "circle":
        canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    else:
        canvas.polygon([(x + dx * radius, y + dy * radius) for dx, dy in _CORNERS[group.shape]], fill=colour)
