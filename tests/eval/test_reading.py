import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from eval.reading import _characters, _error_rate, _plain, _recall, _words, print_reading, reading


def _receipt(folder: Path, name: str, lines: list[str], truth: list[str]) -> None:
    image = Image.new("RGB", (400, 60 * len(lines)), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((20, 15 + 60 * number), line, fill="black", font=ImageFont.load_default(28))
    for part in ("img", "box"):
        (folder / part).mkdir(exist_ok=True)
    image.save(folder / "img" / f"{name}.jpg", quality=90)
    rows = "\n".join(f"1,2,3,4,5,6,7,8,{line}" for line in truth)
    (folder / "box" / f"{name}.csv").write_text(rows)


@pytest.mark.model
def test_reading_of_known_receipts(tmp_path: Path) -> None:
    """Eight words of truth, one of which does not stand there; commas belong to the text."""
    _receipt(tmp_path, "1", ["Tea, green", "TOTAL 2.40"], ["TEA, GREEN", "TOTAL 2.40"])  # tea green total 2 40
    _receipt(tmp_path, "2", ["Harbour cafe"], ["HARBOUR CAFE", "MISSING"])
    shown: list[tuple[int, int]] = []
    result = reading(tmp_path, show=lambda done, total: shown.append((done, total)))
    assert shown == [(0, 2), (1, 2), (2, 2)]
    assert (result["pictures"], result["with_truth"], result["threads"]) == (2, 2, 1)
    assert result["word_recall"] == 7 / 8
    characters = len("tea,green") + len("total2.40") + len("harbourcafe")
    assert result["character_recall"] == characters / (characters + len("missing"))
    assert result["megapixels"] == pytest.approx((400 * 120 + 400 * 60) / 1e6)
    assert result["ms"]["ocr"]["median"] > result["ms"]["decode"]["median"] > 0
    printed = io.StringIO()
    print_reading(result, Console(file=printed))
    assert "words 0.875" in printed.getvalue()


@pytest.mark.model
def test_pictures_without_truth_are_timed(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    result = reading(tmp_path)
    assert (result["pictures"], result["with_truth"], result["word_recall"]) == (1, 0, None)
    print_reading(result, Console(file=io.StringIO()))


def test_an_empty_folder(tmp_path: Path) -> None:
    result = reading(tmp_path)
    assert (result["pictures"], result["pictures_per_minute"], result["word_recall"]) == (0, 0.0, None)


def test_recall_counts_each_word_as_often_as_it_stands_there() -> None:
    assert _recall([(_words("a a b"), _words("A c b"))]) == 2 / 3
    assert _recall([(_characters("a a"), _characters("a")), (_characters("b"), _characters("a b"))]) == 2 / 3
    assert _recall([]) is None


def test_error_rates_are_edits_in_the_order_of_the_truth() -> None:
    truth, read = _plain("TOTAL  RM 5.00\nCASH"), _plain("Cash total rm5.00")
    # "cash " comes too early (5), the space in "rm 5.00" is missing (1), and " cash" is missing behind it (5).
    assert _error_rate([(truth, read)]) == 11 / len("total rm 5.00 cash")
    # One word too early, one of two that became one, one that should have been the other half, one missing behind.
    assert _error_rate([(truth.split(), read.split())]) == 4 / 4
    assert _error_rate([("abcd", "abxd"), ("", "ef")]) == (1 + 2) / 4
    assert _error_rate([]) is None
