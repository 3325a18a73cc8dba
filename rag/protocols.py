"""The seams. Each is one small Protocol whose docstring is its contract, checked by a suite in tests/contracts/."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rag.filters import Filter
from rag.records import Chunk, Document, EmbeddedChunk, Hit, Match, Message, ModelState, Source

TEXT_SPACE = "text"
IMAGE_SPACE = "image"


@runtime_checkable
class Reader(Protocol):
    """Turns bytes of some media types into a Document.

    `read` raises UnreadableFile, with a reason that a person can act on, for anything it cannot take in; it raises
    nothing else, whatever the bytes. It touches no disk and no network, executes nothing, and fills every span of
    the document so that pages and headings lie inside `text`. Attachments are returned, not read.
    """

    media_types: frozenset[str]

    def read(self, source: Source) -> Document: ...


@runtime_checkable
class Embedder(Protocol):
    """Texts to unit vectors of one space.

    `embed` returns float32[N, dim] with rows of length 1 (N = 0 gives (0, dim)), in the order given, the same within
    tolerance at any batch size. `fingerprint` changes with anything that changes a vector's meaning (weights,
    pooling, prompts, normalisation), not with device or precision. Texts longer than `max_tokens` tokens are cut
    by the model, so callers keep below it: it leaves special tokens out, and so does `count_tokens`.
    `tokenizer_file` is its tokenizer.json, for reader processes that count tokens themselves; None: it has none.
    `load` loads the weights ahead of the first text.
    """

    @property
    def space(self) -> str: ...

    @property
    def dim(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def max_tokens(self) -> int: ...

    @property
    def tokenizer_file(self) -> Path | None: ...

    @property
    def state(self) -> ModelState: ...

    def load(self) -> None: ...

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]: ...

    def count_tokens(self, text: str) -> int: ...


@runtime_checkable
class ImageEmbedder(Protocol):
    """Pictures and words to unit vectors of one space, where a picture lies near the words that describe it.

    `embed_images` takes encoded pictures (anything that `rag.pictures.decode` reads), `embed_texts` what a person
    would type; both return float32[N, dim] with rows of length 1 (N = 0 gives (0, dim)), in the order given, the same
    within tolerance at any batch size. A picture that cannot be decoded raises UnreadableFile. `fingerprint` changes
    with anything that changes a vector's meaning (weights, architecture, preprocessing, tokenizer).
    """

    @property
    def space(self) -> str: ...

    @property
    def dim(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def state(self) -> ModelState: ...

    def load(self) -> None: ...

    def embed_images(self, pictures: Sequence[bytes]) -> NDArray[np.float32]: ...

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


@runtime_checkable
class Store(Protocol):
    """Chunks with vectors and analysed words, searched exactly or nearly so. One writer at a time, many readers.

    Writes are visible to every reader when the call returns. Scores are best first, ties by chunk id; k beyond what
    is there returns what is there; k <= 0 or an empty store returns []. An unknown space raises StoreError.
    """

    def replace_documents(self, documents: Mapping[str, Sequence[EmbeddedChunk]]) -> None:
        """Make each document's chunks exactly those given (none: removed), in one atomic step for all of them.

        Every vector is checked before anything is written: finite, of the space's dimension, of length 1; chunk ids
        unique; each chunk of the document it is filed under. Otherwise StoreError and nothing has changed.
        """
        ...

    def get(self, ids: Sequence[str]) -> list[Chunk]:
        """The chunks of those ids that exist, in the order asked."""
        ...

    def chunks(self, documents: Sequence[str]) -> list[Chunk]:
        """Every chunk of those documents, by document in the order asked, then by ordinal and id."""
        ...

    def embedded(self, documents: Sequence[str]) -> list[EmbeddedChunk]:
        """As `chunks`, with the words of each chunk and its vectors in every space of this store: all that moves.

        Words are terms joined by single spaces; vectors come in the order of the store's spaces.
        """
        ...

    def vectors(self, space: str, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """float32[D] of each of those chunks that has a vector in `space`."""
        ...

    def add_vectors(self, space: str, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Give chunks (by id) a vector in `space`, or another one; their other vectors and fields stay.

        Ids that are not in the store are passed over: their document went meanwhile. Checked as in
        `replace_documents`; one atomic step.
        """
        ...

    def without_vector(self, space: str, k: int, where: Filter | None = None) -> list[Chunk]:
        """The first `k` chunks by id, among those that match `where`, that have no vector in `space`."""
        ...

    def sample(self, space: str, n: int) -> NDArray[np.float32]:
        """float32[M, D]: the vectors of the first `n` chunks by id that have one in `space`; M = min(n, all of them).

        Ids are hashes, so the first ones are a random sample, and the same one until the library changes.
        """
        ...

    def search_vector(
        self, space: str, vector: NDArray[np.float32], k: int, where: Filter | None = None
    ) -> list[Match]:
        """The k chunks with the highest exact cosine to `vector` (float32[D]) among those that match `where`."""
        ...

    def search_words(self, words: str, k: int, where: Filter | None = None) -> list[Match]:
        """The k chunks with the highest BM25 (k1 1.2, b .75) for the terms in `words`, any of which may match.

        Terms are split at white space and compared as they are. No term, or none that is indexed: [].
        """
        ...

    def count(self, where: Filter | None = None, without: str | None = None) -> int:
        """How many chunks match, exactly; given a space as `without`, those of them that have no vector in it."""
        ...

    def versions(self) -> dict[str, tuple[str, int]]:
        """Document id -> (version, number of chunks) of everything held: what `verify` compares."""
        ...

    def maintain(self) -> None:
        """Compact, and build or refresh indexes where the size asks for it. Safe at any time; may take a while."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Reranker(Protocol):
    """Puts hits in a better order.

    `rerank` returns a permutation of what it was given, ranks renumbered from 1; the scores stay with the places. It
    need not read all of them: what it read has "rerank" in `found_by`, the rest keeps its order. `score` gives
    float32[N]: how well each passage answers a query, on a scale of its own. `load` loads the weights ahead of the
    first question.

    Raises:
        ModelError: the model cannot be used.
    """

    @property
    def state(self) -> ModelState: ...

    def load(self) -> None: ...

    def rerank(self, query: str, hits: Sequence[Hit]) -> list[Hit]: ...

    def score(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]: ...


@runtime_checkable
class Generator(Protocol):
    """A language model on this machine.

    `stream` yields pieces of text whose concatenation is the reply (at most `max_tokens` tokens); closing the
    iterator early stops the model at the next token and leaves it ready for the next call. The same messages and
    seed give the same text. `count_tokens` counts as the model does. `load` loads the weights ahead of the first call.
    `parameters` is the number of weights, 0 where unknown: very small models are prompted differently.
    `sees` tells whether it looks at the pictures of messages; one that does not is given none. A picture takes
    `picture_tokens` of its context at most, 0 where it sees none.

    Raises:
        PromptTooLong: the messages and `max_tokens` do not fit `context_tokens`.
        GenerationError: the model failed.
    """

    @property
    def name(self) -> str: ...

    @property
    def context_tokens(self) -> int: ...

    @property
    def parameters(self) -> int: ...

    @property
    def sees(self) -> bool: ...

    @property
    def picture_tokens(self) -> int: ...

    @property
    def state(self) -> ModelState: ...

    def load(self) -> None: ...

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, stop: Sequence[str] = (), seed: int = 0
    ) -> Iterator[str]: ...

    def count_tokens(self, text: str) -> int: ...
