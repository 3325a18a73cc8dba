"""How sentences stand against the sources: cases by hand, on what the starter embedder and the model-free one see."""

import pytest

from rag.answer.evidence import SentencePool
from rag.answer.ground import Judge, Verdict, claims
from rag.embed.hashing import HashingEmbedder
from rag.records import Passage
from tests.answer.passages import hit, passages

SOURCES = (
    "The bakery smells of bread. It was opened by Ana Flores on 5 March 1962. She hired Otto Brandt in 1970.",
    "The Panthers defense gave up just 308 points, while also leading the league in interceptions with 24. "
    "Kawann Short led the team in sacks with 11. Jared Allen had 136 in his career.",
    "The ferry does not run on Sundays. It cost 1,000 crowns. Dogs travel free of charge.",
    "Die Fähre fährt um 6:40 Uhr von Hamburg ab. Im Winter bleibt sie im Hafen.",
    "Лев Толстой родился в 1828 году в Ясной Поляне.",
)


def judged(claim: str, *within: int, sources: tuple[Passage, ...] | None = None) -> Verdict:
    given = passages(*SOURCES) if sources is None else sources
    pool = SentencePool(given, HashingEmbedder())
    return Judge(pool).verdict(claim, pool.scores([claim])[0] if pool.sentences else None, within)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "claim",
    [
        "It was opened by Ana Flores on 5 March 1962.",
        "Ana Flores opened the bakery on 1962-03-05.",
        "The bakery was opened by Ana Flores in 1962.",
        "It was opened by Ana Flores in March 1962.",
        "Ana Flores hired Otto Brandt in 1970.",  # "she" of the source is named a sentence before
        "Otto Brandt was hired in 1970.",
        "The defense of the Panthers gave up 308 points.",
        "The Panthers gave up 308 points and had 24 interceptions.",
        "Kawann Short led the team with eleven sacks.",
        "The ferry doesn't run on Sundays.",
        "It cost 1000 crowns.",
        "1. Dogs travel free of charge.",  # the number of a list item is no claim
        "“It was opened by Ana Flores on 5 March 1962.”",
        "“It was opened … on 5 March 1962.”",
        "Die Fähre fährt um 6:40 Uhr ab.",
        "Лев Толстой родился в 1828 году.",
        "308 points.",
    ],
)
def test_what_the_sources_say_is_supported(claim: str) -> None:
    verdict = judged(claim)
    assert (verdict.support, verdict.reasons) == ("supported", ())


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ("It was opened by Ana Flores in 1963.", "“1963” stands in no source"),
        ("It was opened by Ana Flores on 6 March 1962.", "“6 March 1962” stands in no source"),
        ("It was opened by Bob Miller on 5 March 1962.", "“Bob” stands in no source"),
        ("Napoleon hired Otto Brandt in 1970.", "“Napoleon” stands in no source"),
        ("It cost 10,000 crowns.", "“10,000” stands in no source"),
        ("The Panthers gave up 309 points.", "“309” stands in no source"),
        ("Die Fähre fährt um 7:40 Uhr von Hamburg ab.", "“7:40” stands in no source"),
        ("Лев Толстой родился в 1829 году.", "“1829” stands in no source"),
        ("The moon is made of green cheese.", "no source says anything like it"),
    ],
)
def test_what_stands_in_no_source_is_unsupported(claim: str, reason: str) -> None:
    verdict = judged(claim)
    assert verdict.support == "unsupported"
    assert reason in verdict.reasons


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        # numbers and names that are there, but not so
        ("The Panthers gave up 24 points, with 308 interceptions.", "the source says “308 points”, not “24 points”"),
        ("Jared Allen led the team in sacks with 11.", "“Jared” does not stand where the source says this"),
        ("Kawann Short led the team in sacks with 136.", "“136” does not stand where the source says this"),
        ("It was opened by Kawann Short on 5 March 1962.", "“Short” stands in another source"),
        # negation
        ("The ferry runs on Sundays.", "the source and this sentence differ in what they deny"),
        ("Dogs do not travel free of charge.", "the source and this sentence differ in what they deny"),
        # quotations
        ("“It was opened by Ana Flores and her sister.”", "the words in quotation marks do not stand in the source"),
        # one half of it
        (
            "Dogs travel free of charge, because the captain likes animals and pets.",
            "not all of it stands in the source",
        ),
    ],
)
def test_what_stands_there_otherwise_is_supported_in_part(claim: str, reason: str) -> None:
    verdict = judged(claim)
    assert verdict.support == "partly"
    assert reason in verdict.reasons


def test_word_for_word_is_supported_whatever_marks_of_quotation_there_are() -> None:
    given = passages('The so-called "Sky" bridge, of U.S. steel, is 40 m long. Dogs are not allowed on the bridge.')
    for claim in (
        '“The so-called "Sky" bridge, of U.S. steel, is 40 m long.”',
        "bridge, of U.S. steel, is 40 m long.”",
    ):
        assert judged(claim, sources=given).support == "supported"
    assert judged("Allowed on the bridge.", sources=given).support == "partly"  # word for word, but denied


def test_names_that_changed_places_around_a_verb() -> None:
    given = passages("In the end Ana Flores sued the baker Otto Brandt for damages.")
    verdict = judged("In the end Otto Brandt sued the baker Ana Flores for damages.", sources=given)
    assert verdict.support == "partly"
    assert any(reason.endswith("have changed places") for reason in verdict.reasons)
    same = judged("Otto Brandt was sued for damages by Ana Flores.", sources=given)  # passive: nobody changed places
    assert same.support == "supported"


def test_only_the_cited_passages_count() -> None:
    assert judged("It was opened by Ana Flores on 5 March 1962.", 1).support == "supported"
    assert judged("It was opened by Ana Flores on 5 March 1962.", 3).support == "unsupported"
    assert judged("It was opened by Ana Flores on 5 March 1962.", 3, 1).support == "supported"


def test_a_date_may_stand_in_the_title_of_a_passage() -> None:
    given = passages("The ferry was late again.")
    assert judged("The ferry was late again on Title 1.", sources=given).support == "supported"


def test_a_verdict_names_the_sentence_it_rests_on() -> None:
    sentence = judged("Kawann Short led the team with eleven sacks.").sentence
    assert sentence is not None
    assert (sentence.number, sentence.text) == (2, "Kawann Short led the team in sacks with 11.")


def test_without_any_sentence_nothing_is_supported() -> None:
    for given in ((), passages("", " ")):
        assert judged("The bakery is open.", sources=given) == Verdict(
            "unsupported", ("no source says anything like it",), None
        )


@pytest.mark.parametrize(
    ("sentence", "says"),
    [
        ("The bakery is open.", True),
        ("308.", True),
        ("Is the bakery open?", False),
        ("营业吗？", False),
        ("These are the hours:", False),
        ("The sources do not say when the bakery opens.", False),
        ("Die Quellen sagen dazu nichts.", False),
        ("I don't know.", False),
        ("…", False),
        ("", False),
    ],
)
def test_which_sentences_claim_anything(sentence: str, says: bool) -> None:
    assert claims(sentence) is says


def test_a_huge_sentence_is_judged_too() -> None:
    assert judged("The ferry does not run on Sundays. " * 300).support in ("supported", "partly", "unsupported")


def test_a_german_noun_is_no_name() -> None:
    given = tuple(
        Passage(1, h, h.chunk.text, 0, len(h.chunk.text))
        for h in [hit(1, "Die Bäckerei wurde 1962 von Ana Flores eröffnet.", language="de")]
    )
    assert judged("Ana Flores eröffnete 1962 die Bäckerei im Ort.", sources=given).support == "supported"
    assert judged("Die Bäckerei wurde 1962 von Bob Müller eröffnet.", sources=given).support == "unsupported"
