"""The pointer to what searches: one for each embedder, the last two kept, on one clock with the versions."""

from pathlib import Path

import pytest

from rag.store.catalogue import Catalogue


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path / "catalogue.sqlite")


def test_at_first_the_embedder_searches_as_it_came(catalogue: Catalogue) -> None:
    pointers = catalogue.retrievers
    assert (pointers.live("base"), pointers.before("base"), pointers.turn("base")) == ("", None, 0)
    pointers.make_live("base", "")
    assert pointers.before("base") is None, "nothing has changed"


def test_there_and_back_and_there_again(catalogue: Catalogue) -> None:
    pointers = catalogue.retrievers
    pointers.make_live("base", "one")
    assert (pointers.live("base"), pointers.before("base")) == ("one", "")
    pointers.make_live("base", "")
    assert (pointers.live("base"), pointers.before("base")) == ("", "one")
    turn = pointers.turn("base")
    pointers.make_live("base", "")
    assert pointers.turn("base") == turn, "what is live already is not changed"


def test_two_are_kept_and_each_embedder_has_its_own(catalogue: Catalogue) -> None:
    pointers = catalogue.retrievers
    for name in ("one", "two", "three"):
        pointers.make_live("base", name)
    pointers.make_live("other", "four")
    assert (pointers.live("base"), pointers.before("base")) == ("three", "two")
    assert (pointers.live("other"), pointers.before("other")) == ("four", "")
    with catalogue._database.reading() as db:
        kept = {row["name"] for row in db.execute("SELECT name FROM retrievers WHERE base = 'base'")}
    assert kept == {"three", "two"}


def test_versions_and_pointers_are_on_one_clock(catalogue: Catalogue) -> None:
    catalogue.retrievers.make_live("base", "one")
    catalogue.ledger.make_live("lance", "v2")
    assert catalogue.ledger.turn("lance") > catalogue.retrievers.turn("base") > 0
    catalogue.retrievers.make_live("base", "two")
    assert catalogue.retrievers.turn("base") > catalogue.ledger.turn("lance")


def test_another_process_sees_it_at_once(catalogue: Catalogue, tmp_path: Path) -> None:
    other = Catalogue(tmp_path / "catalogue.sqlite")
    assert other.retrievers.live("base") == ""
    catalogue.retrievers.make_live("base", "one")
    assert other.retrievers.live("base") == "one"
    other.close()
