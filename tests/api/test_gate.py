"""One at a time, first come first served, a short line, and a way out of it."""

import threading
from contextlib import ExitStack

import pytest

from rag.api.gate import Gate
from rag.errors import TooBusy
from tests.patience import until


def waiting(gate: Gate) -> int:
    return len(gate._line)


def enter_later(gate: Gate, order: list[str], name: str, **how: object) -> threading.Thread:
    """A thread that notes its name once it is through; it stands in line when this returns."""

    def go() -> None:
        try:
            with gate.enter(**how):  # type: ignore[arg-type]
                order.append(name)
        except TooBusy:
            order.append(f"{name} gave up")

    before = waiting(gate)
    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    until(lambda: waiting(gate) == before + 1)
    return thread


def test_those_in_line_go_in_the_order_in_which_they_came() -> None:
    gate, order = Gate(places=1, waiting=3), list[str]()
    with gate.enter():
        threads = [enter_later(gate, order, name) for name in "abc"]
        assert order == []
    for thread in threads:
        thread.join(120)
    assert order == ["a", "b", "c"]


def test_a_full_line_is_refused_unless_somebody_sits_at_the_screen() -> None:
    gate, order = Gate(places=1, waiting=1), list[str]()
    with gate.enter():
        first = enter_later(gate, order, "first")
        with pytest.raises(TooBusy, match="1 others are waiting"), gate.enter():
            pass
        screen = enter_later(gate, order, "screen", always=True)
    first.join(120)
    screen.join(120)
    assert order == ["first", "screen"]


def test_without_a_line_a_free_place_is_taken_and_a_taken_one_refused() -> None:
    gate = Gate(places=2, waiting=0)
    with ExitStack() as stack:
        stack.enter_context(gate.enter())
        stack.enter_context(gate.enter())
        with pytest.raises(TooBusy), gate.enter():
            pass
    with gate.enter():
        pass


def test_whoever_gives_up_leaves_the_line_to_the_next() -> None:
    gate, order, stop = Gate(places=1, waiting=2), list[str](), threading.Event()
    with gate.enter():
        first = enter_later(gate, order, "first", stop=stop)
        second = enter_later(gate, order, "second")
        stop.set()
        first.join(120)
        assert order == ["first gave up"]
    second.join(120)
    assert order == ["first gave up", "second"]


def test_a_place_is_given_back_after_an_error_and_idleness_can_be_waited_for() -> None:
    gate = Gate()
    with pytest.raises(ZeroDivisionError), gate.enter():
        _ = 1 / 0
    assert gate.wait_idle(0)
    with gate.enter():
        assert not gate.wait_idle(0)
