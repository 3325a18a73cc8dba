"""What a person at a terminal is told of an answer, and what a document cannot do there."""

from io import StringIO

import pytest
from rich.console import Console

from rag.progress import progress_bar
from rag.records import Answer, GroundedSentence, Progress
from rag.terminal import print_json, print_sources

TEXT = "Twelve jars [1]. And \x1b[31ma [bold]spoon. Half of it."


def test_what_the_sources_do_not_support_is_named_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    judged = (
        GroundedSentence(0, 16, "supported"),
        GroundedSentence(
            17, TEXT.index(" Half"), "unsupported", ("no source says anything like it", "“spoon” stands in no source")
        ),
        GroundedSentence(TEXT.index("Half"), len(TEXT), "partly", ("not all of it stands in the source",)),
    )
    print_sources(Answer("How many?", TEXT, (), (), "stop", "m", sentences=judged))
    assert capsys.readouterr().out.strip().splitlines() == [
        "not supported by the sources: And [31ma [bold]spoon. "
        "(no source says anything like it; “spoon” stands in no source)",
        "only partly supported by the sources: Half of it. (not all of it stands in the source)",
    ]


def test_where_all_is_well_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    print_sources(Answer("How many?", TEXT, (), (), "stop", "m", sentences=(GroundedSentence(0, 16, "supported"),)))
    assert "supported" not in capsys.readouterr().out


def test_json_is_whole_and_steers_nothing(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    print_json({"text": "a\x1b[31m\x9b2J\u202eb"})
    assert capfdbinary.readouterr().out == b'{"text": "a\\u001b[31m\\u009b2J\\u202eb"}\n'


def test_a_path_is_no_markup_in_a_bar() -> None:
    written = StringIO()
    console = Console(force_terminal=True, file=written, width=120)
    with progress_bar(console) as show:
        show(Progress(0, 1, "/a/[/bold] \x1b[31m[red].md", 0, 0.0, None))
    assert "/a/[/bold] [31m[red].md" in written.getvalue()
