"""Variants that take words or vectors away, and leave the answers as they were."""

from pathlib import Path

from eval.datasets import Dataset, load
from eval.stress import variants, write
from tests.eval.made import tiny


def made(tmp_path: Path) -> tuple[Dataset, dict[str, Dataset]]:
    dataset = load(tiny(tmp_path / "tiny"))
    return dataset, variants(dataset)


def test_questions_change_and_answers_do_not(tmp_path: Path) -> None:
    dataset, found = made(tmp_path)
    for name in ("typos", "many-typos", "keyword", "chatty", "cipher"):
        assert found[name].judgements == dataset.judgements
        assert found[name].queries.keys() == dataset.queries.keys()
        assert found[name].queries != dataset.queries


def test_each_variant(tmp_path: Path) -> None:
    _, found = made(tmp_path)
    assert found["keyword"].queries == {"q1": "swarm", "q2": "bicycle", "q3": "whistles"}
    assert "When do bees swarm?" in found["chatty"].queries["q1"]
    assert not any(c in "abcdefghijklmnopqrstuvwxyz" for entry in found["cipher"].entries for c in entry.text)
    asked, text = found["references"].queries["about d1"], found["references"].entries[0].text
    assert asked.removeprefix("Which text has the reference ").removesuffix("?") in text
    assert found["references"].judgements["about d1"] == {"d1": 1}


def test_misspelling_changes_letters_not_the_number_of_words(tmp_path: Path) -> None:
    dataset, found = made(tmp_path)
    for name, text in found["many-typos"].queries.items():
        before, after = dataset.queries[name].split(), text.split()
        assert len(before) == len(after)
        assert all(abs(len(b) - len(a)) <= 1 for b, a in zip(before, after, strict=True))


def test_variants_are_the_same_each_time_and_can_be_read_back(tmp_path: Path) -> None:
    _, found = made(tmp_path)
    _, again = made(tmp_path)
    assert found == again
    for name, variant in found.items():
        write(variant, tmp_path / name)
        read = load(tmp_path / name)
        assert (read.entries, read.queries, read.judgements) == (variant.entries, variant.queries, variant.judgements)
