"""Is that file a language model that llama.cpp can open? Looked at before llama.cpp does, which may end the process."""

from dataclasses import dataclass
from pathlib import Path

from rag.answer.gguf import GgufHeader, read_header
from rag.answer.llama_library import last_errors
from rag.errors import ModelCorrupt, ModelError, ModelNotFound

_MOST_BLOCKS = 512  # LLAMA_MAX_LAYERS in llama.cpp, which ends the process beyond it
_ENCODERS = frozenset(
    {
        *(
            "bert",
            "modern-bert",
            "neo-bert",
            "eurobert",
            "nomic-bert",
            "nomic-bert-moe",
            "jina-bert-v2",
            "jina-bert-v3",
        ),
        *("t5encoder", "gemma-embedding"),
    }
)
_AGAIN = "install the model again"

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A language model's file as it was when it was looked at."""

    path: Path
    stamp: Stamp
    header: GgufHeader

    def context(self, asked: int) -> int:
        """The context to use: what was asked for, or what the model was trained on where that is less."""
        trained = self.header.number("context_length")
        return min(asked, trained) if trained > 0 else asked


def stamp(path: Path) -> Stamp | None:
    """Inode, size and time of change of a file, which tell it from another one; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def look_at(path: Path) -> ModelFile:
    """Look at the header of a language model.

    Raises:
        ModelNotFound: there is no such file.
        ModelCorrupt: it is not a whole GGUF file, or contradicts itself.
        ModelError: it is another kind of model.
    """
    seen = stamp(path)
    if seen is None or not path.is_file():
        raise ModelNotFound(f"no language model at {str(path)!r}; set `generator` to the path of a GGUF file")
    header = whole_header(path)
    if reason := _another_kind(header):
        raise ModelError(f"{str(path)!r} {reason}")
    if reason := _contradiction(header):
        raise ModelCorrupt(f"{str(path)!r} is not a whole GGUF model: {reason}; {_AGAIN}")
    if not header.text("tokenizer.chat_template"):
        raise ModelError(f"{str(path)!r} has no chat template; use an instruction-tuned model")
    return ModelFile(path, seen, header)


def whole_header(path: Path) -> GgufHeader:
    """The header of a GGUF file that is as long as it says.

    Raises:
        ModelCorrupt: it is not.
    """
    last_errors()
    header = read_header(path)
    if header is None:
        raise ModelCorrupt(f"{str(path)!r} is not a GGUF file: {last_errors() or 'it cannot be read'}; {_AGAIN}")
    size = path.stat().st_size
    if size < header.size:
        raise ModelCorrupt(
            f"{str(path)!r} is not a whole GGUF model: it has {size} of {header.size} bytes; if it is not still being "
            f"copied, {_AGAIN}"
        )
    return header


def _another_kind(header: GgufHeader) -> str:
    """What else the model is, with the remedy; "" for a language model."""
    if header.architecture == "clip":  # llama.cpp would abort
        return "is not a language model but the eyes of one; set `mmproj` to it"
    kind = header.text("general.type")
    if kind not in ("", "model"):
        return f"is not a language model but its {kind!r}; set `generator` to the model itself"
    causal = header.values.get(f"{header.architecture}.attention.causal", True)
    if header.architecture in _ENCODERS or causal is False or header.number("pooling_type"):
        return "makes vectors of texts and cannot write; use it as `embedder`, and a chat model as `generator`"
    if header.architecture == "t5":
        return "translates one text into another and cannot chat; use a chat model"
    return ""


def _contradiction(header: GgufHeader) -> str:
    """What cannot be true of a language model; "" where nothing is found."""
    blocks = header.number("block_count")
    if not header.architecture:
        return "it does not say of which architecture it is"
    if not 0 < blocks <= _MOST_BLOCKS:
        return f"it says that it has {blocks} layers"
    if not header.tensors:
        return "there are no weights in it"
    return ""
