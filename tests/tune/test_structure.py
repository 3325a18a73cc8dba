"""Names of passages: which are learnt from, how sure they make, and which name nothing."""

from rag.tune.records import Excerpt
from rag.tune.structure import Kind, Naming, pairs_from_structure


def naming(words: str, document: str = "d", kind: Kind = "heading", text: str = "Some text.") -> Naming:
    return Naming(kind, words, Excerpt(f"chunk of {document}", text, document), 7.0)


def test_a_name_and_its_passage_are_a_pair_with_its_kinds_weight() -> None:
    found = pairs_from_structure([naming("Bleeding the radiators"), naming("the oil boiler", kind="link")])
    assert {(pair.query, pair.weight) for pair in found.pairs} == {
        ("Bleeding the radiators", 0.2),
        ("the oil boiler", 0.5),
    }
    assert all((pair.source, pair.time, pair.negatives) == ("structure", 7.0, ()) for pair in found.pairs)
    assert found.kinds == {"heading": 1, "link": 1}


def test_of_two_ways_to_say_the_same_the_surer_counts() -> None:
    found = pairs_from_structure([naming("The Boiler", kind="title"), naming("the boiler", kind="link")])
    [pair] = found.pairs
    assert pair.weight == 0.5
    assert found.kinds == {"link": 1}


def test_a_name_that_many_documents_share_names_none() -> None:
    shared = [naming("Introduction", f"doc {n}") for n in range(4)]
    found = pairs_from_structure([*shared, *(naming("Prices", f"doc {n}") for n in range(3))])
    assert {pair.query for pair in found.pairs} == {"Prices"}
    assert found.dropped == {"a name that many documents share": 4}


def test_what_is_no_name_is_left_out() -> None:
    names = [naming("--"), naming("ab"), naming("x" * 201), naming("A passage that says nothing", text=" * ")]
    found = pairs_from_structure(names)
    assert found.pairs == ()
    assert found.dropped == {"too short or too long": 3, "a passage without words": 1}


def test_a_subject_is_what_stands_behind_the_marks_of_an_answer() -> None:
    found = pairs_from_structure([naming("AW: Re: The roof", kind="subject"), naming("Re: as it is", "other")])
    assert {pair.query for pair in found.pairs} == {"The roof", "Re: as it is"}
