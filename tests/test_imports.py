"""Imports point one way (CONTRIBUTING.md draws it), and `import rag` is cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = {
    "rag.records",
    "rag.errors",
    "rag.files",
    "rag.text",
    "rag.function_words",
    "rag.pictures",
    "rag.filters",
    "rag.protocols",
    "rag.config",
}

ADAPTERS = {"rag.ingest", "rag.embed", "rag.store", "rag.retrieve", "rag.answer", "rag.models"}

# Each part -> what it may import of ours, itself left out.
MAY_IMPORT = {
    "rag.records": set(),
    "rag.errors": set(),
    "rag.files": {"rag.errors"},
    "rag.text": set(),
    "rag.function_words": set(),
    "rag.svg": {"rag.errors"},
    "rag.pictures": {"rag.errors", "rag.svg"},
    "rag.filters": {"rag.records", "rag.errors"},
    "rag.protocols": {"rag.records", "rag.errors", "rag.filters"},
    "rag.config": {"rag.errors"},
    "rag.tune": SHARED | {"rag.embed", "rag.retrieve"},
    "rag.lab": SHARED | {"rag.tune"},
    "rag.ingest": SHARED,
    "rag.servers": {"rag.errors", "rag.text"},
    "rag.embed": SHARED | {"rag.servers"},
    "rag.store": SHARED,
    "rag.retrieve": SHARED,
    "rag.answer": SHARED | {"rag.servers"},
    "rag.models": SHARED | {"rag.servers"},
    "rag.progress": {"rag.records", "rag.text"},
    "rag.json_forms": {"rag.records"},
    "rag.terminal": {"rag.records", "rag.text"},
    "rag.bootstrap": set(),
    "rag.environment": set(),
    "rag.adopting": set(),
    "rag.databases": SHARED | {"rag.store"},
    "rag.live": SHARED | {"rag.databases"},
    "rag.carrying": SHARED | {"rag.ingest", "rag.store"},
    "rag.switching": SHARED | {"rag.carrying", "rag.databases", "rag.store"},
    "rag.teaching": SHARED | {"rag.ingest", "rag.tune"},
    "rag.training": SHARED
    | {"rag.databases", "rag.embed", "rag.gathering", "rag.ingest", "rag.live", "rag.retrieve", "rag.teaching"}
    | {"rag.tune"},
    "rag.improving": SHARED
    | {"rag.tune", "rag.retrieve", "rag.ingest", "rag.store", "rag.carrying"}
    | {"rag.databases", "rag.gathering", "rag.judging", "rag.live", "rag.mapping", "rag.switching", "rag.training"}
    | {"rag.contests", "rag.live_words", "rag.picture_words"},
    "rag.contests": SHARED | {"rag.judging", "rag.live", "rag.picture_words", "rag.switching", "rag.tune"},
    "rag.judging": SHARED | {"rag.tune", "rag.retrieve", "rag.ingest", "rag.store", "rag.live"},
    "rag.namings": SHARED | {"rag.ingest", "rag.tune"},
    "rag.gathering": SHARED | {"rag.databases", "rag.ingest", "rag.namings", "rag.tune"},
    "rag.evaluating": SHARED | {"rag.tune"},
    "rag.thumbnails": {"rag.errors"},
    "rag.indexing": SHARED | {"rag.ingest", "rag.store", "rag.thumbnails"},
    "rag.live_words": SHARED,
    "rag.picture_training": SHARED | {"rag.databases", "rag.embed", "rag.gathering", "rag.tune"},
    "rag.picture_words": SHARED
    | {
        "rag.databases",
        "rag.embed",
        "rag.gathering",
        "rag.live_words",
        "rag.picture_training",
        "rag.store",
        "rag.tune",
        "rag.whole_pictures",
    },
    "rag.whole_pictures": SHARED
    | {"rag.databases", "rag.embed", "rag.gathering", "rag.ingest", "rag.picture_training", "rag.tune"},
    "rag.mapping": SHARED | {"rag.live", "rag.store", "rag.tune"},
    "rag.looking": SHARED | {"rag.ingest", "rag.store"},
    "rag.gallery": SHARED | {"rag.ingest", "rag.thumbnails"},
    "rag.library": SHARED
    | {"rag.ingest", "rag.store", "rag.retrieve", "rag.answer"}
    | {"rag.adopting", "rag.databases", "rag.gallery", "rag.improving", "rag.indexing", "rag.live", "rag.looking"}
    | {"rag.switching", "rag.tune"}
    | {"rag.live_words"},
    "rag.moving": SHARED | {"rag.ingest", "rag.store", "rag.databases", "rag.tune"},
    "rag.api": SHARED | {"rag.library", "rag.json_forms", "rag.tune"},
    "rag.build": SHARED
    | {"rag.library", "rag.embed", "rag.store", "rag.answer", "rag.models", "rag.environment", "rag.moving"}
    | {"rag.servers", "rag.retrieve", "rag.tune"}
    | {"rag.databases", "rag.improving", "rag.live", "rag.switching"}
    | {"rag.live_words"},
    "rag.cli": SHARED
    | {
        "rag.build",
        "rag.library",
        "rag.progress",
        "rag.json_forms",
        "rag.terminal",
        "rag.models",
        "rag.cli_index",
        "rag.cli_lab",
        "rag.cli_moving",
        "rag.cli_mcp",
        "rag.cli_models",
        "rag.cli_tune",
        "ui",
    },
    "rag.cli_index": SHARED
    | {"rag.build", "rag.cli_models", "rag.library", "rag.models", "rag.progress", "rag.terminal"},
    "rag.cli_lab": SHARED | {"rag.lab", "rag.terminal", "rag.tune"},
    "rag.cli_moving": SHARED
    | {"rag.build", "rag.databases", "rag.moving", "rag.progress", "rag.store", "rag.terminal"},
    "rag.cli_mcp": SHARED | {"rag.build", "rag.library", "rag.api"},
    "rag.cli_models": SHARED
    | {"rag.build", "rag.cli_servers", "rag.environment", "rag.models", "rag.store", "rag.terminal"},
    "rag.cli_tune": SHARED
    | {"rag.build", "rag.gathering", "rag.improving", "rag.library", "rag.mapping", "rag.progress", "rag.terminal"}
    | {"rag.tune"},
    "rag.cli_servers": {"rag.models", "rag.servers", "rag.terminal"},
    "ui": SHARED | {"rag.library", "rag.api", "rag.models", "rag.tune", "rag.evaluating"},
    "eval": SHARED
    | ADAPTERS
    | {"rag.tune"}
    | {
        "rag.build",
        "rag.evaluating",
        "rag.indexing",
        "rag.library",
        "rag.looking",
        "rag.moving",
        "rag.environment",
        "rag.progress",
    }
    | {"rag.judging"},
}


def part_of(module: str) -> str:
    """`rag.ingest.chunk` -> `rag.ingest`; `rag.cli` -> `rag.cli`; `ui.app` -> `ui`."""
    names = module.split(".")
    return ".".join(names[:2]) if names[0] == "rag" else names[0]


def imported(path: Path) -> set[str]:
    """The modules of ours that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] in ("rag", "ui", "eval", "tests", "corpus")}


def files() -> list[Path]:
    return sorted(path for top in ("rag", "ui", "eval") for path in (ROOT / top).rglob("*.py"))


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    part = part_of(module)
    if part in ("rag",):
        assert imported(path) == set()
        return
    wrong = {name for name in imported(path) if part_of(name) not in MAY_IMPORT[part] | {part}}
    assert not wrong, f"{module} may not import {sorted(wrong)}"


HEAVY = (
    *("torch", "gradio", "lancedb", "llama_cpp", "transformers", "sentence_transformers", "weaviate"),
    *("fastapi", "mcp", "open_clip", "rapidocr", "onnxruntime", "cv2", "pypdfium2", "PIL"),
)


@pytest.mark.parametrize("statement", ["import rag", "import rag.records", "import rag.cli", "import rag.build"])
def test_importing_loads_nothing_heavy(statement: str) -> None:
    assert loaded_by(statement, HEAVY) == "[]"


def test_a_benchmark_prepares_the_environment_before_torch_and_llama_read_it() -> None:
    assert loaded_by("import eval.__main__", ("torch", "llama_cpp", "transformers", "sklearn")) == "[]"


def loaded_by(statement: str, names: tuple[str, ...]) -> str:
    code = f"{statement}\nimport sys\nprint([name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
