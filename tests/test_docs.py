"""The documents say what is true: the map names what exists, the README's commands exist, the versions agree."""

import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag.cli import app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


@pytest.mark.parametrize("path", sorted((ROOT / "rag").glob("*.py")), ids=lambda path: path.name)
def test_the_map_names_every_module_at_the_top(path: Path) -> None:
    assert path.name == "__init__.py" or f"  {path.name} " in CONTRIBUTING


PACKAGES = ["api", "ingest", "embed", "store", "retrieve", "answer", "models", "servers", "tune", "moving"]


@pytest.mark.parametrize("name", PACKAGES)
def test_the_map_names_real_files(name: str) -> None:
    """The line of a package, and those beneath it that name a part of it, list files in it and nothing else."""
    more = r"(?:\n {20,}.+)*"
    entry = re.search(rf"^  {name}/ +(.+{more})((?:\n    \w+ {{2,}}.+{more})*)", CONTRIBUTING, re.MULTILINE)
    assert entry
    listed = re.sub(r"^    \w+ +", ", ", entry[1] + entry[2], flags=re.MULTILINE).replace("read_*.py", "")
    for word in re.sub(r"\([^)]*\)", "", listed).replace("one  per family of formats", "").split(","):
        if word.strip():
            assert (ROOT / "rag" / name / f"{word.strip()}.py").is_file(), word


def test_every_command_of_the_readme_exists() -> None:
    commands = set(re.findall(r"(?:^|; |`)rag ([a-z]+)", README, re.MULTILINE))
    assert len(commands) >= 8
    for command in commands:
        done = CliRunner().invoke(app, [command, "--help"])
        assert done.exit_code == 0, command


def test_links_and_pictures_of_the_documents_exist() -> None:
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "corpus/README.md",
        "docs/api.md",
        "docs/benchmarks.md",
        "docs/local-servers.md",
        "docs/index-versions.md",
        "docs/learning.md",
        "docs/models.md",
        "docs/pictures.md",
        "docs/scaling.md",
    ):
        page = ROOT / name
        for target in re.findall(r"\]\(([^)#:]+)\)", re.sub(r"`[^`]+`", "", page.read_text("utf-8"))):
            assert (page.parent / target).exists(), f"{name} links to {target}"


def test_the_changelog_begins_with_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[1] == version
