"""The small CLIP learns another person's words, keeps those it knew, and looks at no picture again."""

from pathlib import Path

import pytest
import torch

from eval.clip_words import measure
from eval.shapes import OTHER_WORDS, WORDS, retold


def test_the_other_words_are_others() -> None:
    assert not set(OTHER_WORDS) & set(OTHER_WORDS.values())
    assert set(OTHER_WORDS) >= {word for word in WORDS if word != "crosss"}
    assert retold("two red crosses left of a square") == "twin crimson pluses west from one box"


@pytest.mark.slow
@pytest.mark.model
def test_three_hundred_pairs_teach_it_another_person_s_words(spelling_clip: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # twice as fast where others compute as well
    try:
        (learnt,) = measure(spelling_clip, [300], seeds=1)
    finally:
        torch.set_num_threads(threads)
    assert learnt.own[0] < 0.1  # words without a meaning
    assert learnt.own[1] - learnt.own[0] >= 0.2  # by .38 when it was written; .10 is what is promised
    assert learnt.known[1] >= learnt.known[0] - 0.05
