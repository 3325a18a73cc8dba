import time
from collections.abc import Iterator

from rag.ingest.clock import in_time, limited_to


def test_without_a_limit_all_is_done() -> None:
    assert list(in_time(range(5))) == [0, 1, 2, 3, 4]


def test_no_time_no_item() -> None:
    with limited_to(0):
        assert list(in_time(range(5))) == []


def test_what_would_not_be_done_in_time_is_not_begun() -> None:
    def slowly() -> Iterator[int]:
        for item in in_time(range(100)):
            time.sleep(0.2)
            yield item

    started = time.monotonic()
    with limited_to(1):
        done = list(slowly())
    assert 1 <= len(done) <= 4  # a fifth step of .2 s, should it take .3, would not end within 1 s
    assert time.monotonic() - started < 5


def test_limits_end_with_their_block_and_nest() -> None:
    with limited_to(60):
        with limited_to(0):
            assert list(in_time([1])) == []
        assert list(in_time([1])) == [1]
