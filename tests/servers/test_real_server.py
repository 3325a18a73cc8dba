"""llama-cpp-python's own server with the starter models: the same words and the same vectors as without it."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from rag.answer.llama import LlamaGenerator
from rag.answer.openai_server import ServerGenerator
from rag.build import open_library
from rag.config import load_settings
from rag.embed.openai_server import ServerEmbedder
from rag.embed.text import TextEmbedder
from rag.errors import ConfigError, ModelNotFound
from rag.models import starter
from rag.models.servers import find_servers
from rag.records import Done, Message
from rag.servers.address import ServerAddress
from tests.servers.llama_server import CONTEXT

pytestmark = pytest.mark.model

TEXTS = ["The cat sat on the mat.", "Quarterly revenue rose by 4 %.", "Straßenbeleuchtung, naïve!", "漢字とかな"]
QUESTIONS = [
    [Message("system", "You are brief."), Message("user", "Count from one to ten in words.")],
    [Message("user", "What is a cat?"), Message("assistant", "An animal."), Message("user", "And a dog?")],
]


def test_it_says_the_same_as_the_model_in_this_process(model_server: str) -> None:
    here = LlamaGenerator(starter.generator_file(), context_tokens=CONTEXT, gpu_layers=0, threads=1)
    there = ServerGenerator(ServerAddress(model_server, "smollm2"), context_tokens=CONTEXT)
    for question in QUESTIONS:
        assert list(there.stream(question, max_tokens=16)) == list(here.stream(question, max_tokens=16))
    assert there.count_tokens("Straßen and <cats>") == here.count_tokens("Straßen and <cats>")
    assert there.state.reason.startswith(f"llama-cpp-python at {model_server}; context of {CONTEXT} tokens")


def test_it_embeds_the_same_as_the_model_in_this_process(model_server: str) -> None:
    name = starter.EMBEDDER_NAME
    here = TextEmbedder(starter.embedder_folder(), name=name, device="cpu", precision="fp32")
    there = ServerEmbedder(ServerAddress(model_server, "minilm"))
    same = np.sum(there.embed(TEXTS, "passage") * here.embed(TEXTS, "passage"), axis=1)
    np.testing.assert_allclose(same, 1.0, atol=1e-4)
    assert there.fingerprint == ServerEmbedder(ServerAddress(model_server, "minilm")).fingerprint


def test_it_is_found(model_server: str) -> None:
    (found,) = find_servers((int(model_server.rpartition(":")[2]),), seconds=20.0)
    assert found.kind == "llama-cpp-python"
    assert found.reference("minilm") == f"{model_server}/v1#minilm"
    assert [model.name for model in found.models] == ["smollm2", "smollm2-sees", "minilm"]


def test_one_of_several_models_must_be_named(model_server: str) -> None:
    with pytest.raises(ModelNotFound, match="several models"):
        ServerGenerator(ServerAddress(model_server, ""), context_tokens=CONTEXT).load()


def test_a_library_that_lives_by_a_server(model_server: str, tmp_path: Path) -> None:
    (tmp_path / "cats.md").write_text("# Cats\n\nOur cat is called Miezi. She sleeps on the stove.\n", "utf-8")
    (tmp_path / "taxes.md").write_text("# Taxes\n\nThe tax return is due in July.\n", "utf-8")
    settings = load_settings(
        generator=f"{model_server}/v1#smollm2",
        embedder=f"{model_server}/v1#minilm",
        context_tokens=CONTEXT,
        answer_tokens=16,
        workers=1,
    )
    with closing(open_library(settings)) as library:
        assert len(library.add([tmp_path]).added) == 2
        assert library.search("Where does the pet sleep?").hits[0].chunk.title == "Cats"
        *_, last = library.ask("What is the cat called?")
    assert isinstance(last, Done)
    assert last.answer.model == "smollm2"
    assert last.answer.finish in ("stop", "length")
    assert last.answer.text
    assert last.answer.passages[0].hit.chunk.title == "Cats"


def test_a_server_elsewhere_is_refused_before_anything_is_sent() -> None:
    settings = load_settings(generator="http://192.0.2.1:8000/v1#m")
    with pytest.raises(ConfigError, match="not on this machine"):
        open_library(settings)
