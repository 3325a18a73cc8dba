"""A two-layer BERT with random weights, and pairs about made-up subjects that it can learn in a second."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from rag.tune.records import Excerpt, Pair
from rag.tune.train_text import TextEmbedderLike

SUBJECTS = ("tide", "wool", "ferry", "anvil", "lichen", "cider", "sextant", "kiln")
_ASKED = ("when", "where", "how", "why", "what", "who")
_SAID = ("the", "old", "grey", "small", "near", "under", "over", "after", "winter", "stone", "river", "market")
WORDS = (*SUBJECTS, *(f"{subject}s" for subject in SUBJECTS), *_ASKED, *_SAID)


def tiny_text_model(folder: Path, seed: int = 0, layers: int = 2) -> Path:
    """Write a sentence-transformers folder: 32 numbers a text, 40 tokens at most, a prompt before queries."""
    marks = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "ask", ":")
    vocabulary = {word: i for i, word in enumerate((*marks, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    inner = folder.with_name(folder.name + "-bert")
    BertModel(config).save_pretrained(inner)
    fast.save_pretrained(inner)
    modules = [Transformer(str(inner), max_seq_length=40), Pooling(32), Normalize()]
    model = SentenceTransformer(modules=modules, prompts={"query": "ask: "}, device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def tiny_pairs(count: int, negatives: int = 1, seed: int = 0) -> list[Pair]:
    """Questions that name a subject, and passages that name it in the plural: no word is shared."""
    rng = random.Random(seed)

    def passage(number: int, subject: str) -> Excerpt:
        words = [f"{subject}s", *rng.choices(_SAID, k=rng.randint(2, 12))]
        rng.shuffle(words)
        return Excerpt(f"chunk-{number}-{subject}", " ".join(words), f"doc-{number}")

    pairs = []
    for number in range(count):
        subject, *others = rng.sample(SUBJECTS, 1 + negatives)
        query = f"{rng.choice(_ASKED)} {subject} {rng.choice(_SAID)}"
        wrong = tuple(passage(number, other) for other in others)
        pairs.append(Pair(f"p{number}", query, passage(number, subject), "import", float(number), wrong))
    return pairs


def right_first(model: TextEmbedderLike) -> float:
    """The share of fresh questions whose nearest passage is about their subject: 1/8 is chance."""
    queries = model.embed([f"how {subject} stone" for subject in SUBJECTS], "query")
    passages = model.embed([f"the {subject}s market" for subject in SUBJECTS], "passage")
    return float(np.mean((queries @ passages.T).argmax(axis=1) == np.arange(len(SUBJECTS))))


def overlap(query: str, texts: Sequence[str]) -> list[float]:
    """A teacher that counts words in common and likes short passages."""
    return [len(set(query.split()) & set(text.split())) - len(text) / 20 for text in texts]
