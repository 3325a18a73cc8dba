"""PDFium's view of a PDF: its pages with their sizes, what is drawn on them and where, and their pixels."""

import ctypes
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from rag.errors import UnreadableFile
from rag.ingest import media
from rag.records import Box, Source

if TYPE_CHECKING:
    from PIL.Image import Image

POINTS = 72  # to the inch
_MOST_OBJECTS = 20_000  # looked at on a page; the rest is drawn with it all the same
_DEEPEST = 8  # drawings inside drawings
_MOST_CLIPS = 20  # paths that cut an object; more of them leave its frame as it is
_HASHED = 256 * 1024  # bytes of a picture up to which it is compared with others: logos are small
_UNIT = 10_000_000  # device units to which a page is mapped, to learn how it lies

_pdfium_lock = threading.Lock()  # PDFium may be used by one thread at a time


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle on a page as it is looked at: points from its upper left corner, y down."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def area(self) -> float:
        return max(self.width, 0.0) * max(self.height, 0.0)

    def union(self, other: "Rect") -> "Rect":
        return Rect(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def common(self, other: "Rect") -> "Rect":
        """What both cover; of no or negative size where they do not meet."""
        return Rect(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def fractions(self, page: "Rect") -> Box:
        """This rectangle as fractions of the page that it lies on."""
        return Box(
            left=(self.left - page.left) / page.width,
            top=(self.top - page.top) / page.height,
            right=(self.right - page.left) / page.width,
            bottom=(self.bottom - page.top) / page.height,
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """Something drawn on a page: a picture of pixels, or lines and areas.

    `content` is a number that is the same for the same picture on another page; 0: not known.
    """

    kind: Literal["picture", "drawing"]
    rect: Rect
    content: int = 0


@dataclass(frozen=True, slots=True)
class _Matrix:
    """x' = a x + c y + e, y' = b x + d y + f, as the PDF standard (ISO 32000-1, 8.3.3) writes it."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def then(self, outer: "_Matrix") -> "_Matrix":
        return _Matrix(
            self.a * outer.a + self.b * outer.c,
            self.a * outer.b + self.b * outer.d,
            self.c * outer.a + self.d * outer.c,
            self.c * outer.b + self.d * outer.d,
            self.e * outer.a + self.f * outer.c + outer.e,
            self.e * outer.b + self.f * outer.d + outer.f,
        )

    def rect(self, left: float, bottom: float, right: float, top: float) -> Rect:
        """The upright rectangle around the image of one."""
        corners = [(x, y) for x in (left, right) for y in (bottom, top)]
        xs = [self.a * x + self.c * y + self.e for x, y in corners]
        ys = [self.b * x + self.d * y + self.f for x, y in corners]
        return Rect(min(xs), min(ys), max(xs), max(ys))


class PdfPage:
    """A page. All places on it are Rects: turned and cropped as a reader of the file shows it."""

    def __init__(self, page: pdfium.PdfPage) -> None:
        self.raw = page
        width, height = page.get_size()
        self.rect = Rect(0.0, 0.0, max(width, 1.0), max(height, 1.0))
        self._shown = self._display_matrix()

    def text_rect(self, left: float, bottom: float, right: float, top: float) -> Rect:
        """Where characters with these bounds in the page's own coordinates are seen."""
        return self._shown.rect(left, bottom, right, top)

    def marks(self, drawings: bool) -> Iterator[Mark]:
        """The pictures on the page and, if asked for, its lines and areas."""
        wanted = (pdfium_c.FPDF_PAGEOBJ_PATH, pdfium_c.FPDF_PAGEOBJ_SHADING) if drawings else ()
        for kind, handle, matrix in self._objects():
            if kind == pdfium_c.FPDF_PAGEOBJ_IMAGE or kind in wanted:
                rect = _bounds(handle, matrix)
                if rect is None:
                    continue
                rect = rect.common(self.rect)
                if rect.width < 0 or rect.height < 0:
                    continue
                if kind == pdfium_c.FPDF_PAGEOBJ_IMAGE:
                    yield Mark("picture", rect, _content(handle))
                else:
                    yield Mark("drawing", rect)

    def largest_picture(self) -> int:
        """Pixels of the largest picture on the page, as the file states them."""
        sizes = (_pixels(handle) for kind, handle, _ in self._objects() if kind == pdfium_c.FPDF_PAGEOBJ_IMAGE)
        return max(sizes, default=0)

    def _objects(self) -> Iterator[tuple[int, Any, _Matrix]]:
        count = pdfium_c.FPDFPage_CountObjects(self.raw)
        found = (pdfium_c.FPDFPage_GetObject(self.raw, index) for index in range(count))
        return islice(_flat(found, self._shown, _DEEPEST), _MOST_OBJECTS)

    def _display_matrix(self) -> _Matrix:
        origin, x_axis, y_axis = (self._device(x, y) for x, y in ((0, 0), (1000, 0), (0, 1000)))
        return _Matrix(
            a=(x_axis[0] - origin[0]) / 1000,
            b=(x_axis[1] - origin[1]) / 1000,
            c=(y_axis[0] - origin[0]) / 1000,
            d=(y_axis[1] - origin[1]) / 1000,
            e=origin[0],
            f=origin[1],
        )

    def _device(self, x: float, y: float) -> tuple[float, float]:
        across, down = ctypes.c_int(), ctypes.c_int()
        pdfium_c.FPDF_PageToDevice(self.raw, 0, 0, _UNIT, _UNIT, 0, x, y, across, down)
        return across.value * self.rect.width / _UNIT, down.value * self.rect.height / _UNIT


class PdfFile:
    """An open file; a context manager. Only one thread may have one open: see `open_pdf`."""

    def __init__(self, source: Source) -> None:
        self.source = source
        if b"%PDF-" not in source.data[: media.HEAD]:
            raise UnreadableFile(
                source.path, "it is not a PDF, whatever its name says" if source.data else "it is empty"
            )
        try:
            self.raw = pdfium.PdfDocument(source.data)
        except pdfium.PdfiumError as exc:
            raise UnreadableFile(source.path, _why_not_opened(exc)) from exc

    def __len__(self) -> int:
        return len(self.raw)

    @contextmanager
    def page(self, number: int) -> Iterator[PdfPage]:
        """Page `number` (from 1).

        Raises:
            UnreadableFile: there is no such page, or it is broken.
        """
        try:
            if not 1 <= number <= len(self.raw):
                raise UnreadableFile(self.source.path, f"it has no page {number}")
            page = self.raw[number - 1]
        except pdfium.PdfiumError as exc:
            raise UnreadableFile(self.source.path, f"its page {number} is broken") from exc
        try:
            yield PdfPage(page)
        finally:
            page.close()

    def draw(self, number: int, scale: float, max_megapixels: int, box: Box | None = None) -> "Image":
        """Page `number`, or what lies in `box` on it, in RGB at `scale` pixels to the point.

        Raises:
            UnreadableFile: there is no such page, or it or a picture on it has more than `max_megapixels`.
        """
        with self.page(number) as page:
            width, height = max(round(page.rect.width * scale), 1), max(round(page.rect.height * scale), 1)
            box = box or Box(0, 0, 1, 1)
            left, top = int(box.left * width), int(box.top * height)
            right, bottom = max(round(box.right * width), left + 1), max(round(box.bottom * height), top + 1)
            pixels = max((right - left) * (bottom - top), page.largest_picture())
            if pixels > max_megapixels * 1_000_000:
                what = f"a picture on page {number} has {pixels / 1e6:.0f} million pixels, more than {max_megapixels}"
                raise UnreadableFile(self.source.path, f"{what}; set RAG_MAX_MEGAPIXELS higher to look at it")
            bitmap = pdfium.PdfBitmap.new_native(right - left, bottom - top, pdfium_c.FPDFBitmap_BGR)
            bitmap.fill_rect((255, 255, 255, 255), 0, 0, right - left, bottom - top)
            pdfium_c.FPDF_RenderPageBitmap(bitmap, page.raw, -left, -top, width, height, 0, pdfium_c.FPDF_ANNOT)
            image: Image = bitmap.to_pil()
            return image


@contextmanager
def open_pdf(source: Source) -> Iterator[PdfFile]:
    """The file in `source`, opened by one thread at a time.

    Raises:
        UnreadableFile: it is no PDF, locked or damaged.
    """
    with _pdfium_lock:
        file = PdfFile(source)
        try:
            yield file
        finally:
            file.raw.close()


def _why_not_opened(error: pdfium.PdfiumError) -> str:
    if error.err_code == pdfium_c.FPDF_ERR_PASSWORD:
        return "it is locked with a password; save a copy without one and add that"
    if error.err_code == pdfium_c.FPDF_ERR_SECURITY:
        return "it is encrypted in a way that is not supported; save a copy without encryption and add that"
    return "it is damaged, cut off or without pages; get the file again"


def _flat(found: Iterator[Any], matrix: _Matrix, depth: int) -> Iterator[tuple[int, Any, _Matrix]]:
    """Objects with those inside of drawings, each with the matrix from its coordinates to what is seen."""
    for handle in found:
        kind = pdfium_c.FPDFPageObj_GetType(handle)
        if kind != pdfium_c.FPDF_PAGEOBJ_FORM:
            yield kind, handle, matrix
        elif depth:
            raw = pdfium_c.FS_MATRIX()
            pdfium_c.FPDFPageObj_GetMatrix(handle, raw)
            inner = _Matrix(raw.a, raw.b, raw.c, raw.d, raw.e, raw.f).then(matrix)
            count = pdfium_c.FPDFFormObj_CountObjects(handle)
            inside = (pdfium_c.FPDFFormObj_GetObject(handle, index) for index in range(count))
            yield from _flat(inside, inner, depth - 1)


def _bounds(handle: Any, matrix: _Matrix) -> Rect | None:
    """Where an object is seen: its own frame, cut by the frames of the paths that clip it."""
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    if not pdfium_c.FPDFPageObj_GetBounds(handle, left, bottom, right, top):
        return None
    rect = matrix.rect(left.value, bottom.value, right.value, top.value)
    clip = pdfium_c.FPDFPageObj_GetClipPath(handle)
    count = pdfium_c.FPDFClipPath_CountPaths(clip) if clip else 0
    for index in range(count if count <= _MOST_CLIPS else 0):
        frame = _clip_frame(clip, index)
        rect = rect.common(matrix.rect(*frame)) if frame else rect
    return rect


def _clip_frame(clip: Any, index: int) -> tuple[float, float, float, float] | None:
    """Left, bottom, right and top of one path of a clip; None where it is empty or intricate."""
    count = pdfium_c.FPDFClipPath_CountPathSegments(clip, index)
    if not 0 < count <= 100:
        return None
    xs, ys = [], []
    for at in range(count):
        x, y = ctypes.c_float(), ctypes.c_float()
        pdfium_c.FPDFPathSegment_GetPoint(pdfium_c.FPDFClipPath_GetPathSegment(clip, index, at), x, y)
        xs.append(x.value)
        ys.append(y.value)
    return min(xs), min(ys), max(xs), max(ys)


def _pixels(handle: Any) -> int:
    width, height = ctypes.c_uint(), ctypes.c_uint()
    pdfium_c.FPDFImageObj_GetImagePixelSize(handle, width, height)
    return int(width.value * height.value)


def _content(handle: Any) -> int:
    size = pdfium_c.FPDFImageObj_GetImageDataRaw(handle, None, 0)
    if not 0 < size <= _HASHED:
        return 0
    buffer = (ctypes.c_ubyte * size)()
    pdfium_c.FPDFImageObj_GetImageDataRaw(handle, buffer, size)
    return int(size) << 32 | zlib.crc32(buffer)
