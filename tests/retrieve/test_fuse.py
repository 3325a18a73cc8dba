"""Fusion on cases worked by hand, and what must hold for any lists."""

import math
import random
from dataclasses import replace
from itertools import pairwise

import pytest

from rag.retrieve.chance import Background
from rag.retrieve.fuse import NEARNESS, POWER, STANDS_OUT, SURPRISE, WEIGHT, Fused, Leg, fuse

SEEN = Background(centre=0.2, spread=0.02, location=3.0, scale=0.4, sampled=1000, population=1000)


def words(*listed: tuple[str, float], whole: bool = True) -> Leg:
    return Leg("bm25", "bm25", listed, whole=whole)


def vectors(*listed: tuple[str, float], **looked_up: float) -> Leg:
    return Leg("text", "cosine", listed, looked_up)


def pictures(*listed: tuple[str, float], gated: bool = True, **looked_up: float) -> Leg:
    """Words to pictures. By SEEN a cosine of .3 (z = 5) has a chance of exp(-5), .25 is as likely as 1.6 pictures."""
    return Leg("image", "chance", listed, looked_up, background=SEEN, gated=gated)


def likeness(*listed: tuple[str, float], usual: float = 0.5, **looked_up: float) -> Leg:
    return Leg("likeness", "likeness", listed, looked_up, usual=usual)


def ids(fused: list[Fused]) -> list[str]:
    return [hit.id for hit in fused]


def score(fused: list[Fused], name: str) -> float:
    return next(hit.score for hit in fused if hit.id == name)


# --- worked by hand ----------------------------------------------------------------------------------------------


def test_two_lists_by_hand() -> None:
    fused = fuse([vectors(("a", 0.5), ("b", 0.4), ("c", 0.1), d=0.2), words(("d", 9.0), ("a", 3.0))])
    usual = (0.5 + 0.4 + 0.1 + 0.2) / 4  # .3
    contrast = math.sqrt(1 - 3.0 / 9 / 9.0)  # nine ranks behind the first, of which one is 3 and eight are 0
    a = WEIGHT * (0.5 - usual) ** POWER + contrast * 3 / 9
    b = WEIGHT * (0.4 - usual) ** POWER
    d = contrast * 9 / 9
    most = WEIGHT * (0.5 - usual) ** POWER + contrast
    assert ids(fused) == ["d", "a", "b", "c"]
    assert [hit.score for hit in fused] == pytest.approx([d / most, a / most, b / most, 0.0])


def test_who_found_it_where_and_with_what_score() -> None:
    fused = fuse([vectors(("a", 0.5), ("b", 0.4)), words(("b", 9.0))])
    found = {hit.id: [(by.retriever, by.rank, by.score) for by in hit.found_by] for hit in fused}
    assert found == {"a": [("text", 1, 0.5)], "b": [("bm25", 1, 9.0), ("text", 2, 0.4)]}


def test_best_of_every_list_scores_one() -> None:
    fused = fuse([vectors(("a", 0.9), ("b", 0.1)), words(("a", 5.0), ("b", 4.0))])
    assert (fused[0].id, fused[0].score) == ("a", pytest.approx(1.0))


def test_a_flat_list_of_words_counts_less_than_one_that_stands_out() -> None:
    near = vectors(("b", 0.6), *((f"x{i}", 0.3) for i in range(9)), a=0.3)
    flat = words(("a", 5.0), *((f"x{i}", 4.9) for i in range(9)))
    peaked = words(("a", 5.0), *((f"x{i}", 1.0) for i in range(9)))
    assert ids(fuse([near, flat]))[0] == "b"
    assert ids(fuse([near, peaked]))[0] == "a"


def test_flat_cosines_are_not_stretched() -> None:
    """A blind embedder's .31 over .30 must not outweigh the words."""
    blind = vectors(("a", 0.31), ("b", 0.305), ("c", 0.30))
    assert ids(fuse([blind, words(("c", 8.0), ("b", 2.0))]))[0] == "c"


def test_unknown_bm25_is_at_most_the_lowest_listed() -> None:
    near = vectors(("a", 0.4), ("b", 0.4), ("c", 0.4))
    cut = fuse([near, words(("a", 4.0), ("b", 2.0), whole=False)])
    whole = fuse([near, words(("a", 4.0), ("b", 2.0), whole=True)])
    assert score(cut, "c") == pytest.approx(score(cut, "b"))
    assert score(whole, "c") == 0.0


def test_a_third_leg_joins_without_change() -> None:
    pictures = Leg("image", "cosine", [("p", 0.35), ("q", 0.15)])
    fused = fuse([vectors(("a", 0.4), ("b", 0.2)), words(("a", 3.0)), pictures])
    assert set(ids(fused)) == {"a", "b", "p", "q"}
    assert score(fused, "p") > score(fused, "b")
    assert [by.retriever for by in next(hit for hit in fused if hit.id == "p").found_by] == ["image"]


def test_a_picture_that_stands_out_counts_by_how_surprising_it_is() -> None:
    fused = fuse([words(("a", 5.0), ("p", 1.0)), pictures(("p", 0.3), ("q", 0.29))])
    contrast = math.sqrt(1 - 1.0 / 5 / 9.0)
    p = 1 - math.exp(-(5.0 - 3.0) / 0.4) / STANDS_OUT
    q = 1 - math.exp(-(4.5 - 3.0) / 0.4) / STANDS_OUT
    most = contrast + p
    assert ids(fused) == ["p", "a", "q"]
    assert [hit.score for hit in fused] == pytest.approx(
        [(contrast * 1 / 5 + p) / most, contrast / most, q / most], abs=1e-9
    )
    image = next(by for by in fused[0].found_by if by.retriever == "image")
    assert (image.rank, image.score, image.chance) == (1, 0.3, pytest.approx(math.exp(-5.0)))


def test_a_picture_that_does_not_stand_out_does_not_enter() -> None:
    fused = fuse([words(("a", 5.0)), pictures(("p", 0.25), ("q", 0.24))])
    assert ids(fused) == ["a"]
    assert fused == fuse([words(("a", 5.0))])


def test_found_by_its_words_it_is_there_as_any_passage_is_and_its_looks_do_not_count() -> None:
    fused = fuse([words(("a", 5.0), ("p", 4.0)), pictures(("p", 0.25))])
    assert fused == fuse([words(("a", 5.0), ("p", 4.0))])
    assert [by.retriever for by in fused[1].found_by] == ["bm25"]


def test_looks_that_were_only_looked_up_count_too() -> None:
    only_words = fuse([words(("a", 5.0), ("p", 4.9))])
    with_looks = fuse([words(("a", 5.0), ("p", 4.9)), pictures(("q", 0.3), p=0.3)])
    assert (ids(only_words)[0], ids(with_looks)[0]) == ("a", "p")


def test_where_only_pictures_are_wanted_all_of_them_enter_in_the_order_of_their_looks() -> None:
    fused = fuse([pictures(("p", 0.3), ("q", 0.24), ("r", 0.1), ("s", -0.2), gated=False)])
    assert ids(fused) == ["p", "q", "r", "s"]
    assert score(fused, "q") == pytest.approx(
        (1 - (math.exp(-(2.0 - 3.0) / 0.4) / 500) ** SURPRISE) / (1 - (math.exp(-5.0) / 500) ** SURPRISE)
    )


def test_pictures_do_not_change_what_is_usual_among_texts() -> None:
    texts = vectors(("a", 0.5), ("b", 0.4), ("c", 0.1), p=-0.9)
    alone, beside = fuse([texts, words(("a", 2.0))]), fuse([texts, words(("a", 2.0)), pictures(("p", 0.3))])
    ratios = [score(alone, name) / score(alone, "a") for name in "bc"]
    assert [score(beside, name) / score(beside, "a") for name in "bc"] == pytest.approx(ratios)


def test_likeness_goes_from_the_usual_picture_to_the_very_same() -> None:
    fused = fuse([likeness(("same", 1.0), ("near", 0.75), ("usual", 0.5), ("far", 0.2))])
    assert [hit.score for hit in fused] == pytest.approx([1.0, 0.5**NEARNESS, 0.0, 0.0])
    assert ids(fused) == ["same", "near", "usual", "far"]


def test_a_leg_of_half_the_weight() -> None:
    typed = words(("a", 5.0))
    read = Leg("picture_bm25", "bm25", [("b", 50.0)], weight=0.5)
    fused = fuse([typed, read])
    assert [(hit.id, hit.score) for hit in fused] == [("a", pytest.approx(1 / 1.5)), ("b", pytest.approx(0.5 / 1.5))]


# --- edges -------------------------------------------------------------------------------------------------------


def test_nothing_found() -> None:
    assert fuse([]) == []
    assert fuse([vectors(), words()]) == []


def test_one_list_is_empty() -> None:
    listed = [("a", 0.9), ("b", 0.5), ("c", 0.1)]
    assert ids(fuse([vectors(*listed), words()])) == ["a", "b", "c"]
    assert ids(fuse([vectors(), words(*listed)])) == ["a", "b", "c"]


def test_candidates_below_the_background_keep_their_order() -> None:
    assert ids(fuse([vectors(("z", 0.9), ("y", 0.3), ("x", 0.2), ("w", 0.1))])) == ["z", "y", "x", "w"]


def test_one_candidate() -> None:
    assert [(hit.id, hit.score) for hit in fuse([vectors(("a", 0.2))])] == [("a", 1.0)]
    assert [(hit.id, hit.score) for hit in fuse([words(("a", 0.2))])] == [("a", 1.0)]


def test_equal_scores_go_by_rank_then_id() -> None:
    assert ids(fuse([vectors(("b", 0.5), ("a", 0.5))])) == ["b", "a"]
    assert ids(fuse([words(("b", 1.0)), vectors(("a", 0.5), b=0.5)])) == ["b", "a"]
    assert ids(fuse([Leg("one", "bm25", [("b", 1.0)]), Leg("two", "bm25", [("a", 1.0)])])) == ["a", "b"]


def test_scores_of_zero_and_below() -> None:
    fused = fuse([vectors(("a", -0.1), ("b", -0.5)), words(("b", 0.0))])
    assert ids(fused) == ["a", "b"]
    assert all(0 <= hit.score <= 1 for hit in fused)


# --- for any lists -----------------------------------------------------------------------------------------------


def made(seed: int) -> list[Leg]:
    """Random lists of up to 15 of 20 chunks, some of whose other scores are known."""
    rng = random.Random(seed)
    names = [f"c{i:02d}" for i in range(20)]
    legs = []
    gated = rng.random() < 0.5
    for retriever, scale in (("text", "cosine"), ("bm25", "bm25"), ("image", "chance"), ("likeness", "likeness")):
        spread = rng.choice([0.01, 0.3, 1.0])
        low, high = (0.0, 20.0 * spread) if scale == "bm25" else (0.3 - spread / 2, 0.3 + spread / 2)
        chosen = rng.sample(names, rng.randint(0, 15))
        scores = sorted((rng.uniform(low, high) for _ in chosen), reverse=True)
        others = {name: min(scores, default=low) - rng.random() * 0.1 for name in names if rng.random() < 0.7}
        known = {} if scale == "bm25" else {name: s for name, s in others.items() if name not in chosen}
        listed = list(zip(chosen, scores, strict=True))
        background = SEEN if scale == "chance" else None
        weight = rng.choice([1.0, 0.5])
        legs.append(Leg(retriever, scale, listed, known, rng.random() < 0.5, weight, background, gated, 0.3))  # type: ignore[arg-type]
    return legs


@pytest.mark.parametrize("seed", range(60))
def test_every_listed_chunk_once_with_a_score_in_range(seed: int) -> None:
    legs = made(seed)
    fused = fuse(legs)
    assert sorted(ids(fused)) == sorted({name for leg in legs for name, _ in leg.entering()})
    listed = {name for leg in legs for name, _ in leg.listed if leg.scale != "chance" or not leg.gated}
    assert listed <= set(ids(fused))
    assert all(0 <= hit.score <= 1 for hit in fused)
    assert all(first.score >= second.score for first, second in pairwise(fused))


@pytest.mark.parametrize("seed", range(60))
def test_order_of_legs_does_not_matter(seed: int) -> None:
    legs = made(seed)
    assert fuse(legs) == fuse(legs[::-1])


@pytest.mark.parametrize("seed", range(120))
def test_a_better_score_never_costs_a_place(seed: int) -> None:
    legs = made(seed)
    rng = random.Random(seed)
    at = rng.choice([i for i, leg in enumerate(legs) if leg.listed] or [0])
    leg = legs[at]
    if not leg.listed:
        pytest.skip("nothing is listed")
    name, old = rng.choice(leg.listed)
    step = rng.choice([0.001, 0.05, 0.5]) * (abs(old) + 0.01)
    better = sorted([*((n, s) for n, s in leg.listed if n != name), (name, old + step)], key=lambda pair: -pair[1])
    changed = [*legs]
    changed[at] = replace(leg, listed=better)
    before, after = ids(fuse(legs)), ids(fuse(changed))
    if name in before:  # else it is a picture that did not stand out, and may now
        assert after.index(name) <= before.index(name)


def test_a_better_score_never_costs_a_place_in_a_flat_list() -> None:
    """The case that the least contrast is for: ten scores nearly alike, the tenth of them growing."""
    near = vectors(("rival", 0.42), *((f"c{i}", 0.3) for i in range(10)))
    places = []
    for tenth in (9.0, 9.2, 9.4, 9.6, 9.8, 10.0):
        listed = sorted([(f"c{i}", 10.0 - i / 100) for i in range(9)] + [("c9", tenth)], key=lambda pair: -pair[1])
        places.append(ids(fuse([near, words(*listed)])).index("c9"))
    assert places == sorted(places, reverse=True)
