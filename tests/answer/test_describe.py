"""Pictures described in words."""

from pathlib import Path

import pytest

from rag.answer.describe import describe
from rag.answer.llama import LlamaGenerator
from rag.errors import GenerationError
from rag.models import starter
from tests.answer.tiny_eyes import colour_words, picture, write_eyes
from tests.fakes import ScriptedGenerator


def test_two_sentences_in_one_line() -> None:
    generator = ScriptedGenerator("A red boat.\nIt lies in a harbour. It is noon. And so on.", picture_tokens=20)
    assert describe(generator, b"picture") == "A red boat. It lies in a harbour."
    (messages,) = generator.asked
    assert [message.pictures for message in messages] == [(), (b"picture",)]
    assert not generator._lock.locked()


def test_a_model_that_does_not_see_says_nothing() -> None:
    generator = ScriptedGenerator("I can guess!")
    assert describe(generator, b"picture") == ""
    assert generator.asked == []


def test_what_the_model_says_is_made_harmless() -> None:
    generator = ScriptedGenerator("A sign: ![x](https://example.org/a.png) and <b>.", picture_tokens=20)
    assert describe(generator, b"picture") == "A sign: x and ‹b>."


def test_a_model_that_fails_says_so() -> None:
    with pytest.raises(GenerationError):
        describe(ScriptedGenerator("A boat.", picture_tokens=20, fails_after=1), b"picture")


@pytest.mark.model
def test_the_starter_with_eyes_describes_different_pictures_differently(tmp_path: Path) -> None:
    path = starter.generator_file()
    mmproj = write_eyes(tmp_path / "mmproj.gguf", colour_words(path))
    generator = LlamaGenerator(path, context_tokens=512, gpu_layers=0, mmproj=mmproj)
    said = [describe(generator, picture(colour)) for colour in (" red", " blue")]
    assert all(said)
    assert said[0] != said[1]
    with pytest.raises(GenerationError):
        describe(generator, b"no picture")
