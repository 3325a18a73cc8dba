"""How much memory a language model takes, how much of it goes onto the graphics card, and how it is run there.

Pure arithmetic on what its GGUF header and the machine say; nothing is loaded.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.answer.gguf import GgufHeader
from rag.errors import ModelError
from rag.records import Footprint
from rag.text import size_words

_MIB = 1 << 20
_CACHE_BYTES = 2  # of a number in the KV cache, which is f16
_CACHE_STEP = 256  # tokens: llama.cpp rounds a context up to whole steps of it
_FLOAT = 4
_CARD_RESERVE = 512 * _MIB  # of each card, for what else is drawn and computed on it
_BLOCK = re.compile(r"blk\.(\d+)\.")
_FLASH_HEADS = frozenset({64, 80, 96, 112, 128, 256})  # sizes of a head for which ggml's CUDA kernels have it

CPU_BATCH = 128
"""Tokens that a CPU evaluates together: more were no faster, and only whole batches are reused (eval/LOG.md)."""
GPU_BATCH = 512
"""Tokens that a graphics card evaluates together: llama.cpp's own default."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides how much memory a model takes, in bytes.

    `weights` is all of them: `blocks` those of each block, `output` those of the last layer, the rest stays in memory.
    `caches` are what one token takes of the KV cache in each block. Of a batch, `widest` numbers for each token are
    kept at once, or `heads` for each token before it where attention is not flash attention. `head` is the size of
    an attention head, 0 where keys and values differ in size.
    """

    weights: int
    blocks: tuple[int, ...]
    output: int
    caches: tuple[int, ...]
    widest: int
    heads: int
    head: int

    @property
    def layers(self) -> int:
        """What can be put on a graphics card one by one: the blocks and the output."""
        return len(self.blocks) + 1


@dataclass(frozen=True, slots=True)
class Gpu:
    """A graphics card that llama.cpp can use, with its bytes of memory."""

    name: str
    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Room:
    """What there is for a language model: bytes of memory, cores that it may use, and graphics cards.

    `offload` says whether this build of llama.cpp can use a graphics card at all.
    """

    total: int
    free: int
    cores: int
    gpus: tuple[Gpu, ...] = ()
    offload: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """How a model is run. `batch` is in tokens, `reason` says what was chosen and why."""

    footprint: Footprint
    threads: int
    batch: int
    flash_attention: bool
    reason: str


def shape_of(header: GgufHeader) -> Shape:
    """The shape of the model in a GGUF file.

    A head's size, where the header does not give it, is embedding_length / head_count, as in llama.cpp.
    """
    count = header.number("block_count")
    blocks = [0] * count
    for name, size in header.tensors.items():
        block = _BLOCK.match(name)
        if block and int(block[1]) < count:
            blocks[int(block[1])] += size
    # Without an output of its own, the embeddings of words are used as output too, and copied to the card for it.
    tied = header.tensors.get("token_embd.weight", 0)
    output = header.tensors.get("output.weight", tied) + header.tensors.get("output_norm.weight", 0)
    width, heads = header.number("embedding_length"), header.number("attention.head_count")
    key = header.number("attention.key_length", width // max(heads, 1))
    value = header.number("attention.value_length", width // max(heads, 1))
    shared = header.numbers("attention.head_count_kv", count, heads)
    return Shape(
        weights=sum(header.tensors.values()),
        blocks=tuple(blocks),
        output=output,
        caches=tuple(heads_kv * (key + value) * _CACHE_BYTES for heads_kv in shared),
        widest=max(header.words, 2 * header.number("feed_forward_length")) + 4 * width,
        heads=heads,
        head=key if key == value else 0,
    )


def cache_bytes(caches: Sequence[int], context: int) -> int:
    """The KV cache of those blocks for `context` tokens: sum of kv_heads * (key + value) * 2 bytes, each token."""
    return -(-context // _CACHE_STEP) * _CACHE_STEP * sum(caches)


def working_bytes(shape: Shape, context: int, batch: int, *, flash: bool) -> int:
    """What llama.cpp keeps of a batch besides, estimated from above: logits, or the scores of attention."""
    scores = 0 if flash else shape.heads * context
    return batch * max(shape.widest, scores) * _FLOAT


def place(shape: Shape, context: int, room: Room, *, gpu_layers: int, threads: int | None = None) -> Placement:
    """Where and how to run a model with a context of `context` tokens.

    Args:
        gpu_layers: layers on the graphics card; -1 means as many as fit its free memory.
        threads: None means one per core.

    Raises:
        ModelError: it does not fit the memory of this machine.
    """
    wanted = min(gpu_layers, shape.layers) if gpu_layers >= 0 else shape.layers
    if not room.offload or not room.gpus:
        layers = 0
    else:
        layers = wanted if gpu_layers >= 0 else layers_that_fit(shape, context, room.gpus)
    return with_layers(shape, context, room, layers, wanted, threads)


def with_layers(
    shape: Shape, context: int, room: Room, layers: int, wanted: int, threads: int | None = None
) -> Placement:
    """As `place`, for so many layers on the graphics card out of those that are `wanted` there."""
    batch = GPU_BATCH if layers else CPU_BATCH
    flash = _flash(shape, layers)
    cache, working = cache_bytes(shape.caches, context), working_bytes(shape, context, batch, flash=flash)
    there = _largest_layers(shape, context)[:layers]
    weights_there, cache_there = sum(weights for weights, _ in there), sum(cached for _, cached in there)
    _check_memory(shape, context, room, shape.weights - weights_there, cache - cache_there, working)
    on_gpu = weights_there + cache_there + working if layers else 0
    footprint = Footprint(shape.weights, cache, working, on_gpu, layers, shape.layers)
    cores = threads or room.cores
    reason = _why(layers, wanted, shape, room)
    reason += f"; {cores} threads, batches of {batch} tokens, flash attention {'on' if flash else 'off'}"
    return Placement(footprint, cores, batch, flash, reason)


def layers_that_fit(shape: Shape, context: int, gpus: Sequence[Gpu]) -> int:
    """How many layers, with their part of the KV cache, fit the free memory of the cards, the largest ones first."""
    free = sum(max(gpu.free - _CARD_RESERVE, 0) for gpu in gpus)
    free -= working_bytes(shape, context, GPU_BATCH, flash=False) * len(gpus)
    fitting = 0
    for weights, cache in _largest_layers(shape, context):
        free -= weights + cache
        if free < 0:
            break
        fitting += 1
    return fitting


def _largest_layers(shape: Shape, context: int) -> list[tuple[int, int]]:
    """The weights of each layer and its part of the KV cache, the largest first: no choice of layers takes more."""
    caches = (cache_bytes([cache], context) for cache in shape.caches)
    return sorted([*zip(shape.blocks, caches, strict=True), (shape.output, 0)], key=sum, reverse=True)


def _flash(shape: Shape, layers: int) -> bool:
    """Flash attention, where the whole model is on a card that has it for heads of this size."""
    return layers == shape.layers and shape.head in _FLASH_HEADS


def _check_memory(shape: Shape, context: int, room: Room, weights: int, cache: int, working: int) -> None:
    """Weights may be larger than what is free, being read from the disk as they are needed; nothing else may."""
    if cache + working > room.free:
        fits = next(_smaller(shape, context, room.free), 0)
        remedy = f"set `context_tokens` to {fits} or less" if fits else "close other programs or use a smaller model"
        taken = f"{size_words(cache + working)} where {size_words(room.free)} are free"
        raise ModelError(f"no memory: a context of {context} tokens takes {taken}; {remedy}")
    if weights + cache + working > room.total:
        taken = f"{size_words(weights + cache + working)} and this machine has {size_words(room.total)}"
        raise ModelError(f"no memory: the model takes {taken}; use a smaller one, or one quantised to fewer bits")


def _smaller(shape: Shape, context: int, free: int) -> Iterator[int]:
    """Contexts in steps of 256 tokens that fit `free` bytes, the longest first."""
    for tokens in range(context // _CACHE_STEP * _CACHE_STEP, 0, -_CACHE_STEP):
        if cache_bytes(shape.caches, tokens) + working_bytes(shape, tokens, CPU_BATCH, flash=False) <= free:
            yield tokens


def _why(layers: int, wanted: int, shape: Shape, room: Room) -> str:
    of = f"{layers} of {shape.layers} layers"
    if not room.offload:
        return f"{of} on a GPU: llama-cpp-python was built without GPU support"
    if not room.gpus:
        return f"{of} on a GPU: llama.cpp finds none"
    name = room.gpus[0].name if len(room.gpus) == 1 else f"{len(room.gpus)} GPUs"
    if wanted == 0:
        return f"{of} on the GPU: gpu_layers is 0"
    if layers < wanted:
        return f"{of} on {name}: no more fit its free memory of {size_words(sum(gpu.free for gpu in room.gpus))}"
    return f"{of} on {name}"
