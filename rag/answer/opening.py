"""A language model's file to a model in memory, with as many layers on the graphics card as fit there."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.answer.eyes import MOST_TOKENS, Eyes
from rag.answer.llama_library import last_errors, library
from rag.answer.memory import Asked, Placement, Room, place, shape_of, with_layers
from rag.answer.model_file import ModelFile, Stamp, stamp
from rag.errors import ModelCorrupt, ModelError

if TYPE_CHECKING:
    import llama_cpp


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that is loaded, with what was read from its files as they were then."""

    llama: "llama_cpp.Llama"
    file: ModelFile
    eyes: Eyes | None
    mmproj: Path | None
    eyes_stamp: Stamp | None
    template: Any
    placement: Placement

    def is_current(self) -> bool:
        """Whether its files are still those that were opened. A file that is gone is still there for us."""
        eyes = stamp(self.mmproj) if self.mmproj else None
        return stamp(self.file.path) in (None, self.file.stamp) and eyes in (None, self.eyes_stamp)

    def close(self) -> None:
        """Give its memory back."""
        if self.eyes is not None:
            self.eyes.close()
        self.llama.close()


def open_model(file: ModelFile, asked: Asked, room: Room, mmproj: Path | None) -> Opened:
    """Load a model with its eyes. Where the layers that should fit do not, half as many are tried.

    Raises:
        ModelCorrupt: its file is not a whole GGUF file.
        ModelError: llama.cpp cannot use it, or there is no memory for it.
    """
    from jinja2 import TemplateError

    if mmproj:
        asked = replace(asked, eyes=mmproj.stat().st_size, picture=MOST_TOKENS)
    shape = shape_of(file.header)
    placement = place(shape, asked, room)
    while True:
        try:
            return _opened(file, asked.context, placement, mmproj)
        except TemplateError as exc:
            raise ModelError(f"the chat template of {str(file.path)!r} is broken: {exc}; use another model") from exc
        except (ValueError, RuntimeError, MemoryError) as exc:
            layers = placement.footprint.layers
            if layers == 0:
                raise _refused(file.path, exc) from exc
            placement = with_layers(shape, asked, room, layers // 2)


def _opened(file: ModelFile, context: int, placement: Placement, mmproj: Path | None) -> Opened:
    last_errors()
    llama: llama_cpp.Llama = library().Llama(
        str(file.path),
        n_ctx=context,
        n_batch=placement.largest,
        n_ubatch=placement.largest,
        n_gpu_layers=placement.footprint.layers,
        n_threads=placement.threads,
        n_threads_batch=placement.threads,
        flash_attn=placement.flash_attention,
        verbose=False,
    )
    eyes, eyes_stamp = None, None
    if mmproj:
        eyes_stamp = stamp(mmproj)
        eyes = Eyes(mmproj, llama, gpu=placement.footprint.layers > 0, threads=placement.threads)
    return Opened(llama, file, eyes, mmproj, eyes_stamp, _chat_template(file, llama), placement)


def _refused(path: Path, exc: Exception) -> ModelError:
    reason = last_errors() or str(exc)
    if re.search(r"alloc|out of memory|KV cache|context", reason):
        return ModelError(f"no memory for {str(path)!r}: {reason}; use a smaller model or context_tokens")
    if "unknown model architecture" in reason:
        return ModelError(f"{str(path)!r}: {reason}; update llama-cpp-python, or use another model")
    return ModelCorrupt(f"{str(path)!r} is not a whole GGUF model: {reason}; install the model again")


def precision(file: ModelFile) -> str:
    """The name of the file's quantisation, e.g. Q4_1, as llama.h lists them."""
    number = file.header.values.get("general.file_type")
    names = {v: k for k, v in vars(library()).items() if k.startswith("LLAMA_FTYPE_")}
    return re.sub(r"^LLAMA_FTYPE_(ALL_|MOSTLY_)?", "", names.get(number, "")) or "unknown"


def _chat_template(file: ModelFile, llama: "llama_cpp.Llama") -> Any:
    from llama_cpp.llama_chat_format import Jinja2ChatFormatter

    bos, eos = (_token_text(llama, token) for token in (llama.token_bos(), llama.token_eos()))
    return Jinja2ChatFormatter(file.header.text("tokenizer.chat_template"), eos_token=eos, bos_token=bos)


def _token_text(llama: "llama_cpp.Llama", token: int) -> str:
    return llama._model.token_get_text(token) if token >= 0 else ""
