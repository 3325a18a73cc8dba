"""The first screen and the words around everything."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import ui.welcome
from rag.records import ModelState, Progress, Status
from tests.ui.fakes import FakeLibrary, make_document
from ui.models_page import Models, render_machine, render_models
from ui.status import Warmth, status_line
from ui.welcome import contents, first_questions, render_welcome
from ui.words import count, folder, milliseconds, ordinal, sentence, short_model


def test_what_is_in_the_library() -> None:
    status = Status("/home", 3, 1204, {"note": 1, "pdf": 2}, ())
    assert contents(status) == "3 documents in 1,204 passages: 1 note, 2 PDFs."


def test_an_empty_library_asks_for_files() -> None:
    made = render_welcome(Status("/home", 0, 0, {}, ()), [])
    assert "Your library is empty" in made
    assert "Drop files here" in made


def test_the_sample_brings_its_own_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"question": "Featured?", "source": "a.md", "featured": True},
        {"question": "Not indexed?", "source": "b.md", "featured": True},
        {"question": "Not featured?", "source": "a.md"},
    ]
    (tmp_path / "questions.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    monkeypatch.setattr(ui.welcome, "SAMPLE", tmp_path)
    library = FakeLibrary(tmp_path / "home", [make_document(str(tmp_path / "a.md"), "x", title="A")])
    assert first_questions(library) == ["Featured?", "What is “A” about?"]


def test_three_at_most(tmp_path: Path) -> None:
    documents = [make_document(f"/n/{n}.md", "text") for n in range(9)]
    assert len(first_questions(FakeLibrary(tmp_path, documents))) == 3


def test_titles_in_questions_are_escaped() -> None:
    made = render_welcome(Status("/h", 1, 1, {"note": 1}, ()), ["What is “<b>” about?"])
    assert "<b>" not in made


def test_the_status_line(library: FakeLibrary) -> None:
    ready = status_line(library.status(), Warmth(loading=False))
    assert "MiniLM-L6-v2 on CPU" in ready
    assert "SmolLM2-135M on CPU" in ready
    assert "loading models" in status_line(library.status(), Warmth())
    broken = status_line(library.status(), Warmth(loading=False, error='bad "model"'))
    assert 'title="bad &quot;model&quot;"' in broken


def test_the_status_line_tells_of_pictures_and_of_looking_at_them() -> None:
    eyes = ModelState("image embedder", "ViT-B-32", "cpu", "fp32", "", True)
    blind = Status("/home/ada/book", 3, 9, {}, (), pictures=40, unseen=40)
    line = status_line(blind, Warmth(loading=False))
    assert "40 pictures" in line
    assert "picture understanding off" in line
    assert "get a model for that on the Models page." in line
    seeing = replace(blind, models=(eyes,))
    looking = status_line(seeing, Warmth(loading=False), Progress(40, 200, "", 40, 1.0, 4.0, "look"))
    assert "looking at pictures 40 of 200" in looking
    assert "ViT-B-32 on CPU" in looking
    assert "off" not in looking
    assert "picture" not in status_line(replace(blind, pictures=0), Warmth(loading=False))  # none: nothing to say


def test_the_models_page_says_which_where_and_why(library: FakeLibrary) -> None:
    made = render_models(Models(library.status(), Warmth(loading=False)))
    assert "This processor has bf16 instructions." in made
    assert "There is no language model" in render_models(Models(Status("/h", 0, 0, {}, ()), Warmth()))
    machine = render_machine([("Memory", "8 GiB")], "/home/ada/<book>")
    assert "<dt>Memory</dt><dd>8 GiB</dd>" in machine
    assert "Everything is kept in /home/ada/&lt;book&gt;." in machine


@pytest.mark.parametrize(
    ("number", "said"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (112, "112th"), (21, "21st")]
)
def test_ordinals(number: int, said: str) -> None:
    assert ordinal(number) == said


def test_other_words() -> None:
    assert count(1, "mail") == "1 mail"
    assert count(0, "PDF") == "0 PDFs"
    assert milliseconds(23.4) == "23 ms"
    assert milliseconds(1400) == "1.4 s"
    assert folder("/home/ada/notes/bees.md") == "ada/notes"
    assert sentence(" it is empty ") == "It is empty."
    assert sentence("'a.pdf': is it cut off?") == "'a.pdf': is it cut off?"
    assert sentence("") == ""
    assert folder("/a.md") == "/"
    assert short_model("SmolLM2-135M-Instruct-Q4_1.gguf") == "SmolLM2-135M"
