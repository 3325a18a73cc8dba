"""How much memory a language model takes, how much of it goes onto the graphics card, and how it is run there.

Pure arithmetic on what its GGUF header and the machine say; nothing is loaded.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
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
class Asked:
    """What is asked for: tokens of context, layers on the graphics card (-1: all that fit), threads (None: one a core).

    A model that sees has `eyes` of so many bytes, which go onto the card too, and takes in `picture` tokens at once.
    """

    context: int
    gpu_layers: int = -1
    threads: int | None = None
    eyes: int = 0
    picture: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """How a model is run, and why so.

    `batch` tokens of a text are evaluated together, `largest` is the most that are evaluated together of anything.
    """

    footprint: Footprint
    threads: int
    batch: int
    largest: int
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


def place(shape: Shape, asked: Asked, room: Room) -> Placement:
    """Where and how to run a model: with the layers on the card that were asked for, or as many as fit.

    Raises:
        ModelError: it does not fit the memory of this machine.
    """
    if not room.offload or not room.gpus:
        layers = 0
    elif asked.gpu_layers < 0:
        layers = layers_that_fit(shape, asked, room.gpus)
    else:
        layers = min(asked.gpu_layers, shape.layers)
    return with_layers(shape, asked, room, layers)


def with_layers(shape: Shape, asked: Asked, room: Room, layers: int) -> Placement:
    """As `place`, for so many layers on the card."""
    batch = GPU_BATCH if layers else CPU_BATCH
    largest, flash = max(batch, asked.picture), _flash(shape, layers)
    cache, working = cache_bytes(shape.caches, asked.context), working_bytes(shape, asked.context, largest, flash=flash)
    there = _largest_layers(shape, asked.context)[:layers]
    weights_there, cache_there = sum(weights for weights, _ in there), sum(cached for _, cached in there)
    _check_memory(shape, asked, room, shape.weights - weights_there, cache - cache_there, working)
    on_gpu = weights_there + cache_there + working if layers else 0
    footprint = Footprint(shape.weights, cache, working, on_gpu, layers, shape.layers)
    threads = asked.threads or room.cores
    reason = _why(layers, asked, shape, room)
    reason += f"; {threads} threads, batches of {batch} tokens, flash attention {'on' if flash else 'off'}"
    return Placement(footprint, threads, batch, largest, flash, reason)


def layers_that_fit(shape: Shape, asked: Asked, gpus: Sequence[Gpu]) -> int:
    """How many layers, with their part of the KV cache, fit the free memory of the cards, the largest ones first."""
    free = sum(max(gpu.free - _CARD_RESERVE, 0) for gpu in gpus) - asked.eyes
    free -= working_bytes(shape, asked.context, max(GPU_BATCH, asked.picture), flash=False) * len(gpus)
    fitting = 0
    for weights, cache in _largest_layers(shape, asked.context):
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


def _check_memory(shape: Shape, asked: Asked, room: Room, weights: int, cache: int, working: int) -> None:
    """Weights may be larger than what is free, being read from the disk as they are needed; nothing else may."""
    if cache + working > room.free:
        fits = _longest_context(shape, asked, room.free)
        remedy = f"set `context_tokens` to {fits} or less" if fits else "close other programs or use a smaller model"
        taken = f"{size_words(cache + working)} where {size_words(room.free)} are free"
        raise ModelError(f"no memory: a context of {asked.context} tokens takes {taken}; {remedy}")
    if weights + cache + working > room.total:
        taken = f"{size_words(weights + cache + working)} and this machine has {size_words(room.total)}"
        raise ModelError(f"no memory: the model takes {taken}; use a smaller one, or one quantised to fewer bits")


def _longest_context(shape: Shape, asked: Asked, free: int) -> int:
    """The longest context, in steps of 256 tokens, that fits `free` bytes of memory; 0 where none does."""

    def taken(steps: int) -> int:
        tokens, batch = steps * _CACHE_STEP, max(CPU_BATCH, asked.picture)
        return cache_bytes(shape.caches, tokens) + working_bytes(shape, tokens, batch, flash=False)

    return (bisect_right(range(asked.context // _CACHE_STEP + 1), free, key=taken) - 1) * _CACHE_STEP


def _why(layers: int, asked: Asked, shape: Shape, room: Room) -> str:
    wanted = min(asked.gpu_layers, shape.layers) if asked.gpu_layers >= 0 else shape.layers
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
