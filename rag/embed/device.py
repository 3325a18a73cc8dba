"""Which device, precision and batch size an embedder gets, and why. Imported only when a model is loaded."""

from dataclasses import dataclass
from typing import Literal

import torch

from rag.errors import ConfigError
from rag.records import Footprint

DeviceSetting = Literal["auto", "cpu", "cuda", "mps"]
PrecisionSetting = Literal["auto", "fp32", "bf16", "fp16"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a model runs. `batch` is in texts or pictures; `reason` is shown to the user."""

    device: str
    precision: str
    batch: int
    reason: str

    @property
    def dtype(self) -> torch.dtype:
        return _DTYPES[self.precision]


def footprint(model: torch.nn.Module) -> Footprint:
    """What the weights of `model` take, and whether that is memory of a card."""
    weights = list(model.parameters())
    size = sum(each.numel() * each.element_size() for each in weights)
    return Footprint(size, on_gpu=size if weights and weights[0].device.type != "cpu" else 0)


def place(device: DeviceSetting = "auto", precision: PrecisionSetting = "auto") -> Placement:
    """Choose the fastest device and the fastest precision that keeps the ranking.

    Half precision on a GPU and bf16 on a CPU with bf16 instructions keep every cosine to fp32 above .998 for MiniLM
    and above .999 for CLIP's ViT-B-32 (measured, see eval/LOG.md), and are two to three times as fast; a CPU without
    them emulates and is slower.

    Raises:
        ConfigError: a device that this machine or this build of torch does not have.
    """
    chosen, why = _device(device)
    if precision != "auto":
        return Placement(chosen, precision, _batch(chosen), f"{why}; precision set by you")
    if chosen == "cuda":
        return Placement(chosen, "fp16", _batch(chosen), f"{why}; fp16 is fastest there")
    if chosen == "cpu" and _cpu_has_bf16():
        return Placement(chosen, "bf16", _batch(chosen), f"{why}; the CPU has bf16 instructions")
    return Placement(chosen, "fp32", _batch(chosen), f"{why}; fp32 because it has no fast half precision")


def _device(wanted: DeviceSetting) -> tuple[str, str]:
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted != "auto":
        if not available[wanted]:
            raise ConfigError(f"device {wanted!r} is not available to torch {torch.__version__}; set RAG_DEVICE=auto")
        return wanted, f"{wanted} set by you"
    if available["cuda"]:
        return "cuda", f"found {torch.cuda.get_device_name(0)}"
    if available["mps"]:
        return "mps", "found an Apple GPU"
    return "cpu", "no GPU found"


def _cpu_has_bf16() -> bool:
    """torch keeps this test private; without it, or on another architecture, the answer is no."""
    test = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(test and test())


def _batch(device: str) -> int:
    return 16 if device == "cpu" else 256  # on two cores 16 was 7 % faster than 32, and 64 7 % slower (eval/LOG.md)
