"""The doctor's panel: findings as they come, faults with their remedy, and never two examinations at once."""

import threading
from collections.abc import Callable, Iterator

import pytest

from rag.errors import ModelError
from rag.models.findings import Check
from tests.browser import Screen
from tests.ui.fakes import FakeLibrary
from tests.ui.test_page import serving
from ui.doctor import Examination, Examined, render_doctor

WELL = Check("memory", True, "9.0 GiB of 16.0 GiB free")
FAULT = Check("llama.cpp", False, "0.3.36, built without GPU support", 'run: CMAKE_ARGS="-DGGML_CUDA=on" pip <x>')


def test_nothing_is_examined_until_it_is_asked_for() -> None:
    made = render_doctor(Examined())
    assert 'data-do="examine"' in made
    assert "<dl>" not in made


def test_faults_come_with_their_remedy_and_nothing_is_markup() -> None:
    made = render_doctor(Examined((WELL, FAULT)))
    assert "<dt>Memory</dt><dd><span>9.0 GiB of 16.0 GiB free</span></dd>" in made
    assert "Run: CMAKE_ARGS=&quot;-DGGML_CUDA=on&quot; pip &lt;x&gt;" in made
    assert "One thing to change." in made
    assert "All is well." in render_doctor(Examined((WELL,)))
    assert "2 things to change." in render_doctor(Examined((FAULT, FAULT)))


def test_while_it_goes_on_there_is_no_button() -> None:
    made = render_doctor(Examined((WELL,), running=True))
    assert "Examining" in made
    assert "data-do" not in made
    assert "All is well" not in made


def test_an_examination_is_followed_to_its_end() -> None:
    shown = list(Examination(lambda: iter((WELL, FAULT))).follow())
    assert shown[-1] == Examined((WELL, FAULT))


def test_two_windows_follow_the_same_examination() -> None:
    goes_on, begun = threading.Event(), []

    def examine() -> Iterator[Check]:
        begun.append(1)
        yield WELL
        goes_on.wait(120)
        yield FAULT

    examination = Examination(examine)
    here, there = examination.follow(), examination.follow()
    assert next(here).running
    assert next(there).running
    goes_on.set()
    assert list(here)[-1] == list(there)[-1] == Examined((WELL, FAULT))
    assert begun == [1]
    assert list(examination.follow())[-1].checks == (WELL, FAULT)
    assert begun == [1, 1]


def test_what_goes_wrong_is_told() -> None:
    def examine() -> Iterator[Check]:
        yield WELL
        raise ModelError("the model is gone")

    def broken() -> Iterator[Check]:
        raise ZeroDivisionError("odd")

    last = list(Examination(examine).follow())[-1]
    assert last == Examined((WELL,), error="the model is gone")
    assert "The model is gone." in render_doctor(last)
    assert list(Examination(broken).follow())[-1].error == "unexpected ZeroDivisionError: odd"


@pytest.mark.browser
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_examines(library: FakeLibrary, window: Callable[..., Screen], width: int) -> None:
    with serving(library) as address:
        screen = window(address, width=width).open("#models")
        screen.page.wait_for_selector("#model-list .model")  # what the page shows at first is drawn again with it
        screen.page.locator("#doctor button").press("Enter")
        screen.matches("#doctor", r"Memory.*free.*llama\.cpp.*Embedder.*hashing.*texts/s.*Language model")
        screen.page.wait_for_selector("#doctor button")
        screen.matches("#doctor .problem:last-of-type", "set RAG_GENERATOR to a GGUF file")
        assert screen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert screen.problems == screen.elsewhere == []
