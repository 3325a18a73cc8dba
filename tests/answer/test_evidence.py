"""Which sentences bear on a question: on the model-free embedder, and measured on the real one where data allows."""

import numpy as np
import pytest

from rag.answer.evidence import SentencePool, grams
from rag.answer.sources import numbered
from rag.embed.hashing import HashingEmbedder
from rag.embed.text import TextEmbedder
from rag.models import starter
from rag.protocols import Embedder
from rag.records import Passage
from tests.answer.passages import found_result, passages, picture_hit
from tests.fakes import highlight

BAKERY = "The bakery smells of bread. It was opened by Ana Flores in 1962. Rye needs a long rise. Salt does not hurt."
BOAT = "# Ferries\n\nThe boat is blue. The first ferry leaves at 6:40. Nobody swims here."


def marked(passage: Passage) -> list[str]:
    return [passage.text[e.start - passage.start : e.end - passage.start] for e in passage.evidence]


def test_the_sentence_that_answers_comes_first() -> None:
    bakery, boat = highlight("Who opened the bakery in 1962?", passages(BAKERY, BOAT), HashingEmbedder())
    assert marked(bakery)[0] == "It was opened by Ana Flores in 1962."
    assert len(bakery.evidence) <= 2
    assert bakery.evidence[0].score > max((e.score for e in boat.evidence), default=-1.0)


def test_spans_count_from_the_start_of_the_document() -> None:
    text = "x" * 100 + BAKERY
    (bakery,) = highlight("Who opened it?", passages(BAKERY, start=100), HashingEmbedder())
    assert [text[e.start : e.end] for e in bakery.evidence] == marked(bakery)


def test_weak_sentences_are_left_out() -> None:
    _, boat = highlight("Ana Flores opened the bakery in 1962", passages(BAKERY, BOAT), HashingEmbedder())
    assert boat.evidence == ()


def test_headings_and_list_marks_are_not_evidence() -> None:
    (boat,) = highlight("Ferries", passages("# Ferries\n\n- a\n\n---\n\n1.\n\nFerries are slow."), HashingEmbedder())
    assert marked(boat) == ["Ferries are slow."]
    (only,) = highlight("Ferries", passages("# Ferries"), HashingEmbedder())
    assert marked(only) == ["# Ferries"]


FAULTS = """A fault code stays on the display of the boiler until its cause is gone. Codes are listed here.

| fault code | it means | what to do |
|---|---|---|
| E119 | water pressure too low | fill the system. Then reset. |
| E168 | condensate cannot drain | look for a frozen pipe. Thaw it. |
"""


def test_a_row_of_a_table_is_evidence_by_itself_and_its_head_is_none() -> None:
    (boiler,) = highlight("What does the fault code E168 on the boiler mean?", passages(FAULTS), HashingEmbedder())
    assert marked(boiler)[0] == "| E168 | condensate cannot drain | look for a frozen pipe. Thaw it. |"
    (boiler,) = highlight("What to do: fault code?", passages(FAULTS), HashingEmbedder())
    assert not any("it means" in sentence for sentence in marked(boiler))


@pytest.mark.parametrize("code", ["E168", "RTX-4090", "IMG_0398", "v1.10.2"])
def test_the_code_that_a_question_names_is_told_from_its_like(code: str) -> None:
    near = {"E168": "E169", "RTX-4090": "RTX-4080", "IMG_0398": "IMG_0399", "v1.10.2": "v1.10.1"}[code]
    text = f"The code {near} is meant for people. Green: {code.upper()}. Codes are for people."
    (found,) = highlight(f"What is meant by the code {code}?", passages(text), HashingEmbedder())
    assert marked(found) == [f"Green: {code.upper()}.", f"The code {near} is meant for people."]


@pytest.mark.parametrize("texts", [(), ("",), (" \n ",), ("---",)])
def test_nothing_to_read_is_nothing_found(texts: tuple[str, ...]) -> None:
    given = passages(*texts)
    assert highlight("Who?", given, HashingEmbedder()) == given


@pytest.mark.parametrize("question", ["", "?!", "🦊", "\ud800"])
def test_odd_questions_do_no_harm(question: str) -> None:
    assert len(highlight(question, passages(BAKERY), HashingEmbedder())) == 1


def test_scores_are_the_mean_of_cosine_and_overlap() -> None:
    embedder = HashingEmbedder()
    pool = SentencePool(passages("red apples. blue plums."), embedder)
    scores = pool.scores(["red apples", "none of it"])
    assert scores.shape == (2, 2)
    cosines = (
        embedder.embed(["red apples", "none of it"], "query")
        @ embedder.embed([sentence.embedded for sentence in pool.sentences], "passage").T
    )
    np.testing.assert_allclose(scores[0], [(cosines[0, 0] + 1) / 2, (cosines[0, 1] + 0) / 2], atol=1e-6)


class Counting(HashingEmbedder):
    def __init__(self) -> None:
        super().__init__()
        self.embedded = 0

    def embed(self, texts, kind):  # type: ignore[no-untyped-def]
        self.embedded += len(texts)
        return super().embed(texts, kind)


def test_only_likely_sentences_are_embedded_unless_words_do_not_decide() -> None:
    many = passages(*[" ".join(f"Sentence {i} of {n} says nothing." for i in range(10)) for n in range(5)], BAKERY)
    embedder = Counting()
    highlight("Who opened the bakery in 1962?", many, embedder)
    assert embedder.embedded == 12 + 1
    embedder = Counting()
    highlight("Quibus auxiliis?", many, embedder)
    assert embedder.embedded == 5 * 10 + 4 + 1


def test_grams_meet_over_endings_and_scripts() -> None:
    assert grams("opened") & grams("opening") == {" ope", "open"}
    assert grams("漢字かな") == {"漢字", "字か", "かな"}
    assert grams("a") == {" a "}
    assert grams("") == frozenset()


def test_words_and_captions_of_pictures_are_evidence() -> None:
    receipt = picture_hit(1, "BAKERY FLORES\n\nRye bread 4.20\n\nTOTAL 5.80", caption="Breakfast for two", start=30)
    (passage,) = highlight("What was the total?", numbered(found_result("?", receipt)), HashingEmbedder(), most=1)
    assert marked(passage) == ["TOTAL 5.80"]
    (passage,) = highlight("Breakfast for two", numbered(found_result("?", receipt)), HashingEmbedder(), most=1)
    assert [(e.start, e.end) for e in passage.evidence] == [(30, 30)]  # the picture itself


def test_a_picture_without_words_has_no_evidence() -> None:
    (passage,) = highlight("harbour", numbered(found_result("?", picture_hit(1))), HashingEmbedder())
    assert passage.evidence == ()


@pytest.mark.model
def test_the_real_embedder_reads_the_words_of_a_picture_with_its_caption() -> None:
    real: Embedder = TextEmbedder(starter.embedder_folder(), name=starter.EMBEDDER_NAME, device="cpu")
    dinner, taxi = (
        picture_hit(1, "30.90 EUR\n12 May", caption="Dinner at Luigi's with Ada"),
        picture_hit(2, "18.50 EUR\n12 May", caption="Taxi to the station"),
    )
    found = highlight("How much was the meal in the restaurant?", numbered(found_result("?", dinner, taxi)), real)
    best = max(((e.score, p.number) for p in found for e in p.evidence), default=None)
    assert best is not None
    assert best[1] == 1


@pytest.mark.model
def test_the_real_embedder_finds_what_words_do_not() -> None:
    real: Embedder = TextEmbedder(starter.embedder_folder(), name=starter.EMBEDDER_NAME, device="cpu")
    text = "Grandmother kept her recipes in a tin. The automobile broke down near Lyon. We ate late and slept well."
    (passage,) = highlight("Where did our car stop working?", passages(text), real)
    assert marked(passage)[0] == "The automobile broke down near Lyon."


@pytest.mark.model
def test_the_real_embedder_finds_the_row_of_a_pdf_in_which_a_code_stands() -> None:
    """PDFs give a table line by line."""
    real: Embedder = TextEmbedder(starter.embedder_folder(), name=starter.EMBEDDER_NAME, device="cpu")
    rows = [line.replace("|", "").strip() for line in FAULTS.splitlines()[4:]]
    text = "\n\n".join([FAULTS.splitlines()[0], "code meaning what to do", *rows])
    (passage,) = highlight("What does the fault code E168 on the boiler mean?", passages(text), real)
    assert marked(passage)[0].startswith("E168  condensate cannot drain")
