"""An answer as it is copied: its words, what they do not rest on, and the sources that they cite."""

from rag.records import Answer, Passage
from ui.picture_card import title_of
from ui.words import file_name

_NOTE = " (not supported by the sources)"


def copied(answer: Answer) -> str:
    """The text of an answer with each unsupported sentence followed by a note, and below it the sources cited."""
    cited = {citation.number for citation in answer.citations}
    sources = [_source(passage) for passage in answer.passages if passage.number in cited]
    return "\n\n".join([_noted(answer), *(["\n".join(["Sources:", *sources])] if sources else [])])


def _noted(answer: Answer) -> str:
    parts, at = [], 0
    for sentence in answer.sentences:
        if sentence.support == "unsupported" and at <= sentence.end:
            parts += [answer.text[at : sentence.end], _NOTE]
            at = sentence.end
    return "".join([*parts, answer.text[at:]])


def _source(passage: Passage) -> str:
    """`[1] Boiler manual, p. 4 (boiler-manual.pdf)`."""
    chunk = passage.hit.chunk
    page = f", p. {chunk.page}" if chunk.page is not None else ""
    return f"[{passage.number}] {title_of(chunk)}{page} ({file_name(chunk.path)})"
