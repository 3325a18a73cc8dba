"""Whole files with pictures through the parser: their words, what they are found by, and the time they may take."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rag.ingest import parse as parsing
from rag.ingest.chunk import embedding_text
from rag.ingest.media import MARKDOWN, PDF, PLAIN, PNG
from rag.ingest.options import ParseOptions, ReadOptions
from rag.ingest.parse import Parsed, ReadTask, parse, parse_all
from tests.ingest.drawn import FixedOcr, HandClock, SlowOcr, encoded, pdf_of, picture, scan, show

OPTIONS = ParseOptions(tokenizer_file=None, max_tokens=40, max_file_mb=64)
NO_OCR = ParseOptions(tokenizer_file=None, max_tokens=40, max_file_mb=64, read=ReadOptions(ocr=False))


def save(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def test_a_picture_in_a_note_is_found_by_its_file_name_and_surroundings(tmp_path: Path) -> None:
    save(tmp_path / "rose-trellis.png", encoded(picture()))
    path = save(tmp_path / "note.md", b"# Garden\n\nHere by the door.\n\n![The climbers](rose-trellis.png)\n")
    parsed = parse(ReadTask(path, MARKDOWN, str(tmp_path)), NO_OCR)
    [words] = [words.split() for each, words in zip(parsed.chunks, parsed.words, strict=True) if each.picture]
    assert {"trelli", "trellis"} & set(words)
    assert {"garden", "door"} <= set(words)
    [image] = [each for each in parsed.chunks if each.picture]
    assert embedding_text(image) == "Garden\nThe climbers\nHere by the door."


def test_a_picture_answers_to_all_its_words(tmp_path: Path, reading_with: Callable[[FixedOcr], None]) -> None:
    reading_with(FixedOcr(" ".join(f"word{number}" for number in range(100))))
    save(tmp_path / "a.png", encoded(picture()))
    path = save(tmp_path / "note.md", b"![A sign](a.png)\n")
    parsed = parse(ReadTask(path, MARKDOWN, str(tmp_path)), OPTIONS)
    [(image, words)] = [
        (each, words) for each, words in zip(parsed.chunks, parsed.words, strict=True) if each.modality == "image"
    ]
    assert "word99" in words.split()
    assert "word99" not in image.text
    assert [each.modality for each in parsed.chunks if each.picture == 1][1:] != []


def test_a_note_that_shows_pictures_is_read_in_another_process(tmp_path: Path) -> None:
    def light(text: str, media_type: str = MARKDOWN) -> bool:
        return parsing._are_light([ReadTask(save(tmp_path / "a.md", text.encode()), media_type)])

    assert light("# Plain words, and [a link](x.png)")
    assert not light("![A](x.png)")
    assert not light("![[x.png]]")
    assert not light("<IMG src=x.png>")
    assert light("![A](x.png)", PLAIN)
    assert not light("![A](x.png)", PNG)


def test_a_scan_that_takes_too_long_is_kept_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: HandClock, reading_with: Callable[[FixedOcr], None]
) -> None:
    """Read in this process, by a clock of which each page takes a second."""
    monkeypatch.setattr(parsing, "_are_light", lambda tasks: True)
    reading_with(SlowOcr(clock))
    sheet = scan("Line of a sheet", "with quite some words on it")
    path = save(tmp_path / "scan.pdf", pdf_of(*[lambda canvas: show(canvas, sheet, 0, 0, 595, 842)] * 9))
    [(_, outcome)] = parse_all([ReadTask(path, PDF)], OPTIONS, workers=1, timeout=10)
    assert isinstance(outcome, Parsed), outcome
    pages = outcome.document.pages
    done = [page.number for page in pages if page.lines]
    assert done == [1, 2, 3, 4, 5, 6]  # of the 10 s 7 are for pixels, and a seventh page might take 1.5 s
    assert len(pages) == 9
    [warning] = outcome.document.warnings
    assert warning.startswith("pages 7-9 were not read")
    assert "RAG_READ_SECONDS" in warning
    assert {each.page for each in outcome.chunks} == set(done)
