"""`rag lab digits` as a person calls it."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag.cli import app


@pytest.mark.slow
def test_the_demonstration_whole(tmp_path: Path) -> None:
    call = [
        "lab",
        "digits",
        "--loss",
        "infonce",
        "--loss",
        "cosine-mse",
        "--epochs",
        "5",
        "--to",
        str(tmp_path),
        "--json",
    ]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    spaces = {space["name"]: space["quality"] for space in result["spaces"]}
    assert list(spaces) == ["pixels", "before training", "infonce", "cosine-mse"]
    assert spaces["infonce"]["neighbours"] >= 0.97
    assert spaces["infonce"]["neighbours"] > spaces["before training"]["neighbours"]
    assert spaces["infonce"]["uniformity"] < spaces["before training"]["uniformity"]
    assert len(list((tmp_path / "infonce").glob("epoch-*.safetensors"))) == 5

    report = Path(result["report"]).read_text(encoding="utf-8")
    assert "<script" not in report
    assert not re.search(r"(src|href)=\"(?!data:image/png;base64,)", report)
    assert report.count("<figure>") == 1 + 4 * 2  # the curves; PCA and UMAP in two and three dimensions, twice
    assert report.count('class="row"') == 8

    again = CliRunner().invoke(app, call)  # nothing is left to train
    assert "epoch" not in again.stderr
    assert json.loads(again.stdout)["spaces"] == result["spaces"]


def test_wrong_calls_say_what_there_is() -> None:
    from rag.errors import ConfigError

    wrong = CliRunner().invoke(app, ["lab", "digits", "--loss", "hinge"])
    assert isinstance(wrong.exception, ConfigError)
    assert "infonce" in str(wrong.exception)
