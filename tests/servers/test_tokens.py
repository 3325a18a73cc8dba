"""The estimate of tokens against the starter model's own count, and what embedding models want before texts."""

from pathlib import Path

import pytest

from rag.embed.prompts import prompt_for
from rag.servers.tokens import most_tokens

CORPUS = Path(__file__).resolve().parents[2] / "corpus"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("one two three", 1 + 1 + 2),  # letters in threes; the spaces belong to the words
        ("10.5 %", 4 + 0 + 1),
        ("a\n\n    b", 1 + 2 + 1 + 1),
        ("ü漢🙂", 1 + 2 + 3),  # bytes less one
        ("\ud800", 1),  # half of a pair, which no encoding has
    ],
)
def test_what_the_estimate_counts(text: str, tokens: int) -> None:
    assert most_tokens(text) == tokens


@pytest.mark.model
def test_the_estimate_is_above_the_count_but_not_far() -> None:
    from llama_cpp import Llama

    from rag.models import starter

    llama = Llama(str(starter.generator_file()), vocab_only=True, verbose=False)
    texts = [path.read_text("utf-8") for path in sorted(CORPUS.rglob("*.md"))]
    passages = [text[i : i + 800] for text in texts for i in range(0, len(text), 800)]
    counts = [len(llama.tokenize(passage.encode(), add_bos=False)) for passage in passages]
    estimates = [most_tokens(passage) for passage in passages]
    assert len(passages) > 50
    assert 1.2 < sum(estimates) / sum(counts) < 1.6
    assert min(estimate / count for estimate, count in zip(estimates, counts, strict=True)) > 0.9


@pytest.mark.parametrize(
    ("model", "query", "passage"),
    [
        ("nomic-embed-text:latest", "search_query: ", "search_document: "),
        ("text-embedding-nomic-embed-text-v1.5", "search_query: ", "search_document: "),
        ("intfloat/multilingual-e5-large", "query: ", "passage: "),
        ("bge-large-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("snowflake-arctic-embed:335m", "Represent this sentence for searching relevant passages: ", ""),
        ("snowflake-arctic-embed2", "", ""),
        ("bge-m3", "", ""),
        ("all-minilm:33m", "", ""),
    ],
)
def test_prompts_by_the_name_of_a_model(model: str, query: str, passage: str) -> None:
    assert (prompt_for(model, "query"), prompt_for(model, "passage")) == (query, passage)


def test_models_that_take_instructions_are_given_one() -> None:
    for model in ("qwen3-embedding:0.6b", "multilingual-e5-large-instruct"):
        assert prompt_for(model, "query").startswith("Instruct: ")
        assert prompt_for(model, "query").endswith("\nQuery: ")
        assert prompt_for(model, "passage") == ""
