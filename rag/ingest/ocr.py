"""The words in a picture, by RapidOCR, whose models come inside its wheel.

The detector of text looks at every picture small at first. Most photos hold no text, and that look tells it, at a
tenth of the time that reading takes. The constants are measured; `eval/LOG.md` has the figures ("Reading pictures").
"""

import multiprocessing
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag.ingest.reading_order import Piece, paragraphs
from rag.records import Box, OcrLine

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]
Quads = NDArray[np.float32]

_MOST_PIXELS = 25_000_000  # a larger picture is reduced before it is read
_LONGEST_SIDE = 32_000  # OpenCV cuts nothing out of a picture with more
_SMALLEST_SIDE = 64  # smaller ones get a margin: the detector halves them five times

_LOOK_SIDE = 640  # pixels of the longest side for the first look
_SEEN = 0.3  # the probability of text that the detector itself goes by
_NEAR, _EDGE = 5, 10  # pixels each way, and levels of 255 between the lightest and the darkest of them: an edge
_FEWEST_SEEN = 16  # pixels with text at the first look, below which there is none
_FIND_SIDE = 1280  # of the longest side for finding the lines
_SMALL_TEXT = 14.0  # pixels: lines found lower than this are so small that they are looked for again,
_SMALL_TEXT_SIDE = 2240  # larger

_TILE_ASPECT = 2.5  # a picture longer than this times its width is read in pieces,
_TILE_OVERLAP = 96  # which overlap by so many pixels: a line of text is seldom higher

_LEAST_SCORE = 0.5  # what was read with less is noise; RapidOCR's own bound
_LEAST_ALONE = 0.9  # of a single character, which any blot looks like
_VOTERS = 8  # lines that tell whether the page stands on its head
_TALL = 1.5  # a line is upright text if it is so much higher than wide; RapidOCR's own bound


_PARAMETERS = {
    "Global.log_level": "critical",
    "Det.limit_type": "max",
    "Det.limit_side_len": 2 * _SMALL_TEXT_SIDE,  # the size is chosen here
    "Rec.rec_batch_num": 1,  # a batch is filled up to its longest line, which costs more than batching gains
    "Rec.rec_img_shape": [3, 48, 48],  # and each line to this shape: 320 wide by default, seven times "RM"
}


@dataclass(frozen=True, slots=True)
class OcrText:
    """What was read: lines of `text` in reading order, and where each piece of it stands (spans of `text`)."""

    text: str = ""
    lines: tuple[OcrLine, ...] = ()

    def moved(self, offset: int) -> tuple[OcrLine, ...]:
        """The lines as spans of a document in which `text` begins at `offset`."""
        return tuple(replace(line, start=line.start + offset, end=line.end + offset) for line in self.lines)


class Ocr:
    """Reads text in pictures. One per process; the models are loaded at the first picture. Threads take turns."""

    def __init__(self, threads: int | None = None) -> None:
        """`threads` work on one picture; None: one in a reader process, of which there is one per core, else two."""
        self._threads = threads or (1 if multiprocessing.parent_process() else 2)
        self._lock = threading.Lock()
        self._engine: _Engine | None = None

    def read(self, image: "Image") -> OcrText:
        """The words in an RGB picture. One without any gives an empty OcrText.

        Pieces of one row are one line of the text, with a space between them; paragraphs are parted by a blank line.
        Pages that lie on their side or stand on their head are turned for reading. Boxes are those of `image`.
        """
        with self._lock:
            if self._engine is None:
                self._engine = _Engine(self._threads)
            pixels = _pixels(image)
            turns, pieces = self._engine.pieces(pixels)
        return _as_text(pieces, turns, pixels.shape[1], pixels.shape[0])


def _as_text(pieces: Sequence[Piece], turns: int, width: int, height: int) -> OcrText:
    """`width` and `height` are those of the picture before it was turned."""
    text = ""
    lines: list[OcrLine] = []
    for paragraph in paragraphs(pieces):
        text += "\n\n" if text else ""
        for number, row in enumerate(paragraph):
            text += "\n" if number else ""
            for place, piece in enumerate(row):
                text += " " if place else ""
                corners = _turned_back(piece.corners, turns, width, height)
                box = _box(corners, width, height)
                lines.append(OcrLine(len(text), len(text) + len(piece.text), box, piece.score))
                text += piece.text
    return OcrText(text, tuple(lines))


def _box(corners: Quads, width: int, height: int) -> Box:
    shares = np.clip(corners / np.array([width, height]), 0, 1)
    left, top = map(float, shares.min(axis=0))
    right, bottom = map(float, shares.max(axis=0))
    return Box(left, top, right, bottom)


def _turned(corners: Quads, turns: int, width: int, height: int) -> Quads:
    """Points float[..., 2] of a picture as they lie after `np.rot90(picture, turns)`."""
    for _ in range(turns):
        corners = np.stack([corners[..., 1], width - corners[..., 0]], axis=-1)
        width, height = height, width
    return corners


def _turned_back(corners: Quads, turns: int, width: int, height: int) -> Quads:
    size = (height, width) if turns % 2 else (width, height)
    return _turned(corners, -turns % 4, *size)


def _pixels(image: "Image") -> Pixels:
    """uint8[H, W, 3], blue first as the models were trained, reduced to what is read."""
    scale = min(1.0, (_MOST_PIXELS / (image.width * image.height)) ** 0.5, _LONGEST_SIDE / max(image.size))
    if scale < 1:
        image = image.resize((max(int(image.width * scale), 1), max(int(image.height * scale), 1)), reducing_gap=2.0)
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])


class _Engine:
    """RapidOCR's three models: one finds lines of text, one tells which stand on their head, one reads them."""

    def __init__(self, threads: int) -> None:
        import cv2
        import rapidocr
        from omegaconf import flag_override
        from rapidocr.ch_ppocr_cls import TextClassifier
        from rapidocr.ch_ppocr_det import TextDetector
        from rapidocr.ch_ppocr_rec import TextRecInput, TextRecognizer

        config = rapidocr.RapidOCR(params=_PARAMETERS).cfg
        config.Rec.font_path = None
        models = Path(rapidocr.__file__).parent / "models"
        with flag_override(config, "allow_objects", True):
            # Given sessions, RapidOCR looks for no model, and so never for one to download.
            config.Det.session = _session(models / "PP-OCRv6_det_small.onnx", threads)
            config.Cls.session = _session(models / "ch_ppocr_mobile_v2.0_cls_mobile.onnx", threads)
            config.Rec.session = _session(models / "PP-OCRv6_rec_small.onnx", threads)
        self._cv: Any = cv2
        self._detector: Any = TextDetector(config.Det)
        self._classifier: Any = TextClassifier(config.Cls)
        self._recognizer: Any = TextRecognizer(config.Rec)
        self._lines: Any = TextRecInput

    def pieces(self, pixels: Pixels) -> tuple[int, list[Piece]]:
        """How many quarter turns to the left set the picture upright, and what is read on it then."""
        quads = self._find(pixels)
        if not len(quads):
            return 0, []
        height, width = pixels.shape[:2]
        turns = self._turns(pixels, quads)
        corners = np.roll(_turned(quads, turns, width, height), -turns, axis=1)
        read = self._read_all(np.ascontiguousarray(np.rot90(pixels, turns)), corners)
        pieces = (Piece(_cleaned(text), score, each) for (text, score), each in zip(read, corners, strict=True))
        return turns, [piece for piece in pieces if _is_credible(piece)]

    def _find(self, pixels: Pixels) -> Quads:
        """float32[N, 4, 2]: the corners of each stretch of text, from its upper left one round, in pixels."""
        height, width = pixels.shape[:2]
        found = [np.zeros((0, 4, 2), np.float32)]
        axis, tiles = (1, _tiles(height, width)) if height > width else (0, _tiles(width, height))
        for start, end in tiles:
            first, last = max(start - _TILE_OVERLAP, 0), end + _TILE_OVERLAP
            tile = pixels[first:last] if axis == 1 else pixels[:, first:last]
            quads = self._find_in(tile)
            quads[:, :, axis] += first
            middles = quads[:, :, axis].mean(axis=1)
            found.append(quads[(start <= middles) & (middles < end)])
        return np.concatenate(found)

    def _find_in(self, pixels: Pixels) -> Quads:
        """Looks from afar, and nearer where there is something to be seen.

        A line that stands alone is sometimes seen from afar only, so what each look finds is kept.
        """
        longest = max(pixels.shape[:2])
        pixels = self._with_margin(pixels)
        look = self._text_map(pixels, min(longest, _LOOK_SIDE))
        if not self._has_text(pixels, look):
            return np.zeros((0, 4, 2), np.float32)
        found = self._quads(look, pixels)
        side = min(longest, _FIND_SIDE)
        if side > _LOOK_SIDE:
            look = self._text_map(pixels, side)
            found = _joined(self._quads(look, pixels), found)
        if _is_small(found, side / longest) and self._has_text(pixels, look):
            look = self._text_map(pixels, min(2 * longest, _SMALL_TEXT_SIDE))
            found = _joined(self._quads(look, pixels), found)
        return found

    def _with_margin(self, pixels: Pixels) -> Pixels:
        """With repeated pixels at the right and the bottom where it is too small, so that nothing moves."""
        bottom, right = (max(_SMALLEST_SIDE - side, 0) for side in pixels.shape[:2])
        bordered: Pixels = self._cv.copyMakeBorder(pixels, 0, bottom, 0, right, self._cv.BORDER_REPLICATE)
        return bordered

    def _text_map(self, pixels: Pixels, side: int) -> NDArray[np.float32]:
        """float32[h, w] in [0, 1]: where text is, in the picture made so large that its longest side has `side`."""
        height, width = pixels.shape[:2]
        scale = side / max(height, width)
        size = (max(round(width * scale), _SMALLEST_SIDE), max(round(height * scale), _SMALLEST_SIDE))
        way = self._cv.INTER_AREA if scale < 1 else self._cv.INTER_CUBIC
        resized = pixels if size == (width, height) else self._cv.resize(pixels, size, interpolation=way)
        text_map: NDArray[np.float32] = self._detector.session(self._detector.get_preprocess()(resized))[0, 0]
        return text_map

    def _has_text(self, pixels: Pixels, text_map: NDArray[np.float32]) -> bool:
        """Whether text was seen at edges: the detector also sees some in empty areas and soft shades."""
        height, width = pixels.shape[:2]
        scale = min(_FIND_SIDE / max(height, width), 1)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        grey = self._cv.resize(pixels, size, interpolation=self._cv.INTER_AREA).max(axis=2)
        near = np.ones((_NEAR, _NEAR), np.uint8)
        contrast = self._cv.dilate(grey, near) - self._cv.erode(grey, near)
        edges = self._cv.resize((contrast >= _EDGE).astype(np.float32), text_map.shape[::-1])
        return int(((text_map > _SEEN) & (edges > 0)).sum()) >= _FEWEST_SEEN

    def _quads(self, text_map: NDArray[np.float32], pixels: Pixels) -> Quads:
        quads, _ = self._detector.postprocess_op(text_map[None, None], pixels.shape[:2])
        return np.asarray(quads, np.float32).reshape(-1, 4, 2)

    def _turns(self, pixels: Pixels, quads: Quads) -> int:
        """Quarter turns to the left that set the page upright: its longest lines decide."""
        widths, heights = _sides(quads).T
        tall = heights > _TALL * widths
        sideways = heights[tall].sum() > widths[~tall].sum()
        longest = np.argsort(-np.maximum(widths, heights))[:_VOTERS]
        voters = [self._cut(pixels, quads[at]) for at in longest if tall[at] == sideways]
        if sideways:
            voters = [np.rot90(each) for each in voters]
        votes = self._classifier(voters).cls_res
        inverted = sum(score if "180" in label else -score for label, score in votes) > 0
        if inverted:
            sample = voters[:3]
            turned = self._read([np.rot90(each, 2) for each in sample])
            inverted = sum(score for _, score in turned) > sum(score for _, score in self._read(sample))
        return int(sideways) + 2 * int(inverted)

    def _read_all(self, pixels: Pixels, quads: Quads) -> list[tuple[str, float]]:
        """The words at each of `quads` with their score; lines that are upright are tried from both sides."""
        cuts = [self._cut(pixels, quad) for quad in quads]
        tall = {at for at, cut in enumerate(cuts) if cut.shape[0] > _TALL * cut.shape[1]}
        read = self._read([np.rot90(cut, -1) if at in tall else cut for at, cut in enumerate(cuts)])
        for at in tall:
            read[at] = max(read[at], *self._read([np.rot90(cuts[at])]), key=lambda found: found[1])
        return read

    def _read(self, cuts: Sequence[Pixels]) -> list[tuple[str, float]]:
        found = self._recognizer(self._lines(img=[np.ascontiguousarray(cut) for cut in cuts], return_word_box=False))
        return [(text, float(score)) for text, score in zip(found.txts, found.scores, strict=True)]

    def _cut(self, pixels: Pixels, quad: Quads) -> Pixels:
        """The stretch of text with these corners, set level."""
        width, height = (max(int(side), 1) for side in _sides(quad[None])[0])
        target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        turn = self._cv.getPerspectiveTransform(quad, target)
        cut: Pixels = self._cv.warpPerspective(
            pixels, turn, (width, height), flags=self._cv.INTER_CUBIC, borderMode=self._cv.BORDER_REPLICATE
        )
        return cut


def _is_small(quads: Quads, scale: float) -> bool:
    """Whether the lines are so low, when seen at `scale`, that some may have been missed."""
    return not len(quads) or bool(np.percentile(_sides(quads).min(axis=1), 25) * scale < _SMALL_TEXT)


def _joined(first: Quads, second: Quads) -> Quads:
    """`first`, and those of `second` that stand elsewhere: no middle of the one lies in the other."""
    if not len(first) or not len(second):
        return first if len(first) else second
    inside = _contains(second, first.mean(axis=1)).any(axis=1) | _contains(first, second.mean(axis=1)).any(axis=0)
    return np.concatenate([first, second[~inside]])


def _contains(quads: Quads, points: Quads) -> NDArray[np.bool_]:
    """bool[N, M]: whether the upright rectangle round quad n contains point m."""
    low, high = quads.min(axis=1)[:, None], quads.max(axis=1)[:, None]
    contained: NDArray[np.bool_] = ((low <= points[None]) & (points[None] <= high)).all(axis=2)
    return contained


def _session(model: Path, threads: int) -> Any:
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads would take a core each
    options.enable_cpu_mem_arena = False  # it would keep the memory of the largest picture
    options.log_severity_level = 4
    return InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _tiles(length: int, breadth: int) -> Iterator[tuple[int, int]]:
    """Where to cut a picture that is `length` long: once round where it is not much longer than `breadth`."""
    longest = max(round(breadth * _TILE_ASPECT), _FIND_SIDE)
    count = max(1, -(-length // longest))
    edges = [length * number // count for number in range(count + 1)]
    yield from pairwise(edges)


def _sides(quads: Quads) -> NDArray[np.float32]:
    """float32[N, 2]: width and height of each quad."""
    widths = np.linalg.norm(quads[:, 1] - quads[:, 0], axis=1)
    heights = np.linalg.norm(quads[:, 3] - quads[:, 0], axis=1)
    return np.stack([widths, heights], axis=1)


def _is_credible(piece: Piece) -> bool:
    return bool(piece.text) and piece.score >= (_LEAST_SCORE if len(piece.text) > 1 else _LEAST_ALONE)


def _cleaned(text: str) -> str:
    """`text` without space around it; the full-width signs of Chinese fonts as plain ones where nothing is Chinese."""
    if not any(unicodedata.east_asian_width(char) == "W" for char in text):
        text = unicodedata.normalize("NFKC", text)
    return text.strip()
