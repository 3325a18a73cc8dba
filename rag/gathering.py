"""What is there to learn from? Feedback, the library's own names, made-up queries and imports, gathered to one list."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from rag.databases import Databases
from rag.errors import DocumentNotFound
from rag.ingest.chunk import says_something
from rag.namings import excerpt, namings
from rag.protocols import Generator
from rag.records import Chunk, Progress
from rag.text import one_line
from rag.tune.chosen import EXPLICIT, ExcerptsOf, Learnt, pairs_from_feedback
from rag.tune.feedback import FILE as FEEDBACK
from rag.tune.feedback import FeedbackLog
from rag.tune.imports import forget_captions
from rag.tune.lines import BadLine, changing
from rag.tune.pairs import Contradiction, has_words, pair_without, read_pairs, tidy, write_pairs
from rag.tune.questions import FILE as QUESTIONS
from rag.tune.questions import Questions
from rag.tune.records import Excerpt, Pair
from rag.tune.split import Share, cap
from rag.tune.structure import Structured, pairs_from_structure
from rag.tune.synthetic import Made, Search, Synthesis, Synthesized
from rag.tune.traces import forget_traces

IMPORTED, SYNTHETIC, CAPTIONS = "import", "synthetic", "captions"  # what is kept in files of these names
_MOST_DOCUMENTS = 2000  # whose names are learnt from: ids are hashes, so the first ones are a random sample
_AT_ONCE = 256  # documents whose chunks are read together
_EXAMPLES = 2  # of the owner's own queries, the last ones, that the language model is shown
_SHOWN = 60  # characters of a passage


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything there is to learn from, and what was left out of it.

    Args:
        pairs: no two of the same query and passage, no document with more than its share.
        duplicates: pairs that said what another one says.
        contradictions: passages that were called right and wrong for one query.
        shares: documents that had more pairs than their share.
        gone: passages that are no longer in the library, or have no words.
        only_wrong: queries for which something was called wrong and nothing right.
        bad: lines of files that hold no pair.
    """

    pairs: tuple[Pair, ...]
    duplicates: int
    contradictions: tuple[Contradiction, ...]
    shares: tuple[Share, ...]
    gone: int
    only_wrong: int
    bad: tuple[BadLine, ...]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many lines of feedback, pairs and questions changed, and which runs learnt from what is forgotten."""

    feedback: int
    pairs: int
    questions: int
    runs: tuple[str, ...]


def pairs_file(home: Path, name: str) -> Path:
    """Where pairs are kept that were `IMPORTED` or are `SYNTHETIC`, or `CAPTIONS`, in the library in `home`."""
    return home / "tuning" / "pairs" / f"{name}.jsonl"


class Gatherer:
    """Gathers for the library in `home`. Nothing is cached: each call sees the library as it is."""

    def __init__(self, home: Path, databases: Databases) -> None:
        self.questions = Questions(home / QUESTIONS)
        self._home = home
        self._databases = databases
        self._synthesis = Synthesis(self.file(SYNTHETIC).parent)

    def file(self, name: str) -> Path:
        """As `pairs_file`, in this library's home."""
        return pairs_file(self._home, name)

    def gather(self) -> Gathered:
        """Everything there is to learn from now. Loads no model.

        Raises:
            TuneError, StoreError: a file or the index cannot be read.
        """
        learnt, kept = self.feedback(), [read_pairs(self.file(name)) for name in (IMPORTED, SYNTHETIC)]
        written = [pair for lines in kept for pair in lines.records]
        current = self._current(written)
        tidied = tidy([*learnt.pairs, *current, *self.structure().pairs])
        capped = cap(tidied.pairs)
        return Gathered(
            pairs=capped.pairs,
            duplicates=tidied.duplicates,
            contradictions=(*learnt.contradictions, *tidied.contradictions),
            shares=capped.shares,
            gone=learnt.gone + len(written) - len(current),
            only_wrong=learnt.only_wrong,
            bad=tuple(line for lines in kept for line in lines.bad),
        )

    def feedback(self, excerpts_of: ExcerptsOf | None = None) -> Learnt:
        """What people said is right and wrong, of chunks with words, or of those that `excerpts_of` knows."""
        return pairs_from_feedback(FeedbackLog(self._home / FEEDBACK).read(), excerpts_of or self.excerpts)

    def structure(self) -> Structured:
        """What the library calls its own passages; of a very large one, of a sample of its documents."""
        catalogue = self._databases.catalogue
        infos = sorted(catalogue.infos(), key=lambda info: info.id)[:_MOST_DOCUMENTS]
        return pairs_from_structure(namings(infos, self._databases.store.chunks, catalogue.document))

    def excerpts(self, chunks: Sequence[str]) -> dict[str, Excerpt]:
        """Those of these chunks (by id) that are in the library and have words, as the embedder reads them."""
        found = self._databases.store.get(list(chunks)) if chunks else []
        return {chunk.id: excerpt(chunk) for chunk in found if _has_vector(chunk)}

    def documents(self) -> Iterator[list[Excerpt]]:
        """The passages of each document that has any, by the documents' ids: in no order that means anything."""
        ids = sorted(info.id for info in self._databases.catalogue.infos())
        for start in range(0, len(ids), _AT_ONCE):
            found: dict[str, list[Excerpt]] = {}
            for chunk in self._databases.store.chunks(ids[start : start + _AT_ONCE]):
                if _has_vector(chunk):
                    found.setdefault(chunk.document_id, []).append(excerpt(chunk))
            yield from found.values()

    def make_up(
        self,
        generator: Generator,
        search: Search,
        *,
        most: int,
        on_progress: Callable[[Progress], None] | None = None,
        stop: Event | None = None,
    ) -> Synthesized:
        """Have queries made up until there are `most`; see `rag.tune.synthetic`. What was made before stays."""
        started, kept = time.monotonic(), 0

        def told(made: Made, done: int, total: int) -> bool:
            nonlocal kept
            kept += len(made.pairs)
            if on_progress is not None:
                words = made.pairs[-1].query if made.pairs else one_line(made.passage.text, _SHOWN)
                seconds = time.monotonic() - started
                on_progress(Progress(done, total, words, kept, seconds, seconds / done * (total - done), "make up"))
            return stop is None or not stop.is_set()

        owners = sorted(
            (pair for pair in self.feedback().pairs if pair.weight == EXPLICIT), key=lambda each: -each.time
        )
        return self._synthesis.run(
            list(self.documents()), generator, search, owners[:_EXAMPLES], most=most, on_made=told
        )

    def made_up(self) -> Synthesized:
        """What came of all queries that were made up so far."""
        return self._synthesis.so_far()

    def forget(self, documents: Collection[str]) -> Forgotten:
        """Forget what was said, made up, imported and asked about documents (by id) and what was attached to them.

        They may be gone from the library already. What was trained cannot forget; the runs that learnt from them are
        named. Maps and kept vectors are deleted.

        Raises:
            TuneError, StoreError: a file cannot be changed; what comes after it is as it was.
        """
        children = [child for document in documents for child in self._databases.catalogue.children(document)]
        all_of_it = frozenset((*documents, *children))
        asked = [each.text for each in self.questions.all() if each.right.keys() <= all_of_it]
        self._synthesis.forget(all_of_it)
        return Forgotten(
            runs=forget_traces(self._home / "tuning", all_of_it, asked),
            feedback=FeedbackLog(self._home / FEEDBACK).forget(all_of_it),
            pairs=sum(self._forget_pairs(self.file(name), all_of_it) for name in (IMPORTED, SYNTHETIC))
            + forget_captions(self.file(CAPTIONS), all_of_it, self._pictures(all_of_it)),
            questions=self.questions.forget(all_of_it),
        )

    def _pictures(self, documents: Collection[str]) -> set[str]:
        """The digests of the pictures in those of the documents that are in the library."""
        found: set[str] = set()
        for document in documents:
            with suppress(DocumentNotFound):
                found.update(each.digest for each in self._databases.catalogue.document(document).pictures)
        return found

    def _forget_pairs(self, path: Path, documents: Collection[str]) -> int:
        if not path.exists():
            return 0
        with changing(path):
            pairs = read_pairs(path).records
            left = [pair_without(pair, documents) for pair in pairs]
            changed = sum(before != after for before, after in zip(pairs, left, strict=True))
            if changed:
                write_pairs(path, filter(None, left))
        return changed

    def _current(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Those whose passages are outside the library, or still in it, with the text that they have now."""
        ids = {each.id for pair in pairs for each in (pair.positive, *pair.negatives) if each.document}
        known = self.excerpts(sorted(ids))
        current = []
        for pair in pairs:
            positive = known.get(pair.positive.id) if pair.positive.document else pair.positive
            if positive is not None:
                negatives = [known.get(each.id) if each.document else each for each in pair.negatives]
                here = tuple(each for each in negatives if each is not None)
                current.append(replace(pair, positive=positive, negatives=here))
        return current


def _has_vector(chunk: Chunk) -> bool:
    return says_something(chunk) and has_words(chunk.text + chunk.caption + chunk.around + chunk.context)
