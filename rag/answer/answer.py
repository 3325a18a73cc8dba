"""An answer as it comes: what was found, then the model's words made safe, then the whole with its citations."""

import logging
from collections.abc import Generator as Coroutine
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Event

from rag.answer.abstain import stands_out
from rag.answer.cite import LinesOf, cite, no_lines
from rag.answer.evidence import SentencePool, mark
from rag.answer.prompt import Asked, PictureOf, Prompt, Sight, build_prompt, build_small_prompt, is_small
from rag.answer.quotations import quoted
from rag.answer.reply import Draft, Stage, reply
from rag.answer.sources import is_picture, numbered
from rag.answer.wording import (
    CANNOT_SEE,
    MODEL_FAILED,
    NO_MODEL,
    NOTHING_FOUND,
    NOTHING_LIKE_IT,
    NOTHING_STANDS_OUT,
)
from rag.errors import GenerationError, ModelError
from rag.pictures import digest
from rag.protocols import Embedder, Generator
from rag.records import Answer, AnswerEvent, Delta, Done, Message, Passage, Retrieved, SearchResult

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked, and what it is answered with: the arguments of `answer`."""

    question: str
    standalone: str
    generator: Generator | None
    answer_tokens: int
    history: Sequence[Message]
    stop: Event | None
    asked: Asked | None
    picture_of: PictureOf
    prompt_pictures: int

    @property
    def meant(self) -> str:
        """The question as it can be understood by itself."""
        return self.standalone or self.question

    @property
    def longest(self) -> int:
        """Tokens of the longest reply: half of a context that is hardly longer than that, to leave room for sources."""
        if self.generator is None:
            return self.answer_tokens
        return min(self.answer_tokens, self.generator.context_tokens // 2)

    @property
    def told(self) -> str:
        """All the words there are to go by: the question's, and those in its picture."""
        return f"{self.meant}\n{self.asked.words if self.asked else ''}".strip()

    @property
    def sight(self) -> Sight | None:
        """What a model that sees may be shown."""
        if self.generator is None or not self.generator.sees:
            return None
        return Sight(self.generator.picture_tokens, self.prompt_pictures, self.picture_of)


def answer(
    question: str,
    result: SearchResult,
    *,
    embedder: Embedder,
    generator: Generator | None,
    standalone: str = "",
    answer_tokens: int = 256,
    history: Sequence[Message] = (),
    stop: Event | None = None,
    asked: bytes | None = None,
    asked_words: str = "",
    picture_of: PictureOf = lambda _: None,
    prompt_pictures: int = 2,
    lines_of: LinesOf = no_lines,
) -> Iterator[AnswerEvent]:
    """Answer `question` from the hits of `result`: Retrieved, then Deltas, then Done.

    The Deltas put together are the answer's text, but for markers that are added at the end to sentences that the model
    left without, or put right, and for thoughts that a model told only at their end (`rag.answer.thoughts`).
    Without a model, or when it fails, the answer is the best evidence, quoted, and says so; so it is where nothing that
    was found stands out, and then no model is asked.

    Args:
        standalone: the question made to stand alone, where it leans on `history`; `result` was found with it then.
        answer_tokens: the longest reply.
        history: earlier questions and answers, oldest first.
        stop: set it to end the reply at the next token; what was written is kept and cited.
        asked: the encoded picture that the question came with; the question may be empty then.
        asked_words: the words that were read in it.
        picture_of: the encoded picture that a chunk is, for a model that sees; None where it cannot be had.
        prompt_pictures: how many of those it is shown at most.
        lines_of: the lines that were read where a chunk is from, for the regions of citations.
    """
    picture = Asked(asked, asked_words) if asked else None
    request = _Request(
        question, standalone, generator, answer_tokens, history, stop, picture, picture_of, prompt_pictures
    )
    draft = Draft(ms=dict(result.ms))
    with Stage(draft, "evidence"):
        passages = numbered(result)
        pool = SentencePool(passages, embedder)
        if request.told:
            passages = mark(request.told, passages, pool, beside=question if standalone else "")
    yield Retrieved(result, passages)
    if not passages:
        yield Done(_nothing(request, draft))
        return
    passages = yield from _written(request, passages, draft, pool)
    yield Done(_whole(request, passages, draft, pool, lines_of))


def _written(
    request: _Request, passages: tuple[Passage, ...], draft: Draft, pool: SentencePool
) -> Coroutine[Delta, None, tuple[Passage, ...]]:
    """The model's reply, or quotations where there is none; the passages, each saying whether the model read it."""
    generator = request.generator
    if not _may_be_shown(request, passages) and not _anything_stands_out(request, passages, pool):
        draft.abstained = True
        yield draft.say(quoted(NOTHING_STANDS_OUT, passages))
        return passages
    if generator is None or not (generator.sees or _says_anything(request.told, passages)):
        draft.finish = "no_model"
        yield draft.say(quoted(CANNOT_SEE if generator else NO_MODEL, passages))
        return passages
    try:
        prompt = _prompt(request, passages, generator)
        passages = prompt.passages
        yield from reply(prompt, generator, request.longest, draft, request.stop)
    except (GenerationError, ModelError) as exc:
        log.warning("no answer from %s: %s", generator.name, exc)
        draft.finish = "failed"
        yield draft.say(("\n\n" if draft.text else "") + quoted(MODEL_FAILED.format(exc), passages))
    return passages


def _anything_stands_out(request: _Request, passages: Sequence[Passage], pool: SentencePool) -> bool:
    """Whether one of the passages stands out for the question, as it was asked or as it can be understood by itself.

    What is carried over from earlier questions adds words that the answer need not have: of 44 follow-ups about the
    sample collection, all of them answered there, 17 were withheld by the longer wording alone, 8 by both.
    """
    if not request.standalone:
        return stands_out(request.told, passages)
    wordings = (request.told, request.question)
    return any(stands_out(words, mark(words, passages, pool)) for words in wordings)


def _may_be_shown(request: _Request, passages: Sequence[Passage]) -> bool:
    """Whether there is more to go by than words: a picture that was asked with, or one for a model that sees."""
    return request.asked is not None or (request.sight is not None and any(map(is_picture, passages)))


def _says_anything(told: str, passages: Sequence[Passage]) -> bool:
    """Whether there are words to answer, and words to answer from: what a model that does not see needs."""
    return bool(told) and any(p.text or p.hit.chunk.caption or p.hit.chunk.around for p in passages)


def _prompt(request: _Request, passages: Sequence[Passage], generator: Generator) -> Prompt:
    """A small model is left to quote, unless it is to look at what it was asked with, which nothing else can tell."""
    looks = request.asked is not None and generator.sees
    if is_small(generator) and any(p.evidence for p in passages) and not looks:
        return build_small_prompt(request.meant, passages)
    return build_prompt(
        request.meant,
        passages,
        history=request.history,
        context_tokens=generator.context_tokens,
        answer_tokens=request.longest,
        count_tokens=generator.count_tokens,
        asked=request.asked,
        sight=request.sight,
    )


def _nothing(request: _Request, draft: Draft) -> Answer:
    """The answer where nothing was found."""
    text = NOTHING_FOUND if request.question.strip() else NOTHING_LIKE_IT
    picture = digest(request.asked.picture) if request.asked else ""
    return Answer(
        question=request.question,
        text=text,
        citations=(),
        passages=(),
        finish="stop",
        model=None,
        abstained=True,
        picture=picture,
        standalone=request.standalone,
        ms=draft.ms,
    )


def _whole(
    request: _Request, passages: tuple[Passage, ...], draft: Draft, pool: SentencePool, lines_of: LinesOf
) -> Answer:
    """The finished answer with its citations, each of its sentences held against the sources."""
    generator = request.generator
    spoke = draft.finish not in ("failed", "no_model") and not draft.abstained
    with Stage(draft, "cite"):
        saw = request.sight is not None and _may_be_shown(request, passages)
        cited = cite(draft.text.strip(), passages, pool, lines_of, model_wrote=draft.ours, saw=saw)
    return Answer(
        question=request.question,
        text=cited.text,
        citations=cited.citations,
        passages=passages,
        finish=draft.finish,
        model=generator.name if generator and spoke else None,
        removed_markers=draft.removed,
        abstained=draft.abstained,
        tokens=generator.count_tokens(draft.raw) if generator and draft.raw else 0,
        picture=digest(request.asked.picture) if request.asked else "",
        standalone=request.standalone,
        ms=draft.ms,
        sentences=cited.sentences,
    )
