import pytest

from rag.ingest.surroundings import words_around

TEXT = "First one.\n\nSecond one.\n\n[picture]\n\nThird\none.\n\nFourth one."
AT, END = TEXT.index("["), TEXT.index("]") + 1


def test_the_paragraphs_before_and_behind() -> None:
    assert words_around(TEXT, AT, END, 0, len(TEXT)) == "Second one. Third one."


def test_only_within_the_bounds() -> None:
    assert words_around(TEXT, AT, END, AT, len(TEXT)) == "Third one."
    assert words_around(TEXT, AT, END, 0, END) == "Second one."
    assert words_around(TEXT, 0, len(TEXT), 0, len(TEXT)) == ""
    assert words_around("", 0, 0, 0, 0) == ""


def test_the_nearer_part_of_long_paragraphs_is_kept() -> None:
    before, after = " ".join(f"b{number}" for number in range(200)), " ".join(f"a{number}" for number in range(200))
    found = words_around(f"{before}\n\n{after}", len(before), len(before), 0, 10_000)
    assert found.startswith("…b")
    assert "b199 a0" in found
    assert found.endswith("…")
    assert 380 <= len(found) <= 402


@pytest.mark.parametrize("side", ["before", "behind"])
def test_what_one_side_does_not_need_the_other_gets(side: str) -> None:
    long, short = "word " * 100, "short"
    text, at = (f"{long}\n\n{short}", len(long)) if side == "before" else (f"{short}\n\n{long}", len(short))
    assert 380 <= len(words_around(text, at, at, 0, len(text))) <= 402


def test_a_word_without_an_end_is_cut() -> None:
    assert len(words_around("x" * 5000, 5000, 5000, 0, 5000)) <= 401
