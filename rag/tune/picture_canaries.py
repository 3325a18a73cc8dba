"""Pictures about everything but the library: if plain words find them worse, an image embedder has forgotten.

They are drawn here: one shape, or three of it, in one colour, on white. Each is asked for in two ways, in words that
every image embedder learns early. They are free to use as the program is.
"""

from io import BytesIO
from math import cos, pi, sin

from rag.tune.canaries import Canary

_SIDE = 224  # pixels
_COLOURS = {
    "red": "#d0312d",
    "green": "#2e8b45",
    "blue": "#2a5fd0",
    "yellow": "#f2c40f",
    "purple": "#8a3fae",
    "black": "#202020",
    "orange": "#ec7a1c",
    "brown": "#7b4a24",
}
_ROUND = "circle"
_SHAPES = {  # corners, as fractions of the circle around them
    "square": tuple((cos(a), sin(a)) for a in (pi / 4 + k * pi / 2 for k in range(4))),
    "triangle": tuple((cos(a), sin(a)) for a in (-pi / 2 + k * 2 * pi / 3 for k in range(3))),
    "diamond": ((0.0, -1.0), (0.6, 0.0), (0.0, 1.0), (-0.6, 0.0)),
    "hexagon": tuple((cos(a), sin(a)) for a in (k * pi / 3 for k in range(6))),
    "star": tuple((cos(a) * r, sin(a) * r) for a, r in ((-pi / 2 + k * pi / 5, (1.0, 0.4)[k % 2]) for k in range(10))),
    "cross": tuple(
        (x, y)
        for x, y in (
            *((-0.3, -1.0), (0.3, -1.0), (0.3, -0.3), (1.0, -0.3), (1.0, 0.3), (0.3, 0.3)),
            *((0.3, 1.0), (-0.3, 1.0), (-0.3, 0.3), (-1.0, 0.3), (-1.0, -0.3), (-0.3, -0.3)),
        )
    ),
    "arrow": ((-1.0, -0.3), (0.2, -0.3), (0.2, -0.8), (1.0, 0.0), (0.2, 0.8), (0.2, 0.3), (-1.0, 0.3)),
}
_PLACES = {1: ((0.5, 0.5),), 3: ((0.2, 0.5), (0.5, 0.5), (0.8, 0.5))}
_RADIUS = {1: 0.3, 3: 0.13}  # of the side


def picture_canaries() -> list[tuple[Canary, bytes]]:
    """Each with its picture, a PNG file; its `text` says what is drawn."""
    found = []
    for shape in (_ROUND, *_SHAPES):
        for colour in _COLOURS:
            for count in _PLACES:
                text = f"a {colour} {shape}" if count == 1 else f"three {colour} {_plural(shape)}"
                canary = Canary(text.replace(" ", "-"), text, (text, f"a drawing of {text}"))
                found.append((canary, _drawn(shape, colour, count)))
    return found


def _plural(shape: str) -> str:
    return f"{shape}es" if shape.endswith("s") else f"{shape}s"


def _drawn(shape: str, colour: str, count: int) -> bytes:
    from PIL import Image, ImageDraw  # not before something is drawn

    picture = Image.new("RGB", (_SIDE, _SIDE), "white")
    pen, radius = ImageDraw.Draw(picture), _RADIUS[count] * _SIDE
    for x, y in ((x * _SIDE, y * _SIDE) for x, y in _PLACES[count]):
        if shape == _ROUND:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), _COLOURS[colour])
        else:
            pen.polygon([(x + radius * dx, y + radius * dy) for dx, dy in _SHAPES[shape]], _COLOURS[colour])
    data = BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()
