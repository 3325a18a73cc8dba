"""The gate of a library: which questions are asked, of which complete rankers, and for how long the verdict holds.

What a candidate is compared with is what searches now; at questions about other subjects it is the model as it came,
so that several candidates cannot each forget a little more than the one before.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event

import numpy as np

from rag.errors import TuneError
from rag.ingest.analyse import analyse, analyse_query
from rag.ingest.chunk import chunk, embedding_text
from rag.ingest.document import make_document
from rag.ingest.parse import load_tokenizer
from rag.live import Tuned
from rag.protocols import Embedder, ImageEmbedder, Reranker, Store
from rag.records import Document, EmbeddedChunk, Source, Vector
from rag.retrieve.fuse import WEIGHT
from rag.retrieve.search import Searcher
from rag.store.memory_store import MemoryStore
from rag.tune.canaries import FILE as CANARIES
from rag.tune.canaries import Canary, load_canaries, questions_of
from rag.tune.gate import judge
from rag.tune.lesson import Lesson
from rag.tune.picture_canaries import picture_canaries
from rag.tune.questions import words_of
from rag.tune.records import Grounds, Question, Step, Verdict
from rag.tune.runs import Runs
from rag.tune.split import DUPLICATE
from rag.tune.trial import DEPTH, Rank, Ranked, Trial

_HITS = 2 * DEPTH  # chunks asked for: a document is found by its best chunk, and long ones have several
_SAME = 0.5  # share of the questions from which on two candidates count as tried on the same ones

Terms = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Contender:
    """A retriever to be judged, and a store that has the library's passages as its embedder embeds them.

    `looks` is its image embedder where that is another one than the library's.
    """

    tuned: Tuned
    store: Store
    looks: ImageEmbedder | None = None


@dataclass(frozen=True, slots=True)
class Contest:
    """What is compared: what searches now, and the candidate. `plain` is the embedder of the live index as it came.

    `plain_looks` is the image embedder as it came where the candidate has words for pictures.
    """

    name: str
    plain: Embedder
    live: Contender
    candidate: Contender
    grounds: Grounds
    plain_looks: ImageEmbedder | None = None


class Court:
    """Judges candidates of the library in `home`.

    Args:
        home: of the library.
        runs: their folders.
        kept: the questions that are kept to judge by.
        documents: the ids of all that is in the library now.
        terms: how a query of the library becomes terms.
        image_embedder: as the library searches with it.
        reranker: likewise.
    """

    def __init__(
        self,
        home: Path,
        runs: Runs,
        kept: Callable[[], Sequence[Question]],
        documents: Callable[[], Collection[str]],
        terms: Terms,
        image_embedder: ImageEmbedder | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        self._home = home
        self._runs = runs
        self._kept = kept
        self._documents = documents
        self._terms = terms
        self._image_embedder = image_embedder
        self._reranker = reranker

    def judge(self, contest: Contest, on_step: Callable[[Step], None], stop: Event) -> Verdict | None:
        """The verdict, kept in the candidate's folder; None where it was stopped.

        Raises:
            TuneError: there are no questions to judge by.
        """
        questions = self.questions(contest.name, contest.plain)

        def show(done: int, total: int) -> None:
            on_step(Step("judge", done, total, time.time()))

        home = Trial(questions, self._rank(contest.live), self._rank(contest.candidate))
        elsewhere = self._elsewhere(contest)
        verdict = judge(
            contest.name,
            home,
            elsewhere,
            earlier=self.earlier(contest.name, [question.id for question in questions]),
            grounds=contest.grounds,
            on_step=show,
            stop=stop,
        )
        if verdict is not None:
            self._runs.write(verdict)
        return verdict

    def questions(self, name: str, embedder: Embedder) -> list[Question]:
        """What a candidate is judged by: the kept questions and those that its training held back.

        Only those count whose right documents are in the library, and that it did not learn from, in these words or
        others: `embedder` tells which of them ask nearly the same.
        """
        lesson = Lesson.read(self._runs.folder(name)) or Lesson((), (), ())
        asked = {each.id: each for each in (*lesson.gate, *self._kept())}
        known = set(self._documents())
        askable = [_within(each, known) for each in asked.values()]
        learnt = list(dict.fromkeys(pair.query for pair in (*lesson.train, *lesson.dev)))
        return _unlike([each for each in askable if each.right], learnt, {each.id for each in lesson.gate}, embedder)

    def earlier(self, name: str, questions: Collection[str]) -> list[float]:
        """The p, by themselves, of all other candidates that were judged on mostly these questions."""
        verdicts = [self._runs.verdict(each.name) for each in self._runs.candidates() if each.name != name]
        return [each.grounds.p for each in verdicts if each is not None and _is_same(each.grounds, questions)]

    def _rank(self, contender: Contender) -> Rank:
        return rank_by(_searcher(contender, self._terms, contender.looks or self._image_embedder, self._reranker))

    def _elsewhere(self, contest: Contest) -> Trial:
        """Both rankers over canaries: pictures by their looks where words for them were learnt, else passages."""
        if contest.plain_looks is not None and contest.candidate.looks is not None:
            return _by_looks(contest.plain_looks, contest.candidate.looks)
        return self._by_words(load_canaries(self._home / "tuning" / CANARIES), contest)

    def _by_words(self, canaries: Sequence[Canary], contest: Contest) -> Trial:
        """The passages are embedded now; once, where they are the same."""
        documents = [_document(canary) for canary in canaries]
        terms = partial(analyse_query, languages=tuple(dict.fromkeys(each.language for each in documents)))
        plain, tuned = Tuned(contest.plain), contest.candidate.tuned
        before = _filled(documents, plain.embedder)
        same = plain.embedder.fingerprint == tuned.embedder.fingerprint
        after = before if same else _filled(documents, tuned.embedder)
        ranks = [
            rank_by(_searcher(each, terms, None, self._reranker))
            for each in (Contender(plain, before), Contender(tuned, after))
        ]
        return Trial(questions_of(canaries), *ranks)


def why_not(verdict: Verdict | None, now: Grounds) -> str:
    """Why a candidate may not be swapped in as things are `now`, in plain words; "" where it may."""
    if verdict is None:
        return "it was not judged yet"
    if verdict.outcome != "PASS":
        return f"the gate says {verdict.outcome}: {verdict.reasons[0].rstrip('.')}"
    if verdict.grounds.base != now.base:
        return "it was judged with another embedder than the one that is live"
    if verdict.grounds.index != now.index:
        return "another version of the index became live since it was judged"
    if verdict.grounds.live != now.live:
        was, live = (name or "the model as it came" for name in (verdict.grounds.live, now.live))
        return f"it was compared with {was}, and {live} searches now"
    return ""


def check_verdict(name: str, verdict: Verdict | None, now: Grounds) -> None:
    """Raise TuneError, with the reason, where a candidate may not be swapped in as things are `now`."""
    if reason := why_not(verdict, now):
        remedy = f"To judge it: rag tune gate {name}; to have it search all the same: --force"
        raise TuneError(f"{name!r} is not swapped in: {reason}. {remedy}")


def _searcher(
    contender: Contender, terms: Terms, image_embedder: ImageEmbedder | None, reranker: Reranker | None
) -> Searcher:
    """The complete ranker, as the library searches."""
    weight = contender.tuned.fusion_weight
    return Searcher(
        contender.tuned.embedder,
        contender.store,
        terms,
        image_embedder,
        reranker,
        fusion_weight=WEIGHT if weight is None else weight,
    )


def rank_by(searcher: Searcher) -> Rank:
    """The ranker of documents that a searcher of chunks is: each document at the place of its best chunk."""

    def rank(question: str) -> Ranked:
        started = time.perf_counter()
        hits = searcher.search(question, _HITS).hits
        ms = (time.perf_counter() - started) * 1000
        found = dict.fromkeys(each.document_id for hit in hits for each in (hit.chunk, *hit.also))
        return Ranked(tuple(found)[:DEPTH], ms)

    return rank


# --- questions -------------------------------------------------------------------------------------------------------


def _within(question: Question, documents: Collection[str]) -> Question:
    """The question with what is right for it and in the library."""
    return replace(question, right={name: grade for name, grade in question.right.items() if name in documents})


def _unlike(
    questions: Sequence[Question], learnt: Sequence[str], held_back: Collection[str], embedder: Embedder
) -> list[Question]:
    """The questions that were not learnt from. Those that training held back were compared with all it took already."""
    words = set(map(words_of, learnt))
    left = [each for each in questions if words_of(each.text) not in words]
    new = [each for each in left if each.id not in held_back]
    if not (new and learnt):
        return left
    asked, known = (embedder.embed(texts, "query") for texts in ([each.text for each in new], learnt))
    alike = {each.id for each, row in zip(new, asked, strict=True) if np.max(known @ row) >= DUPLICATE}
    return [each for each in left if each.id not in alike]


def _is_same(grounds: Grounds, questions: Collection[str]) -> bool:
    return len(set(grounds.questions).intersection(questions)) >= _SAME * len(questions)


# --- canaries --------------------------------------------------------------------------------------------------------


def _by_looks(plain: ImageEmbedder, tuned: ImageEmbedder) -> Trial:
    """Drawn pictures that no training has seen, found by plain words and nothing else."""
    canaries = picture_canaries()[1::2]
    names, pictures = [canary.id for canary, _ in canaries], [picture for _, picture in canaries]

    def ranked(looks: ImageEmbedder) -> Rank:
        rows = looks.embed_images(pictures)

        def rank(question: str) -> Ranked:
            started = time.perf_counter()
            order = np.argsort(-(rows @ looks.embed_texts([question])[0]), kind="stable")[:DEPTH]
            return Ranked(tuple(names[place] for place in order), (time.perf_counter() - started) * 1000)

        return rank

    return Trial(questions_of([canary for canary, _ in canaries]), ranked(plain), ranked(tuned))


def _document(canary: Canary) -> Document:
    """The passage of a canary as a file of plain text would be read, without a title."""
    document = make_document(Source(canary.id, "text/plain", canary.text.encode()), "text", canary.text)
    return replace(document, id=canary.id, title="")


def _filled(documents: Sequence[Document], embedder: Embedder) -> Store:
    """A store in memory with the chunks of these documents."""
    file = embedder.tokenizer_file
    tokenize = load_tokenizer(str(file) if file else None)
    pieces = [(document, each) for document in documents for each in chunk(document, tokenize, embedder.max_tokens)]
    rows = embedder.embed([embedding_text(piece) for _, piece in pieces], "passage")
    filed: dict[str, list[EmbeddedChunk]] = {document.id: [] for document in documents}
    for (document, piece), row in zip(pieces, rows, strict=True):
        words = analyse(embedding_text(piece), document.language)
        filed[document.id].append(EmbeddedChunk(piece, words, (Vector(embedder.space, row),)))
    store = MemoryStore({embedder.space: embedder.dim})
    store.replace_documents(filed)
    return store
