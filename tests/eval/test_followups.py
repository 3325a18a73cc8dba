"""Follow-ups through the program: two notes, what leans on what, and what a broken list says."""

import json
from pathlib import Path

import pytest

from eval.datasets import DatasetError
from eval.followups import followups
from rag.config import load_settings

NOTES = {
    "hive.md": "The hive called Agnes gave nine jars of honey. The queen of Agnes is marked blue.",
    "boiler.md": "The boiler on the landing is kept at a pressure of 1.3 bar. It was put in by Gwen Pardoe.",
}
ROWS = [
    {"before": ["How much honey did the hive Agnes give?"], "question": "And how is its queen marked?"}
    | {
        "whole": "How is the queen of the hive Agnes marked?",
        "source": "hive.md",
        "page": None,
        "answer": "marked blue",
    },
    {"before": ["How much honey did the hive Agnes give?"], "question": "Who put in the boiler on the landing?"}
    | {"whole": "Who put in the boiler on the landing?", "source": "boiler.md", "page": None, "answer": "Gwen Pardoe"},
]


def written(folder: Path, *rows: dict[str, object]) -> Path:
    for name, text in NOTES.items():
        (folder / name).write_text(text)
    (folder / "followups.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


def test_each_way_of_asking_is_measured(tmp_path: Path) -> None:
    settings = load_settings(embedder="hashing", generator="none", image_embedder="none")
    seen: list[str] = []
    result = followups(written(tmp_path, *ROWS), settings, lambda stage: lambda done, total: seen.append(stage))
    assert (result["leaning_told"], result["new_told_to_lean"]) == ([1, 1], [0, 1])
    assert set(result["leaning"]) == {"as asked", "made to stand alone", "whole"}
    for group in ("leaning", "new"):
        for way in ("made to stand alone", "whole"):
            row = result[group][way]
            assert (row["questions"], row["mrr"], row["first"], row["found"], row["quoted"]) == (1, 1.0, 1, 1, 1)
    assert seen.count("ask") == 6  # two questions in three ways
    assert set(seen) == {"index", "ask"}


@pytest.mark.parametrize("field", ["before", "question", "whole", "source", "page", "answer"])
def test_a_line_that_lacks_something_is_named(tmp_path: Path, field: str) -> None:
    broken = {key: value for key, value in ROWS[0].items() if key != field}
    with pytest.raises(DatasetError, match=f"line 2 .* has no '{field}'"):
        followups(written(tmp_path, ROWS[0], broken), load_settings(), lambda _: lambda done, total: None)


def test_a_folder_without_the_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot read"):
        followups(tmp_path, load_settings(), lambda _: lambda done, total: None)
