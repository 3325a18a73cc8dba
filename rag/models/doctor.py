"""The truth about this machine: which device each model is on, what it takes, how fast it is, and what to change."""

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from rag.config import Settings
from rag.errors import GenerationError, ModelError
from rag.models.facts import Facts, this_machine
from rag.models.findings import Check, embedder_check, findings, generator_check
from rag.models.measure import generator_speed, probe_picture, probe_texts, rate
from rag.protocols import Embedder, Generator, ImageEmbedder

__all__ = ["Check", "examine", "examined"]


def examine(
    settings: Settings, embedder: Embedder, generator: Generator | None, image_embedder: ImageEmbedder | None
) -> list[Check]:
    """Load the models and measure each for about a second."""
    return list(examined(settings, embedder, generator, image_embedder))


def examined(
    settings: Settings,
    embedder: Embedder,
    generator: Generator | None,
    image_embedder: ImageEmbedder | None,
    look: Callable[[Path], Facts] = this_machine,
) -> Iterator[Check]:
    """As `examine`, one check after another as they are done. `look` tells the facts of the machine."""
    facts = look(settings.home)
    yield from findings(facts)
    yield _embedder(embedder)
    yield _image_embedder(image_embedder)
    yield _ocr(settings.ocr)
    yield _generator(generator, facts)


def _embedder(embedder: Embedder) -> Check:
    try:
        embedder.load()
        speed = rate(lambda: len(embedder.embed(probe_texts(), "passage")))
    except ModelError as exc:
        return Check("embedder", False, str(exc), "or use the one that came with the program: RAG_EMBEDDER=starter")
    return embedder_check(embedder.state, "texts", speed)


def _image_embedder(embedder: ImageEmbedder | None) -> Check:
    """That there is none is no fault: pictures are found by their words then."""
    name = "image embedder"
    if embedder is None:
        how = "get one with `rag models pull` (`rag models list` names some), or set RAG_IMAGE_EMBEDDER to a folder"
        return Check(name, True, f"off: pictures are found by the words in and near them. To turn it on, {how}")
    try:
        embedder.load()
        picture = probe_picture()
        speed = rate(lambda: len(embedder.embed_images([picture] * 16)))
    except ModelError as exc:
        return Check(name, False, str(exc), "or turn it off: RAG_IMAGE_EMBEDDER=none")
    return embedder_check(embedder.state, "pictures", speed)


def _ocr(wanted: bool) -> Check:
    name = "text in pictures"
    if not wanted:
        return Check(name, True, "not read: RAG_OCR is off")
    return Check(name, True, f"rapidocr {version('rapidocr')} on the CPU, by onnxruntime {version('onnxruntime')}")


def _generator(generator: Generator | None, facts: Facts) -> Check:
    name = "language model"
    if generator is None:
        return Check(name, False, "none", "get one with `rag models pull`, or set RAG_GENERATOR to a GGUF file")
    try:
        generator.load()
        speed = generator_speed(generator)
    except (ModelError, GenerationError) as exc:
        return Check(name, False, str(exc), "or choose another one: `rag models list` says which fit this machine")
    context = generator.context_tokens
    return generator_check(generator.state, facts, reads=speed.reads, writes=speed.writes, context=context)
