"""What follows from the facts of a machine: what is well, what is not, and the command that mends it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rag.models.facts import Card, Facts
from rag.records import Footprint, ModelState
from rag.text import size_words

_GIB = 1 << 30
_LEAST_MEMORY = _GIB  # free, for the starter models and what they work on
_LEAST_DISK = 2 * _GIB  # an index, its compaction and a log fit into this
_LEAST_CARD = _GIB  # free on a card: less holds no model worth it


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `remedy` is empty when all is well; `details` are its numbers, for programs."""

    name: str
    ok: bool
    finding: str
    remedy: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


def findings(facts: Facts) -> list[Check]:
    """Everything that can be said of a machine before a model is loaded."""
    return [_processor(facts), _memory(facts), _disk(facts), _card(facts), _torch(facts), _llama(facts)]


def _processor(facts: Facts) -> Check:
    """Other programs at work are no fault, but what is measured beside them is less than the machine can do."""
    busy = f"; {facts.load:.0f} threads want them, so that speeds are lower now" if facts.load > facts.cores else ""
    finding = f"{facts.processor}, {facts.cores} cores{busy}"
    return Check("processor", True, finding, "", {"cores": facts.cores, "load": round(facts.load, 2)})


def _memory(facts: Facts) -> Check:
    ok = facts.memory_free > _LEAST_MEMORY
    finding = f"{size_words(facts.memory_free)} of {size_words(facts.memory_total)} free"
    details = {"free": facts.memory_free, "total": facts.memory_total}
    return Check("memory", ok, finding, "" if ok else "close other programs: the models need about 1 GiB", details)


def _disk(facts: Facts) -> Check:
    ok = facts.disk_free > _LEAST_DISK
    finding = f"{size_words(facts.disk_free)} free at {facts.home}"
    return Check("disk", ok, finding, "" if ok else "free some space", {"free": facts.disk_free})


def _card(facts: Facts) -> Check:
    """The graphics cards, as their driver tells of them."""
    name = "graphics card"
    if facts.trouble:
        remedy = "restart the machine; if that does not help, install the NVIDIA driver again"
        return Check(name, False, f"the NVIDIA driver does not answer: {facts.trouble}", remedy)
    if not facts.cards:
        found = "Apple GPU, which shares the memory" if facts.apple_gpu else "none from NVIDIA: models run on the CPU"
        return Check(name, True, found)
    cuda = f" for CUDA {facts.driver_cuda}" if facts.driver_cuda else ""
    finding = f"{', '.join(map(_of_card, facts.cards))}; driver {facts.cards[0].driver}{cuda}"
    details = {"cards": [{"name": c.name, "total": c.total, "free": c.free} for c in facts.cards]}
    return Check(name, not (remedy := _card_remedy(facts)), finding, remedy, details)


def _card_remedy(facts: Facts) -> str:
    if facts.hidden is not None and facts.hidden.strip() in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES is {facts.hidden!r}, which hides every card: unset it"
    if max(card.free for card in facts.cards) < _LEAST_CARD:
        return "close other programs that use the card (nvidia-smi lists them): it has too little memory free"
    return ""


def _torch(facts: Facts) -> Check:
    if facts.torch_device:
        build = f", built for CUDA {facts.torch_cuda}" if facts.torch_cuda else ""
        return Check("torch", True, f"{facts.torch} on {facts.torch_device}{build}")
    finding = f"{facts.torch} on the CPU, built {_built_for(facts)}"
    return Check("torch", not (remedy := _torch_remedy(facts)), finding, remedy)


def _built_for(facts: Facts) -> str:
    return f"for CUDA {facts.torch_cuda}" if facts.torch_cuda else "without CUDA"


def _torch_remedy(facts: Facts) -> str:
    """Why torch leaves the card that is here alone. Builds run on any driver for the same major version of CUDA."""
    if not facts.cards or _card_remedy(facts).startswith("CUDA_VISIBLE"):
        return ""
    if not facts.torch_cuda:
        newest = f" {facts.driver_cuda} or older" if facts.driver_cuda else ""
        return (
            "this build of torch cannot use the NVIDIA card: install torch and torchvision for CUDA"
            f"{newest} with the command that pytorch.org/get-started gives"
        )
    if facts.driver_cuda and _major(facts.torch_cuda) > _major(facts.driver_cuda):
        return (
            f"torch was built for CUDA {facts.torch_cuda} and the driver only runs {facts.driver_cuda}: update the "
            f"NVIDIA driver, or install torch and torchvision for CUDA {facts.driver_cuda} (pytorch.org/get-started)"
        )
    return "torch finds no card though the driver does: restart the machine, or install torch and torchvision again"


def _llama(facts: Facts) -> Check:
    """A build without CUDA on a machine with an NVIDIA card is the commonest silent slowness of local chat."""
    finding = f"{facts.llama}, built {'with' if facts.llama_offload else 'without'} GPU support"
    remedy = "" if facts.llama_offload else rebuild(facts)
    return Check("llama.cpp", not remedy, finding, remedy)


def rebuild(facts: Facts) -> str:
    """How to build llama-cpp-python for the card that is here; "" where there is none.

    The variable and the flags are those of the README of llama-cpp-python 0.3.36.
    """
    if not facts.cards and not facts.apple_gpu:
        return ""
    flag = "-DGGML_METAL=on" if facts.apple_gpu else "-DGGML_CUDA=on"
    install = "-m pip install --force-reinstall --no-cache-dir --no-deps"
    if facts.system == "Windows":
        command = f'$env:CMAKE_ARGS = "{flag}"; & "{facts.python}" {install} llama-cpp-python=={facts.llama}'
    else:
        command = f'CMAKE_ARGS="{flag}" "{facts.python}" {install} llama-cpp-python=={facts.llama}'
    return " ".join([*_before_rebuilding(facts), f"then run: {command}" if _lacking(facts) else f"run: {command}"])


def _lacking(facts: Facts) -> bool:
    return not facts.apple_gpu and not facts.compiler


def _before_rebuilding(facts: Facts) -> Iterator[str]:
    if _lacking(facts):
        newest = f", version {facts.driver_cuda} or older," if facts.driver_cuda else ""
        yield f"install NVIDIA's CUDA toolkit{newest} so that nvcc is found,"


# --- models ------------------------------------------------------------------------------------------------------


def generator_check(state: ModelState, facts: Facts, *, reads: float, writes: float, context: int) -> Check:
    """A language model that is loaded and was measured. `reads` and `writes` are tokens per second."""
    speed = f"reads {reads:.0f} tokens/s, writes {writes:.0f} tokens/s"
    finding = f"{state.name} on {state.device}; {taken(state.footprint)}{speed} ({state.reason})"
    remedy = _generator_remedy(state.footprint, facts)
    details: dict[str, object] = {
        **_model_details(state),
        "context_tokens": context,
        "read_tokens_per_second": round(reads, 1),
        "tokens_per_second": round(writes, 1),
    }
    return Check("language model", not remedy, finding, remedy, details)


def embedder_check(state: ModelState, what: str, rate: float) -> Check:
    """An embedder that is loaded and was measured: `rate` of `what` (texts, pictures) per second."""
    finding = f"{state.name} on {state.device}, {state.precision}, {taken(state.footprint)}{rate:.0f} {what}/s"
    details = {**_model_details(state), f"{what}_per_second": round(rate, 1)}
    return Check(state.role, True, f"{finding} ({state.reason})", "", details)


def taken(footprint: Footprint | None) -> str:
    """`92 MiB of weights, 90 MiB of KV cache; `, with what of it is on the card."""
    if footprint is None:
        return ""
    cache = f", {size_words(footprint.cache)} of KV cache" if footprint.cache else ""
    card = f", {size_words(footprint.on_gpu)} of all this on the card" if footprint.on_gpu else ""
    return f"{size_words(footprint.weights)} of weights{cache}{card}; "


def _generator_remedy(footprint: Footprint | None, facts: Facts) -> str:
    if footprint is None:
        return ""
    if footprint.layers < footprint.all_layers and facts.llama_offload and facts.cards:
        short = footprint.weights + footprint.cache + footprint.working - max(card.free for card in facts.cards)
        by = f" ({size_words(short)} less)" if short > 0 else ""
        return (
            f"{footprint.all_layers - footprint.layers} layers run on the CPU and hold the rest up: use a smaller model"
            f"{by} or fewer bits, lower `context_tokens`, or close what else uses the card"
        )
    here = footprint.weights + footprint.cache + footprint.working - footprint.on_gpu
    if here > facts.memory_free:
        return (
            f"it takes {size_words(here)} and {size_words(facts.memory_free)} are free, so that weights are read from "
            "the disk again and again: use a smaller model, or close other programs"
        )
    return ""


def _model_details(state: ModelState) -> dict[str, object]:
    details: dict[str, object] = {"model": state.name, "device": state.device, "precision": state.precision}
    if state.footprint is not None:
        found = state.footprint
        details |= {
            "weights": found.weights,
            "kv_cache": found.cache,
            "working": found.working,
            "on_gpu": found.on_gpu,
            "layers_on_gpu": found.layers,
            "layers": found.all_layers,
        }
    return details


def _of_card(card: Card) -> str:
    return f"{card.name} ({size_words(card.free)} of {size_words(card.total)} free)"


def _major(version: str) -> int:
    return int(version.split(".")[0])
