"""How long a language model takes to its first word and how fast it writes, against plain llama.cpp calls.

The prompts are the program's own, about the sample collection. On a machine that others use too, only ratios within
one run mean anything, and those of processor seconds mean most.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from rich.console import Console
from rich.table import Column, Table

from eval.index import OnProgress
from rag.answer.llama import LlamaGenerator
from rag.answer.llama_library import library
from rag.answer.prompt import build_prompt
from rag.answer.sources import numbered
from rag.build import open_library
from rag.config import load_settings
from rag.records import Message, Passage
from rag.retrieve.context import HITS_PER_SOURCE, choose

_NOTES = Path(__file__).resolve().parent.parent / "corpus" / "notes" / "house"
_CONTEXT, _WRITTEN = 4096, 48
_FIRST, _SECOND = (
    "Why did I choose lime and not gypsum for the hall ceiling?",
    "And what did the plaster cost in the end?",
)
_OTHER = (Message("system", "You rewrite questions."), Message("user", f"Rewrite this question: {_SECOND}"))
_GUESSED = 2  # tokens at a time, which llama-cpp-python advises for a CPU; 10 for a GPU
_COLUMNS = {
    "first": "first\ntoken s",
    "first_cpu": "\ncpu s",
    "first_ratio": "times\nplain",
    "rate_cpu": "tokens\na cpu s",
    "rate_ratio": "times\nplain",
}

Messages = Sequence[Message]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds to the first token and tokens per second after it, by the clock and of the processor; and the text."""

    first: float
    first_cpu: float
    rate: float
    rate_cpu: float
    text: str


class _Writer(Protocol):
    """A way to ask the model. `forget` loads it anew, so that everyone begins with nothing evaluated and cold pages."""

    def forget(self) -> None: ...

    def pieces(self, messages: Messages, max_tokens: int) -> Iterator[str]: ...


class _Ours:
    """The program's own generator."""

    def __init__(self, model: Path, threads: int | None) -> None:
        self._model, self._threads = model, threads
        self.forget()

    def forget(self) -> None:
        self.generator = LlamaGenerator(self._model, context_tokens=_CONTEXT, gpu_layers=-1, threads=self._threads)
        self.generator.load()

    def pieces(self, messages: Messages, max_tokens: int) -> Iterator[str]:
        return self.generator.stream(messages, max_tokens=max_tokens)


class _Plain:
    """llama-cpp-python as its documentation shows it, with or without guessing tokens from the prompt."""

    def __init__(self, model: Path, threads: int | None, *, guess: bool = False) -> None:
        self._model, self._threads, self._guess = model, threads, guess
        self.forget()

    def forget(self) -> None:
        library()
        from llama_cpp import Llama
        from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

        draft = LlamaPromptLookupDecoding(num_pred_tokens=_GUESSED) if self._guess else None
        # `logits_all`: with a draft model alone, its array of logits is too short for a prompt of more than a batch.
        self._llama: Any = Llama(
            str(self._model),
            n_ctx=_CONTEXT,
            n_gpu_layers=-1,
            n_threads=self._threads,
            n_threads_batch=self._threads,
            draft_model=draft,
            logits_all=self._guess,
            verbose=False,
        )

    def pieces(self, messages: Messages, max_tokens: int) -> Iterator[str]:
        chat: Any = [{"role": message.role, "content": message.text} for message in messages]
        for part in self._llama.create_chat_completion(chat, stream=True, temperature=0.0, max_tokens=max_tokens):
            if text := part["choices"][0]["delta"].get("content"):
                yield text


def generation(
    model: Path, sources: int, rounds: int, threads: int | None = None, on_progress: OnProgress | None = None
) -> dict[str, Any]:
    """Every case `rounds` times with each writer, by turns: medians, and ratios of ours to plain calls.

    With `threads` None each takes as many as it comes with: ours one a core, a plain call that too for reading and
    half of it for writing. Threads that share a core with other programs wait for each other, which counts as work of
    the processor; with one thread each, a ratio holds on a busy machine too.
    """
    ours = _Ours(model, threads)
    writers: dict[str, _Writer] = {
        "plain": _Plain(model, threads),
        "guessing": _Plain(model, threads, guess=True),
        "ours": ours,
    }
    cases = _cases(ours.generator, sources)
    found: dict[tuple[str, str], list[Timing]] = {}
    done = 0
    for _ in range(rounds):
        for case, prompts in cases.items():
            for name, writer in writers.items():
                if name != "guessing" or len(prompts) == 1:  # it only writes in another way
                    found.setdefault((case, name), []).append(_timed(writer, prompts, ours.generator))
            done += 1
            if on_progress:
                on_progress(done, rounds * len(cases))
    return {
        "model": ours.generator.name,
        "state": ours.generator.state.reason,
        "rounds": rounds,
        "sources": sources,
        "threads": threads,
        "tokens": {case: _size(ours.generator, prompts[-1]) for case, prompts in cases.items()},
        "cases": {case: _compared(case, found) for case in cases},
    }


def print_generation(result: dict[str, Any], out: Console) -> None:
    """The result as a table. Ratios are of processor time, those below 1 to the first token in our favour."""
    out.print(f"{result['model']} ({result['state']}), {result['rounds']} rounds")
    table = Table(Column(min_width=32), *_COLUMNS.values(), "same\ntext", box=None, header_style="bold")
    for case, writers in result["cases"].items():
        table.add_row(f"{case}, {result['tokens'][case]} tokens", style="bold")
        for name, told in writers.items():
            numbers = [f"{told[key]:.2f}" for key in _COLUMNS]
            table.add_row(f"  {name}", *numbers, "yes" if told["same_text"] else "no")
    out.print(table)


def _cases(generator: LlamaGenerator, sources: int) -> dict[str, tuple[Messages, ...]]:
    """Prompts by name: what is asked before, and last the one that is measured."""
    with tempfile.TemporaryDirectory() as folder:
        notes = open_library(load_settings(home=Path(folder), embedder="hashing", generator="none", workers=1))
        try:
            notes.add([_NOTES])
            found = [notes.search(question, k=HITS_PER_SOURCE * sources) for question in (_FIRST, _SECOND)]
        finally:
            notes.close()
    first, second = (numbered(choose(result, sources)) for result in found)
    asked = _prompt(generator, _FIRST, first, ())
    history = (Message("user", _FIRST), Message("assistant", "Because gypsum holds on to moisture [1]."))
    same = _prompt(generator, _SECOND, first, history)
    rules, *turns, last = same
    before = Message("user", last.text.rpartition("\n\nQuestion:")[0])
    return {
        "first question": (asked,),
        "asked again": (asked, asked),
        "asked again after another prompt": (asked, _OTHER, asked),
        "second question": (asked, _prompt(generator, _SECOND, second, history)),
        "second question, same sources": (asked, same),
        "the same, sources before the history": (
            (rules, before, turns[0]),
            (rules, before, *turns, Message("user", f"Question: {_SECOND}")),
        ),
    }


def _prompt(generator: LlamaGenerator, question: str, passages: Sequence[Passage], history: Messages) -> Messages:
    return build_prompt(
        question,
        passages,
        history=history,
        context_tokens=_CONTEXT,
        answer_tokens=_WRITTEN,
        count_tokens=generator.count_tokens,
    ).messages


def _timed(writer: _Writer, prompts: Sequence[Messages], counter: LlamaGenerator) -> Timing:
    """Ask what comes before, then time the last prompt."""
    writer.forget()
    for earlier in prompts[:-1]:
        list(writer.pieces(earlier, 1))
    clock, processor = time.perf_counter(), time.process_time()
    pieces = writer.pieces(prompts[-1], _WRITTEN)
    text = next(pieces, "")
    first, first_cpu = time.perf_counter() - clock, time.process_time() - processor
    more = "".join(pieces)
    tokens = counter.count_tokens(more)
    rest, rest_cpu = time.perf_counter() - clock - first, time.process_time() - processor - first_cpu
    return Timing(first, first_cpu, tokens / rest, tokens / rest_cpu, text + more)


def _compared(case: str, found: Mapping[tuple[str, str], Sequence[Timing]]) -> dict[str, dict[str, Any]]:
    """By writer the medians of one case, and what they are of the plain call's."""
    told: dict[str, dict[str, Any]] = {}
    for name in (name for asked, name in found if asked == case):
        timings = found[case, name]
        told[name] = {
            key: median(getattr(each, key) for each in timings) for key in ("first", "first_cpu", "rate", "rate_cpu")
        }
        told[name]["first_ratio"] = told[name]["first_cpu"] / told["plain"]["first_cpu"]
        told[name]["rate_ratio"] = told[name]["rate_cpu"] / told["plain"]["rate_cpu"]
        told[name]["same_text"] = timings[0].text.strip() == found[case, "plain"][0].text.strip()
    return told


def _size(generator: LlamaGenerator, messages: Messages) -> int:
    return sum(generator.count_tokens(message.text) for message in messages)
