"""The eyes of a language model: pictures turned into what it reads, by llama.cpp's mtmd and an mmproj GGUF file."""

import ctypes
import logging
import re
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rag.answer.llama_library import last_errors, vision_library
from rag.answer.model_file import whole_header
from rag.errors import GenerationError, ModelError, UnreadableFile
from rag.pictures import decode, digest

if TYPE_CHECKING:
    import llama_cpp
    from PIL.Image import Image

log = logging.getLogger(__name__)

MOST_TOKENS = 512  # of a picture, where the model would take more for a large one: two leave half of a context of 4,096
_LONGEST = 1280  # pixels of a side of what is looked at; no model here looks closer with so many tokens
_NARROWEST = 32  # pixels of the shorter side, and
_SLIMMEST = 16  # times as long as wide: beyond that some models' ways to cut a picture up end in nothing
# The sizes of which one takes the most tokens: square, and ever longer, as models cut pictures into squares.
_SAMPLES = tuple((_LONGEST, side) for side in (1280, 960, 720, 640, 480, 320, 160, 80))


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Glance:
    """A piece of a picture as the model takes it in: as many `tokens` of its context, and `positions` in the text.

    The same piece of the same picture is equal to another.
    """

    digest: str
    number: int
    tokens: int
    positions: int
    chunk: int = field(compare=False, repr=False)  # mtmd_input_chunk *, freed with this


class Eyes:
    """The vision model in the file `mmproj`, joined to the language model `llama`. For one thread at a time.

    Raises:
        ModelCorrupt: the file is not a whole GGUF file.
        ModelError: it belongs to another language model, has no eyes, or there is no memory for it.
    """

    def __init__(self, mmproj: Path, llama: "llama_cpp.Llama", *, gpu: bool, threads: int) -> None:
        self._mtmd = vision_library()
        self._llama = llama
        check_mmproj(mmproj)
        self._context = self._open(mmproj, gpu, threads)
        self._freed = weakref.finalize(self, self._mtmd.mtmd_free, self._context)
        if not self._mtmd.mtmd_support_vision(self._context):
            raise ModelError(f"{str(mmproj)!r} has ears but no eyes; set `mmproj` to a file for pictures")
        self.picture_tokens = max(self._count(width, height) for w, h in _SAMPLES for width, height in ((w, h), (h, w)))
        log.info("eyes of %s: at most %d tokens a picture", mmproj.name, self.picture_tokens)

    def close(self) -> None:
        """Give its memory back, before the language model's is."""
        self._freed()

    def look(self, picture: bytes) -> list[int | Glance]:
        """What the model is given for an encoded picture: glances, and the tokens that it wants around them.

        Raises:
            GenerationError: the picture cannot be decoded, or the model can make nothing of it.
        """
        try:
            image = presentable(decode(picture))
        except UnreadableFile as exc:
            raise GenerationError(f"a picture for the language model cannot be read: {exc.reason}") from exc
        return self._taken_in(image.width, image.height, image.tobytes(), digest(picture))

    def take_in(self, glance: Glance) -> None:
        """Put a glance into the model's context, behind what is there.

        Raises:
            RuntimeError: llama.cpp failed.
        """
        behind = ctypes.c_int32(0)
        failed = self._mtmd.mtmd_helper_eval_chunk_single(
            self._context,
            self._llama.ctx,
            ctypes.c_void_p(glance.chunk),
            self._llama.n_tokens,
            0,
            self._llama.n_batch,
            False,
            ctypes.byref(behind),
        )
        if failed:
            raise RuntimeError(f"a picture could not be looked at: {last_errors() or failed}")
        self._llama.n_tokens = behind.value

    def _open(self, mmproj: Path, gpu: bool, threads: int) -> int:
        params = self._mtmd.mtmd_context_params_default()
        params.use_gpu = gpu
        params.n_threads = threads
        params.print_timings = False
        params.image_max_tokens = MOST_TOKENS
        last_errors()
        if context := self._mtmd.mtmd_init_from_file(str(mmproj).encode(), self._llama.model, params):
            return int(context)
        reason = last_errors() or "llama.cpp did not say why"
        if "mismatch between text model" in reason:
            raise ModelError(f"{str(mmproj)!r} belongs to another language model; use the mmproj that came with yours")
        if re.search(r"alloc|out of memory", reason):
            raise ModelError(f"no memory for {str(mmproj)!r}: {reason}; use a smaller model")
        raise ModelError(f"{str(mmproj)!r} cannot be used as the eyes of a language model: {reason}")

    def _count(self, width: int, height: int) -> int:
        """Tokens of the context that a picture of that size takes."""
        pieces = self._taken_in(width, height, None, "")
        return sum(piece.tokens if isinstance(piece, Glance) else 1 for piece in pieces)

    def _taken_in(self, width: int, height: int, rgb: bytes | None, name: str) -> list[int | Glance]:
        """A picture as mtmd cuts it up; without its pixels, only the numbers are of use."""
        mtmd = self._mtmd
        pixels = None if rgb is None else (ctypes.c_uint8 * len(rgb)).from_buffer_copy(rgb)
        bitmap = mtmd.mtmd_bitmap_init(width, height, pixels)
        chunks = mtmd.mtmd_input_chunks_init()
        part = mtmd.mtmd_input_part(bitmap=bitmap)
        parts = (ctypes.POINTER(mtmd.mtmd_input_part) * 1)(ctypes.pointer(part))
        try:
            if failed := mtmd.mtmd_tokenize_from_parts(self._context, chunks, parts, 1, False):
                raise GenerationError(f"the language model can make nothing of a picture: {last_errors() or failed}")
            found: list[int | Glance] = []
            for i in range(mtmd.mtmd_input_chunks_size(chunks)):
                found += self._piece(mtmd.mtmd_input_chunks_get(chunks, i), name, i)
            return found
        finally:
            mtmd.mtmd_input_chunks_free(chunks)
            mtmd.mtmd_bitmap_free(bitmap)

    def _piece(self, chunk: int, name: str, number: int) -> list[int] | list[Glance]:
        mtmd = self._mtmd
        if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_TEXT:
            count = ctypes.c_size_t()
            tokens = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
            return [int(token) for token in tokens[: count.value]]
        size, positions = mtmd.mtmd_input_chunk_get_n_tokens(chunk), mtmd.mtmd_input_chunk_get_n_pos(chunk)
        glance = Glance(name, number, size, positions, mtmd.mtmd_input_chunk_copy(chunk))
        weakref.finalize(glance, mtmd.mtmd_input_chunk_free, glance.chunk)
        return [glance]


def check_mmproj(path: Path) -> None:
    """Refuse what mtmd would take for a model, or die of: it reads on where the last weights are missing.

    Raises:
        ModelCorrupt: it is not a whole GGUF file.
        ModelError: it is another kind of model.
    """
    if whole_header(path).architecture != "clip":
        raise ModelError(f"{str(path)!r} is a language model, not its eyes; set `mmproj` to its mmproj file")


def presentable(image: "Image") -> "Image":
    """An RGB picture within the sizes that every model can look at: reduced, and put on white where it is too slim."""
    from PIL import Image

    image = image.copy()
    image.thumbnail((_LONGEST, _LONGEST))
    width, height = (max(side, _NARROWEST, max(image.size) // _SLIMMEST) for side in image.size)
    if (width, height) == image.size:
        return image
    canvas = Image.new("RGB", (width, height), "white")
    canvas.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    return canvas
