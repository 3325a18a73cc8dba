"""Files that are no language model, or not a whole one: each is refused with its name and a remedy."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rag.answer.llama import LlamaGenerator
from rag.answer.memory import Room
from rag.errors import GenerationError, ModelCorrupt, ModelError, ModelNotFound, PromptTooLong
from rag.models import starter
from rag.records import Message
from tests.answer.tiny_llama import BLOCKS, DIM, HEADS, KV_HEADS, alter, write_llama

HELLO = [Message("user", "hello")]
GIB = 1 << 30


def model(path: Path, context_tokens: int = 512, room: Room | None = None) -> LlamaGenerator:
    given = room or Room(total=GIB, free=GIB, cores=1)
    return LlamaGenerator(path, context_tokens=context_tokens, gpu_layers=-1, room=lambda: given)


def write(generator: LlamaGenerator, words: str = "hello", max_tokens: int = 4) -> str:
    return "".join(generator.stream([Message("user", words)], max_tokens=max_tokens))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def test_the_tiny_model_works(tiny: Path) -> None:
    generator = model(tiny)
    assert write(generator) == write(model(tiny))
    assert generator.state.precision == "F32"


@pytest.mark.parametrize("part", [0.0, 0.0001, 0.02, 0.05, 0.2, 0.5, 0.9, 0.9999])
def test_a_file_that_was_cut_off_anywhere(tiny: Path, tmp_path: Path, part: float) -> None:
    whole = tiny.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(ModelCorrupt, match=r"cut\.gguf.*install the model again"):
        model(cut).load()


@pytest.mark.parametrize(
    "content",
    [b"<!DOCTYPE html><html>404</html>" * 50, b"PK\x03\x04" + bytes(500), b"GGUF", b"GGUF" + b"\xff" * 60, bytes(4096)],
    ids=["html", "zip", "magic", "nonsense", "zeros"],
)
def test_what_is_no_gguf_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "page.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelCorrupt, match=r"page\.gguf' is not a GGUF file"):
        model(path).load()


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="set `generator`"):
        model(tmp_path)


@pytest.mark.parametrize(
    ("made", "remedy"),
    [
        (
            lambda path: write_llama(path, architecture="hologram"),
            "unknown model architecture.*update llama-cpp-python",
        ),
        (lambda path: write_llama(path, architecture="bert"), "makes vectors of texts.*`embedder`"),
        (lambda path: write_llama(path, causal=False), "makes vectors of texts"),
        (lambda path: write_llama(path, pooling=3), "makes vectors of texts"),
        (lambda path: write_llama(path, architecture="t5"), "use a chat model"),
        (lambda path: write_llama(path, kind="adapter"), "its 'adapter'.*the model itself"),
        (lambda path: write_llama(path, template=None), "no chat template; use an instruction-tuned"),
        (lambda path: write_llama(path, template="{% for m in %}"), "chat template.*is broken"),
    ],
    ids=["unknown", "bert", "not causal", "pooling", "t5", "adapter", "no template", "broken template"],
)
def test_another_kind_of_model(tmp_path: Path, made: Callable[[Path], Path], remedy: str) -> None:
    with pytest.raises(ModelError, match=remedy) as refused:
        model(made(tmp_path / "other.gguf")).load()
    assert not isinstance(refused.value, ModelCorrupt)
    assert "other.gguf" in str(refused.value)


def test_pooling_of_none_is_a_language_model(tmp_path: Path) -> None:
    assert write(model(write_llama(tmp_path / "none.gguf", pooling=0)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("llama.block_count", 0),  # llama.cpp ends the process over these
        ("llama.block_count", 1000),
        ("llama.block_count", 4_000_000_000),
        ("llama.block_count", BLOCKS + 1),
        ("llama.attention.head_count", 0),
        ("llama.attention.head_count", 1_000_000),
        ("llama.attention.head_count_kv", KV_HEADS + 1),
        ("llama.embedding_length", DIM - 1),
        ("llama.embedding_length", 4_000_000_000),
        ("llama.rope.dimension_count", DIM // HEADS + 1),
    ],
)
def test_a_header_that_contradicts_the_weights(tmp_path: Path, key: str, value: int) -> None:
    with pytest.raises(ModelError, match=r"odd\.gguf|no memory"):
        model(alter(write_llama(tmp_path / "odd.gguf"), key, value)).load()


@pytest.mark.parametrize("name", ["output_norm.weight", "blk.1.attn_q.weight", "token_embd.weight"])
def test_weights_that_are_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelCorrupt, match=name):
        model(write_llama(tmp_path / "less.gguf", without={name})).load()


def test_a_context_longer_than_the_model_was_trained_for(tmp_path: Path) -> None:
    generator = model(write_llama(tmp_path / "short.gguf", trained=100), context_tokens=4096)
    assert generator.context_tokens == 100
    assert write(generator)
    with pytest.raises(PromptTooLong, match="context of 'short' has 100"):
        write(generator, "long " * 30)


@pytest.mark.model
def test_a_context_of_512_tokens() -> None:
    generator = model(starter.generator_file(), context_tokens=512)
    assert generator.context_tokens == 512
    assert write(generator, "Say yes.")
    with pytest.raises(PromptTooLong):
        write(generator, "word " * 600)


def test_a_model_that_does_not_say_its_context_gets_what_was_asked_for(tmp_path: Path) -> None:
    generator = model(alter(write_llama(tmp_path / "mute.gguf"), "llama.context_length", 0), context_tokens=640)
    assert generator.context_tokens == 640
    assert write(generator)


def test_a_context_that_memory_does_not_hold(tmp_path: Path) -> None:
    endless = write_llama(tmp_path / "endless.gguf", trained=2_000_000_000)
    with pytest.raises(ModelError, match=r"no memory.*`context_tokens` to \d+ or less") as refused:
        model(endless, context_tokens=1_000_000_000).load()
    fits = int(str(refused.value).split("`context_tokens` to ")[1].split()[0])
    assert model(endless, context_tokens=min(fits, 4096)).context_tokens == 4096


def test_a_model_larger_than_memory(tiny: Path) -> None:
    small = Room(total=tiny.stat().st_size, free=10 * tiny.stat().st_size, cores=1)
    with pytest.raises(ModelError, match=r"no memory.*quantised to fewer bits"):
        model(tiny, room=small).load()


# --- replaced while loaded ---------------------------------------------------------------------------------------


def test_a_file_that_is_replaced_is_loaded_again(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "model.gguf")
    other = write_llama(tmp_path / "other.gguf", seed=1, trained=300)
    generator = model(path)
    before, wanted = write(generator), write(model(other))
    assert before != wanted
    other.replace(path)
    assert generator.context_tokens == 512  # of what is loaded, until it is asked again
    assert write(generator) == wanted
    assert generator.context_tokens == 300


def test_a_file_that_is_cut_off_in_place_is_not_read_any_more(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "model.gguf")
    whole = path.read_bytes()
    generator = model(path)
    before = write(generator)
    path.write_bytes(whole[:5000])  # reading on in the mapped file would end the process
    with pytest.raises(ModelCorrupt, match="install the model again"):
        write(generator)
    assert not generator.state.loaded
    path.write_bytes(whole)
    assert write(generator) == before


def test_a_file_that_changes_while_it_writes_ends_the_reply(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "model.gguf")
    generator = model(path)
    pieces = generator.stream(HELLO, max_tokens=100)
    next(pieces)
    os.utime(path, ns=(1, 1))
    with pytest.raises(GenerationError, match="was replaced; ask again"):
        list(pieces)
    assert write(generator)


def test_a_file_that_is_gone_is_used_for_as_long_as_it_is_loaded(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "model.gguf")
    generator = model(path)
    before = write(generator)
    path.rename(tmp_path / "elsewhere.gguf")
    assert write(generator) == before
    shutil.move(tmp_path / "elsewhere.gguf", path)
    path.unlink()
    gone = model(write_llama(tmp_path / "brief.gguf"))
    (tmp_path / "brief.gguf").unlink()
    with pytest.raises(ModelNotFound, match=r"brief\.gguf"):
        gone.load()
