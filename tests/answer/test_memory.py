"""Where a language model goes, from recorded facts of machines; the arithmetic against what llama.cpp itself takes."""

import logging
import re
from pathlib import Path

import pytest

from rag.answer.devices import gpus, this_room, usable_cores
from rag.answer.gguf import GgufHeader, read_header
from rag.answer.llama import LlamaGenerator
from rag.answer.memory import CPU_BATCH, GPU_BATCH, Asked, Gpu, Room, Shape, cache_bytes, place, shape_of
from rag.errors import ModelError
from rag.models import starter
from rag.records import Message
from tests.answer.tiny_llama import BLOCKS, DIM, HEADS, KV_HEADS, write_llama

MIB, GIB = 1 << 20, 1 << 30
RTX_4060 = Gpu("NVIDIA GeForce RTX 4060", 8188 * MIB, 7100 * MIB)
RTX_3090 = Gpu("NVIDIA GeForce RTX 3090", 24 * GIB, 23 * GIB)
LAPTOP = Room(16 * GIB, 9 * GIB, 8)
DESKTOP = Room(32 * GIB, 24 * GIB, 8, (RTX_4060,), offload=True)


def shape(blocks: int, block: int, output: int, *, kv_heads: int = 8, head: int = 128, words: int = 128_256) -> Shape:
    """A model of `blocks` blocks of `block` bytes, as large again in what stays in memory as its output."""
    return Shape(
        weights=blocks * block + 2 * output,
        blocks=(block,) * blocks,
        output=output,
        caches=(kv_heads * 2 * head * 2,) * blocks,
        widest=words + 4 * 4096,
        heads=32,
        head=head,
    )


EIGHT_B = shape(32, 136 * MIB, 420 * MIB)  # about 4.9 GiB, as Llama 3.1 8B in Q4_K_M
THIRTEEN_GB = shape(40, 310 * MIB, 500 * MIB)  # about 13 GiB


def test_the_cache_of_an_8b_model_by_hand() -> None:
    """32 layers, 8 heads of keys and 8 of values of 128 numbers each, 2 bytes each: 128 KiB for a token."""
    assert cache_bytes(EIGHT_B.caches, 4096) == 32 * 8 * (128 + 128) * 2 * 4096 == 512 * MIB
    assert cache_bytes(EIGHT_B.caches, 4000) == 512 * MIB  # in steps of 256 tokens
    assert cache_bytes(EIGHT_B.caches, 1) == 256 * 128 * 1024


def test_without_a_card_everything_is_in_memory() -> None:
    placed = place(EIGHT_B, Asked(4096), LAPTOP)
    assert (placed.footprint.layers, placed.footprint.on_gpu) == (0, 0)
    assert (placed.threads, placed.batch, placed.flash_attention) == (8, CPU_BATCH, False)
    assert "built without GPU support" in placed.reason


def test_a_build_for_gpus_that_finds_none_says_so() -> None:
    placed = place(EIGHT_B, Asked(4096), Room(16 * GIB, 9 * GIB, 8, (), offload=True))
    assert placed.footprint.layers == 0
    assert "finds none" in placed.reason


def test_what_fits_a_card_goes_there_whole() -> None:
    placed = place(EIGHT_B, Asked(4096), DESKTOP)
    assert (placed.footprint.layers, placed.footprint.all_layers) == (33, 33)
    assert placed.flash_attention
    assert placed.batch == GPU_BATCH
    assert 32 * 136 * MIB + 512 * MIB < placed.footprint.on_gpu < RTX_4060.free
    assert placed.reason.startswith("33 of 33 layers on NVIDIA GeForce RTX 4060;")


def test_of_a_13_gb_model_an_8_gb_card_takes_as_many_layers_as_fit() -> None:
    placed = place(THIRTEEN_GB, Asked(4096), DESKTOP)
    layers = placed.footprint.layers
    each = 310 * MIB + 16 * MIB  # with its part of the cache: 8 * 256 * 2 * 4096 bytes
    assert 0 < layers < 41
    assert placed.footprint.on_gpu <= RTX_4060.free - 512 * MIB
    assert placed.footprint.on_gpu + each > RTX_4060.free - 512 * MIB  # one more would not fit
    assert not placed.flash_attention
    assert "no more fit its free memory of 6.9 GiB" in placed.reason


def test_a_long_context_takes_layers_from_the_card() -> None:
    layers = [place(EIGHT_B, Asked(context), DESKTOP).footprint.layers for context in (4096, 16384, 32768)]
    assert layers == sorted(layers, reverse=True)
    assert layers[0] == 33 > layers[-1] > 0


def test_a_full_card_takes_none_and_says_why() -> None:
    full = Room(32 * GIB, 24 * GIB, 8, (Gpu("RTX 4060", 8 * GIB, 300 * MIB),), offload=True)
    placed = place(EIGHT_B, Asked(4096), full)
    assert placed.footprint.layers == 0
    assert "0 of 33 layers on RTX 4060: no more fit its free memory of 300 MiB" in placed.reason


def test_two_cards_share() -> None:
    two = Room(64 * GIB, 60 * GIB, 16, (RTX_3090, RTX_3090), offload=True)
    seventy_b = shape(80, 480 * MIB, 600 * MIB)
    assert place(seventy_b, Asked(4096), two).footprint.layers == 81
    one = Room(64 * GIB, 60 * GIB, 16, (RTX_3090,), offload=True)
    assert 30 < place(seventy_b, Asked(4096), one).footprint.layers < 81


@pytest.mark.parametrize(("asked", "layers"), [(0, 0), (5, 5), (33, 33), (99, 33)])
def test_layers_that_are_asked_for_are_tried(asked: int, layers: int) -> None:
    placed = place(EIGHT_B, Asked(4096, asked), DESKTOP)
    assert placed.footprint.layers == layers
    assert ("gpu_layers is 0" in placed.reason) is (asked == 0)


def test_heads_that_the_kernels_do_not_know_go_without_flash_attention() -> None:
    assert not place(shape(32, 136 * MIB, 420 * MIB, head=100), Asked(4096), DESKTOP).flash_attention


def test_a_context_too_long_for_memory_names_one_that_fits() -> None:
    """A cache of 131,072 * 128 KiB, and the scores of 32 heads for 128 tokens of 4 bytes each: 16 GiB + 2 GiB."""
    with pytest.raises(
        ModelError, match=r"context of 131072 tokens takes 18\.0 GiB where 9\.0 GiB are free"
    ) as refused:
        place(EIGHT_B, Asked(131_072), LAPTOP)
    fits = int(str(refused.value).split("`context_tokens` to ")[1].split()[0])
    assert place(EIGHT_B, Asked(fits), LAPTOP).footprint.cache < LAPTOP.free
    with pytest.raises(ModelError):
        place(EIGHT_B, Asked(fits + 256), LAPTOP)


def test_a_model_larger_than_memory_is_refused_unless_the_card_takes_the_rest() -> None:
    small = Room(8 * GIB, 6 * GIB, 4)
    with pytest.raises(ModelError, match=r"takes 1\d\.\d GiB and this machine has 8\.0 GiB"):
        place(THIRTEEN_GB, Asked(2048), small)
    with_card = Room(8 * GIB, 6 * GIB, 4, (RTX_3090,), offload=True)
    assert place(THIRTEEN_GB, Asked(2048), with_card).footprint.layers == 41


def test_eyes_take_their_place_on_the_card() -> None:
    """600 MiB of them, and a batch large enough for a picture."""
    blind, seeing = (place(THIRTEEN_GB, Asked(4096, eyes=eyes, picture=512), DESKTOP) for eyes in (0, 600 * MIB))
    assert blind.footprint.layers - seeing.footprint.layers in (1, 2)  # of 326 MiB each
    on_cpu = place(EIGHT_B, Asked(4096, eyes=600 * MIB, picture=512), LAPTOP)
    assert (on_cpu.batch, on_cpu.largest) == (CPU_BATCH, 512)
    assert on_cpu.footprint.working == 4 * place(EIGHT_B, Asked(4096), LAPTOP).footprint.working


def test_threads_may_be_chosen() -> None:
    placed = place(EIGHT_B, Asked(4096, threads=3), LAPTOP)
    assert placed.threads == 3
    assert "; 3 threads" in placed.reason


# --- headers -----------------------------------------------------------------------------------------------------


def test_the_shape_of_a_file(tmp_path: Path) -> None:
    header = read_header(write_llama(tmp_path / "tiny.gguf"))
    assert header is not None
    found = shape_of(header)
    assert found.layers == BLOCKS + 1
    assert found.caches == (KV_HEADS * 2 * (DIM // HEADS) * 2,) * BLOCKS
    block = DIM * (2 + 2 * DIM + 2 * DIM * KV_HEADS // HEADS + 3 * 64) * 4
    assert found.blocks == (block,) * BLOCKS
    words = header.words * DIM * 4
    assert found.weights == BLOCKS * block + 2 * words + DIM * 4
    assert found.output == words + DIM * 4


def header_of(tensors: dict[str, int], **values: int | tuple[int, ...]) -> GgufHeader:
    named = {f"odd.{name.replace('__', '.')}": value for name, value in values.items()}
    return GgufHeader("odd", 0, 1000, named, tensors)


def test_heads_that_differ_from_layer_to_layer() -> None:
    """As in models whose layers are not all attention: a layer without heads has no cache."""
    values = {"block_count": 3, "embedding_length": 64, "attention__head_count": (4, 4, 4)}
    header = header_of({}, **values, attention__head_count_kv=(2, 0, 4))
    assert shape_of(header).caches == (2 * 32 * 2, 0, 4 * 32 * 2)


def test_keys_and_values_of_their_own_sizes() -> None:
    values = {"block_count": 1, "embedding_length": 64, "attention__head_count": 4, "attention__head_count_kv": 4}
    found = shape_of(header_of({}, **values, attention__key_length=24, attention__value_length=8))
    assert found.caches == (4 * (24 + 8) * 2,)
    assert found.head == 0  # no flash attention for these


def test_tied_embeddings_are_copied_to_the_card_as_output() -> None:
    found = shape_of(header_of({"token_embd.weight": 900, "blk.0.attn_q.weight": 100}, block_count=1))
    assert (found.weights, found.output, found.blocks) == (1000, 900, (100,))


# --- this machine ------------------------------------------------------------------------------------------------


def test_this_machine_is_asked() -> None:
    room = this_room()
    assert 0 < room.free <= room.total
    assert room.cores == usable_cores() >= 1
    assert all(0 <= gpu.free <= gpu.total for gpu in gpus())
    assert room.offload or not room.gpus


@pytest.mark.model
def test_the_arithmetic_is_what_llama_cpp_takes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "rag.answer.llama_library")
    generator = LlamaGenerator(starter.generator_file(), context_tokens=1000, gpu_layers=0)
    list(generator.stream([Message("user", "Hello")], max_tokens=1))
    taken = generator.state.footprint
    assert taken is not None

    def told(pattern: str) -> float:
        return sum(float(size) for size in re.findall(pattern, caplog.text))

    assert taken.weights / MIB == pytest.approx(told(r"file size +=\s+([\d.]+) MiB"), abs=0.01)
    assert taken.cache / MIB == pytest.approx(told(r"llama_kv_cache: size =\s+([\d.]+) MiB"), abs=0.01)
    working = told(r"compute buffer size =\s+([\d.]+) MiB")
    assert working <= taken.working / MIB <= 1.1 * working
