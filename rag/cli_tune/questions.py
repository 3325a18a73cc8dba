"""The commands for the questions that are kept to judge retrievers by."""

import dataclasses
from contextlib import closing
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rag.build import open_library
from rag.config import load_settings
from rag.terminal import counted, out, print_json
from rag.text import one_line
from rag.tune.questions import FILE, Questions, question
from rag.tune.records import Question

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
References = Annotated[
    list[str], typer.Argument(metavar="QUESTION…", help="Ids, beginnings of ids, or the words of questions.")
]

questions_app = typer.Typer(help="Questions that are kept to judge retrievers by.", no_args_is_help=True)

_SHOWN = 80  # characters of a question


def register(app: typer.Typer) -> None:
    """Add `rag tune questions …`."""
    app.add_typer(questions_app, name="questions")


@questions_app.command("list")
def list_questions(as_json: AsJson = False) -> None:
    """The kept questions."""
    kept = _questions().all()
    if as_json:
        print_json([dataclasses.asdict(each) for each in kept])
        return
    table = Table("id", "question", "right documents", "", box=None, header_style="bold")
    for each in kept:
        table.add_row(each.id, escape(one_line(each.text, _SHOWN)), _documents(each), "pinned" if each.pinned else "")
    out.print(table if kept else "No question is kept yet. Keep one: rag tune questions add TEXT DOCUMENT")


@questions_app.command("add")
def add_question(
    text: Annotated[str, typer.Argument(help="What one would ask.")],
    documents: Annotated[list[str], typer.Argument(help="Those that answer it: ids, beginnings of ids, or paths.")],
    pin: Annotated[bool, typer.Option(help="Its answer must stay among the first five.")] = False,
    as_json: AsJson = False,
) -> None:
    """Keep a question and the documents that answer it. It is never trained on."""
    settings = load_settings()
    with closing(open_library(settings)) as library:
        new = question(text, [library.resolve(document) for document in documents], pinned=pin)
    kept = Questions(settings.home / FILE)
    kept.add([new])
    _tell(kept.find(new.id), "kept", as_json)


@questions_app.command("remove")
def remove_questions(references: References, as_json: AsJson = False) -> None:
    """Keep questions no longer."""
    gone = _questions().remove(references)
    if as_json:
        print_json({"removed": [each.id for each in gone]})
    else:
        out.print(f"Removed {counted(len(gone), 'question')}.")


@questions_app.command("pin")
def pin_question(
    reference: Annotated[str, typer.Argument(metavar="QUESTION", help="Its id, the beginning of it, or its words.")],
    off: Annotated[bool, typer.Option("--off", help="Pin it no longer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have a question that must never be lost: no retriever passes that has its answer behind the first five."""
    _tell(_questions().pin(reference, not off), "no longer pinned" if off else "pinned", as_json)


def _questions() -> Questions:
    return Questions(load_settings().home / FILE)


def _tell(question: Question, done: str, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(question))
    else:
        out.print(f"{done}: {escape(question.text)} ({question.id}, {_documents(question)})")


def _documents(question: Question) -> str:
    return ", ".join(document[:8] for document in question.right)
