"""How much time a file has left, by a clock that the tests set."""

from collections.abc import Iterator

from rag.ingest.clock import in_time, limited_to
from tests.ingest.drawn import HandClock


def test_without_a_limit_all_is_done() -> None:
    assert list(in_time(range(5))) == [0, 1, 2, 3, 4]


def test_no_time_no_item() -> None:
    with limited_to(0):
        assert list(in_time(range(5))) == []


def test_what_would_not_be_done_in_time_is_not_begun(clock: HandClock) -> None:
    def slowly() -> Iterator[int]:
        for item in in_time(range(100)):
            clock.now += 0.25
            yield item

    with limited_to(1):
        assert list(slowly()) == [0, 1, 2]  # a fourth step of .25 s, should it take .375, would not end within 1 s


def test_the_first_is_begun_whenever_any_time_is_left(clock: HandClock) -> None:
    with limited_to(1):
        clock.now += 0.99
        for _ in in_time(range(100)):
            clock.now += 100
        assert clock.now == 100.99


def test_limits_end_with_their_block_and_nest() -> None:
    with limited_to(60):
        with limited_to(0):
            assert list(in_time([1])) == []
        assert list(in_time([1])) == [1]
