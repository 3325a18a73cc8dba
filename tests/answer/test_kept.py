"""Which earlier prompts are kept, and which one is gone back to."""

import numpy as np
import pytest

from rag.answer.kept import KeptPrompt, KeptPrompts, common_prefix


def prompt(blocks: str, size: int = 10) -> KeptPrompt:
    return KeptPrompt(tuple(blocks), np.zeros(size, np.uint8))


def kept(limit: int, *prompts: KeptPrompt) -> KeptPrompts:
    found = KeptPrompts(limit)
    for each in prompts:
        found.put(each)
    return found


@pytest.mark.parametrize(
    ("a", "b", "common"), [("", "", 0), ("abc", "", 0), ("abc", "abd", 2), ("abc", "abcd", 3), ("xbc", "abc", 0)]
)
def test_what_two_prompts_begin_with(a: str, b: str, common: int) -> None:
    assert common_prefix(a, b) == common_prefix(b, a) == common


def test_the_longest_beginning_is_taken_and_is_gone_then() -> None:
    found = kept(100, prompt("abcd"), prompt("abx"), prompt("y"))
    assert found.take("abcz", longer_than=0) == prompt("abcd")
    assert found.take("abcz", longer_than=0) == prompt("abx")
    assert found.take("abcz", longer_than=0) is None


def test_one_that_is_no_better_than_what_is_there_stays() -> None:
    found = kept(100, prompt("abcd"))
    assert found.take("abcz", longer_than=3) is None
    assert found.take("abcz", longer_than=2) == prompt("abcd")


def test_a_longer_prompt_takes_the_place_of_its_beginning() -> None:
    found = kept(100, prompt("ab"), prompt("abcd"))
    assert found.take("abcd", longer_than=0) == prompt("abcd")
    assert found.take("ab", longer_than=0) is None


def test_the_oldest_goes_where_there_is_no_room() -> None:
    found = kept(25, prompt("a"), prompt("b"), prompt("c"))
    assert found.take("a", longer_than=0) is None
    assert found.take("b", longer_than=0) == prompt("b")
    assert kept(5, prompt("a")).take("a", longer_than=0) is None


def test_none_is_kept_without_room() -> None:
    assert kept(0, prompt("a")).take("a", longer_than=0) is None
