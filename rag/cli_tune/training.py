"""The commands that train: a candidate of a tier, and before that what it would take for wrong."""

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

import typer
from rich.markup import escape

from rag.build import open_library
from rag.config import load_settings
from rag.errors import ConfigError, TuneError
from rag.improving import Improver
from rag.progress import stoppable
from rag.terminal import counted, err, out, print_json
from rag.text import one_line
from rag.tune.process import at_work
from rag.tune.records import Candidate, Excerpt, Step, Tier, TuneOptions
from rag.tune.runs import tier_of
from rag.tune.train_text import TextLoss

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

_TIERS = ("auto", *get_args(Tier))
_SHOWN = 100  # characters of a passage
_LEFT_OUT = {
    "answers": "they are of a document that answers the query",
    "duplicates": "they say what the right one says",
    "near": "they are nearly as near as the right one",
}
_STAGES = {"collect": "collecting", "mine": "looking for near misses", "train": "training", "blend": "blending"}


def register(app: typer.Typer) -> None:
    """Add `rag tune train` and `rag tune mine`."""
    app.command("train")(train)
    app.command("mine")(mine)


def train(
    tier: Annotated[
        str, typer.Option(help="auto, 0 (memory), 1a (seconds), 1b (queries), 2 (all), image (words for pictures).")
    ] = "auto",
    loss: Annotated[str, typer.Option(help="Of tiers 1b and 2: infonce, triplet, margin, kl and others.")] = "infonce",
    method: Annotated[str, typer.Option(help="Of tier 2: full or lora.")] = "full",
    epochs: Annotated[int, typer.Option(min=0, help="0: as many as the tier usually takes.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, max=10, help="Trainings, of which the best one is kept.")] = 1,
    rate: Annotated[float, typer.Option(min=0, max=1, help="Learning rate of tier image; 0: the usual one.")] = 0,
    whole: Annotated[
        bool, typer.Option("--whole", help="Of tier image: pictures learn too. Another image embedder comes of it.")
    ] = False,
    run: Annotated[str, typer.Option(help="The run's name; left out: a new one, or the last one with --resume.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped or killed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a candidate. What searches now stays as it is: `rag tune gate` judges it, `rag tune swap` lets it search.

    It may be stopped, or killed, at any moment: with --resume it goes on.
    """
    _check(tier, _TIERS, "tier")
    _check(loss, get_args(TextLoss), "loss")
    _check(method, ("full", "lora"), "method")
    if whole and not (tier == "image" or run or resume):
        raise ConfigError("--whole is for --tier image: texts are trained whole by --tier 2")
    how = cast(Literal["lora", "full"], method)
    options = TuneOptions(loss, how, epochs or None, seeds, resume, rate or None, whole)
    with closing(open_library(load_settings())) as library, stoppable(err) as interrupted:
        improver = library.improver
        folder = _folder(improver, tier, run, resume)
        with at_work(folder, "train") as (on_step, stop):

            def show(step: Step) -> None:
                on_step(step)
                err.print(_told(step))
                if interrupted.is_set():
                    stop.set()

            candidate = improver.train(tier_of(folder.name), options, folder, show, stop)
    if candidate is None:
        again = f"--run {folder.name} --resume{' --whole' if whole else ''}"
        err.print(f"[yellow]stopped; to go on: rag tune train {again}[/yellow]")
        raise typer.Exit(1)
    _report(candidate, folder.name, as_json)


def mine(
    examples: Annotated[int, typer.Option(min=0, max=100, help="Show so many.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show which passages a training would take for wrong: near to a query, and as far as can be told not right."""
    with closing(open_library(load_settings())) as library, stoppable(err) as stop:
        mined = library.improver.mine(lambda step: err.print(_told(step)), stop)
    if mined is None:
        err.print("[yellow]stopped[/yellow]")
        raise typer.Exit(1)
    counts = {name: getattr(mined, name) for name in _LEFT_OUT}
    if as_json:
        print_json({"pairs": len(mined.pairs), "without": mined.without, "left_out": counts})
        return
    out.print(f"{counted(len(mined.pairs), 'pair')}, {mined.without} of them without a near miss.")
    for name, words in _LEFT_OUT.items():
        out.print(f"{counts[name]} left out: {words}")
    for pair in [pair for pair in mined.pairs if pair.negatives][:examples]:
        out.print(f"\n{escape(pair.query)}\n  right  {_line(pair.positive)}")
        for each in pair.negatives:
            out.print(f"  wrong  {_line(each)}")


def _folder(improver: Improver, tier: str, run: str, resume: bool) -> Path:
    """That of the run to begin or to go on with."""
    if run:
        folder = improver.runs.folder(run)
        if not folder.is_dir():
            raise TuneError(f"there is no run {run!r}; leave out --run to begin one")
        return folder
    if resume:
        return improver.runs.unfinished()
    return improver.begin(cast("Tier | Literal['auto']", tier))


def _check(value: str, known: Sequence[str], name: str) -> None:
    if value not in known:
        raise ConfigError(f"there is no {name} {value!r}; choose {', '.join(known)}")


def _told(step: Step) -> str:
    numbers = f" {step.done} of {step.total}" if step.total else ""
    loss = "" if step.loss is None else f"  loss {step.loss:.3f}"
    score = "" if step.score is None else f"  nDCG@10 {step.score:.3f} on held-out questions"
    return f"{_STAGES.get(step.stage, step.stage)}{numbers}{loss}{score}{'  ' if step.text else ''}{escape(step.text)}"


def _line(excerpt: Excerpt) -> str:
    return escape(one_line(excerpt.text, _SHOWN))


def _report(candidate: Candidate, name: str, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(candidate))
        return
    out.print(f"{candidate.name} has learnt from {counted(candidate.pairs, 'pair')}.")
    if candidate.tier == "image" and candidate.embedder:
        out.print(
            f"{escape(candidate.embedder)} is installed; what looks at pictures now is as it was. To use it: set "
            f"RAG_IMAGE_EMBEDDER={escape(candidate.embedder)}, then rag look. To go back: the same with the one before"
        )
        return
    if not (candidate.parts or candidate.embedder):
        out.print("Nothing that it learnt was better on held-out questions; only the weight of vectors was fitted.")
    then = f"rag tune reembed {name}, then rag tune gate {name}" if candidate.embedder else f"rag tune gate {name}"
    out.print(f"What searches now is as it was. To have this one judged: {then}")
