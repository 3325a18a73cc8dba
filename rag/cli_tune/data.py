"""The commands for what is learnt from: how much there is, imports, made-up queries, feedback, forgetting."""

import dataclasses
import re
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rag.build import open_library
from rag.config import load_settings
from rag.errors import DocumentNotFound
from rag.gathering import CAPTIONS, IMPORTED, Gathered, pairs_file
from rag.library import Library
from rag.progress import progress_bar, stoppable
from rag.records import document_id
from rag.terminal import counted, err, out, print_json
from rag.text import one_line
from rag.tune.feedback import FILE as FEEDBACK
from rag.tune.feedback import FeedbackLog
from rag.tune.imports import keep, read_import
from rag.tune.lines import BadLine
from rag.tune.records import TuneStatus
from rag.tune.synthetic import Synthesized, is_small

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

feedback_app = typer.Typer(
    help="The log of what was shown and chosen. It never leaves this machine by itself.", no_args_is_help=True
)

_DOCUMENT_ID = re.compile(r"[0-9a-f]{32}")
_SOURCES = {
    "feedback": "said by you",
    "import": "imported",
    "structure": "by the names that your files give",
    "synthetic": "made up",
}
_SMALL = "most of what it makes up is dropped, and what is left counts little. `rag models list` shows larger ones"
_NAMED = 20  # lines, documents or passages that are told one by one
_SHOWN = 80  # characters of a query or a passage


def register(app: typer.Typer) -> None:
    """Add the commands for what is learnt from."""
    app.command()(status)
    app.command("import")(import_pairs)
    app.command()(synth)
    app.command()(forget)
    app.add_typer(feedback_app, name="feedback")


def status(as_json: AsJson = False) -> None:
    """How much there is to learn from, what each tier needs, and the smallest gain that could be shown."""
    with closing(open_library(load_settings())) as library:
        found, gathered = library.improver.status(), library.improver.gatherer.gather()
        made_up = library.improver.gatherer.made_up()
        titles = {share.group: _title(library, share.group) for share in gathered.shares}
    if as_json:
        left_out = {name: value for name, value in dataclasses.asdict(gathered).items() if name != "pairs"}
        print_json({**dataclasses.asdict(found), "left_out": left_out, "made_up": dataclasses.asdict(made_up)})
        return
    _print_status(found)
    _print_left_out(gathered, titles)
    if made_up.passages:
        _print_made_up(made_up)


def import_pairs(
    path: Annotated[Path, typer.Argument(help="A .jsonl, .csv or .tsv file, or a folder in BEIR layout.")],
    split: Annotated[str, typer.Option(help="Which judgements of a folder.")] = "train",
    as_json: AsJson = False,
) -> None:
    """Learn from pairs of others: queries and passages, triplets, graded pairs, FlagEmbedding's lists, captions.

    Fields go by their usual names: query and positive, anchor, positive and negative, sentence1, sentence2 and score,
    query, pos and neg, image and caption. A line that cannot be used is named and passed over.
    """
    home = load_settings().home
    found = read_import(path.expanduser().absolute(), time.time(), split)
    pairs, captions = keep(found, pairs_file(home, IMPORTED), pairs_file(home, CAPTIONS))
    if as_json:
        counts = {"pairs": len(found.pairs), "new": pairs, "captions": len(found.captions), "new_captions": captions}
        print_json({**counts, "scale": found.scale, "bad": [dataclasses.asdict(line) for line in found.bad]})
    else:
        _print_bad(found.bad)
        out.print(f"Read {counted(len(found.pairs), 'pair')}, {pairs} of them new", end="")
        out.print(f", and {counted(len(found.captions), 'caption')}, {captions} new." if found.captions else ".")
        if found.scale:
            out.print(f"Scores were taken to go from 0 to {found.scale}.")
    if found.bad:
        raise typer.Exit(1)


def synth(
    most: Annotated[int, typer.Option(min=1, max=100_000, help="End when there are so many in all.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Have the language model make up queries for your passages. It may be interrupted; the same command goes on.

    A query is kept only if the library finds its passage with it, in words that are not the passage's own.
    """
    with (
        closing(open_library(load_settings())) as library,
        stoppable(err) as stop,
        progress_bar(err, "queries") as show,
    ):
        generator = library.models()[1]
        if generator is not None and is_small(generator):
            err.print(f"[yellow]{escape(generator.name)} is too small to be good at this: {_SMALL}[/yellow]")
        made = library.make_up_queries(most, show, stop)
    if as_json:
        print_json(dataclasses.asdict(made))
    else:
        _print_made_up(made)
    if stop.is_set():
        raise typer.Exit(1)


def forget(
    documents: Annotated[list[str], typer.Argument(help="Ids, beginnings of ids, or paths; they may be gone already.")],
    as_json: AsJson = False,
) -> None:
    """Forget what was said, asked, imported and made up about documents. The documents themselves stay."""
    with closing(open_library(load_settings())) as library:
        done = library.improver.gatherer.forget([_known_or_gone(library, document) for document in documents])
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    out.print(
        f"Forgot {counted(done.feedback, 'line')} of feedback, {counted(done.pairs, 'pair')} and "
        f"{counted(done.questions, 'question')}."
    )
    if done.runs:
        err.print(f"[yellow]What was trained cannot forget; train anew and delete: {', '.join(done.runs)}[/yellow]")


@feedback_app.command("export")
def export_feedback(
    file: Annotated[Path, typer.Argument(help="The file to write, one JSON object a line; a name that is not taken.")],
    as_json: AsJson = False,
) -> None:
    """Copy the log of feedback to a file."""
    lines = _log().export(file.expanduser().absolute())
    if as_json:
        print_json({"file": str(file), "lines": lines})
    else:
        out.print(f"Wrote {counted(lines, 'line')} to {escape(str(file))}.")


@feedback_app.command("erase")
def erase_feedback(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, as_json: AsJson = False
) -> None:
    """Delete all feedback. What was trained with it stays as it is."""
    if not yes:
        typer.confirm("Delete all feedback?", abort=True, err=True)
    _log().erase()
    if as_json:
        print_json({"erased": True})
    else:
        out.print("Deleted all feedback.")


# --- helpers ---


def _log() -> FeedbackLog:
    return FeedbackLog(load_settings().home / FEEDBACK)


def _known_or_gone(library: Library, reference: str) -> str:
    """The id of a document in the library, or of one that was: an id says so, a path is one."""
    try:
        return library.resolve(reference)
    except DocumentNotFound:
        if _DOCUMENT_ID.fullmatch(reference):
            return reference
        path = Path(reference).expanduser()
        if path.is_absolute() or path.exists():
            return document_id(str(path.absolute()))
        raise


def _title(library: Library, group: str) -> str:
    try:
        return library.document(group).path
    except DocumentNotFound:
        return f"an imported passage ({group[:20]}…)"


def _print_status(found: TuneStatus) -> None:
    counts = ", ".join(f"{count} {_SOURCES[source]}" for source, count in found.pairs.items() if count)
    out.print(f"To learn from: {counts or 'nothing yet'}.", f"About {found.documents} documents or imported passages.")
    out.print(f"To judge by: {counted(found.gate, 'question')}, {found.questions} of them kept.", end=" ")
    shown = f"They can show a gain of {100 * found.detectable:.1f} points or more." if found.detectable else ""
    out.print(shown or "Without any, nothing can be promoted.")
    table = Table("tier", "may be trained", "", box=None, header_style="bold")
    for tier in found.tiers:
        mark = "suggested" if tier.tier == found.suggested else "yes" if tier.unlocked else "no"
        table.add_row(tier.tier, mark, escape(tier.needs or tier.note))
    out.print(table)
    live = f"the candidate {found.live.name}" if found.live else f"{found.embedder}, as it came"
    out.print(f"What searches now: {escape(live)}.")


def _print_left_out(gathered: Gathered, titles: dict[str, str]) -> None:
    for share in gathered.shares[:_NAMED]:
        title = escape(titles[share.group])
        out.print(f"[yellow]capped[/yellow]  {title} had {share.pairs} pairs, more than its share; {share.kept} count")
    for each in gathered.contradictions[:_NAMED]:
        words = escape(f"{one_line(each.query, _SHOWN)!r}: {one_line(each.passage, _SHOWN)!r}")
        out.print(f"[yellow]contradiction[/yellow]  {words} was called right and wrong; taken as {each.taken_as}")
    _print_bad(gathered.bad)
    counts = {
        "said the same as another": gathered.duplicates,
        "about passages that are gone from the library, or have no words": gathered.gone,
        "queries with something wrong and nothing right": gathered.only_wrong,
    }
    if any(counts.values()):
        out.print("Left out: " + ", ".join(f"{count} {why}" for why, count in counts.items() if count) + ".")


def _print_made_up(made: Synthesized) -> None:
    tried = made.kept + sum(made.dropped.values())
    out.print(f"Made-up queries: {made.kept} of {tried} are good, for {counted(made.passages, 'passage')}.")
    for reason, count in made.dropped.items():
        out.print(f"[dim]{count} dropped: {reason}[/dim]")


def _print_bad(bad: tuple[BadLine, ...]) -> None:
    for line in bad[:_NAMED]:
        err.print(f"[red]passed over[/red]  {escape(str(line))}")
    if len(bad) > _NAMED:
        err.print(f"[red]passed over[/red]  {len(bad) - _NAMED} more lines")
