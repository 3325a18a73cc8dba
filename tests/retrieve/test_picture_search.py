"""Words to pictures, pictures to pictures and to passages, in one list: over the exact store."""

import random

import pytest

from rag.embed.hashing import HashingEmbedder
from rag.errors import InvalidQuery
from rag.filters import In, Under
from rag.records import Chunk, Query, SearchResult
from rag.retrieve.search import Searcher
from tests.retrieve.made import WordEyes, album, made_chunk, made_picture, terms

NOTES = [
    "The kettle whistles when the water boils.",
    "Bees swarm in May when the hive is full.",
    "A bicycle chain wants oil after rain.",
    "Water the tomatoes every morning.",
    "The boiler shows the fault code E168 in a hard winter.",
]
THINGS = "boat dog tree house cloud river bridge cat horse tower beach road snow lamp chair window bird stone field car"
Pictures = list[tuple[str, Chunk]]


def photos(count: int) -> Pictures:
    """Pictures without a word, each of three things."""
    rng = random.Random(0)
    shown = [" ".join(rng.sample(THINGS.split(), 3)) for _ in range(count)]
    return [(f"{shows} {i}", made_picture(f"{shows} {i}", f"/photos/{i}.jpg")) for i, shows in enumerate(shown)]


def kite(path: str = "/photos/kite.jpg", **facts: object) -> tuple[str, Chunk]:
    return "orange kite meadow", made_picture("orange kite meadow", path, **facts)  # type: ignore[arg-type]


def searcher_of(notes: list[str], pictures: Pictures, *, eyes: WordEyes | None = None, **more: object) -> Searcher:
    embedder = HashingEmbedder()
    store = album(notes, pictures, embedder, WordEyes(), **more)  # type: ignore[arg-type]
    return Searcher(embedder, store, terms, eyes or WordEyes())


def paths(result: SearchResult) -> list[str]:
    return [hit.chunk.path for hit in result.hits]


# --- words to pictures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crowd", [0, 1, 3, 10, 300])
def test_words_find_the_picture_among_passages_and_say_how_surprising_it_is(crowd: int) -> None:
    result = searcher_of(NOTES, [*photos(crowd), kite()]).search("an orange kite", 5)
    assert paths(result)[0] == "/photos/kite.jpg"
    image = next(by for by in result.hits[0].found_by if by.retriever == "image")
    assert image.rank == 1
    assert image.chance is not None
    assert image.chance < 0.05
    assert {"embed", "text", "bm25", "image", "fuse"} <= set(result.ms)


@pytest.mark.parametrize("crowd", [1, 3, 10, 300])
def test_a_question_about_texts_has_the_list_that_it_had_before_the_pictures_came(crowd: int) -> None:
    before, after = searcher_of(NOTES, []), searcher_of(NOTES, photos(crowd))
    for question in ("When do bees swarm?", "oil for a chain after rain", "What is E168?"):
        assert after.search(question, 5).hits == before.search(question, 5).hits


def test_without_passages_pictures_are_ranked_without_a_gate() -> None:
    wanted = searcher_of(NOTES, photos(30)).search("bees", 30, In("modality", ("image",)))
    alone = searcher_of([], photos(30)).search("bees", 30)
    assert len(wanted.hits) == len(alone.hits) == 30
    assert paths(wanted) == paths(alone)


def test_a_filter_narrows_pictures_and_what_they_are_compared_with() -> None:
    searcher = searcher_of(NOTES, [*photos(300), kite(), kite("/album/kite.jpg", number=2)])
    everywhere = searcher.search("orange kite", 5)
    there = searcher.search("orange kite", 5, Under("/album"))
    assert paths(there) == ["/album/kite.jpg"]
    chances = [next(by.chance for by in r.hits[0].found_by if by.retriever == "image") for r in (everywhere, there)]
    assert chances[0] == pytest.approx(302 * (chances[1] or 0))  # 302 pictures or one


def test_words_in_a_picture_compete_as_any_passage_does() -> None:
    note = ("screen grey", made_picture("screen grey", "/shots/1.png", text="Error 0x80070057 while copying"))
    result = searcher_of(NOTES, [*photos(20), note]).search("0x80070057", 3)
    assert paths(result)[0] == "/shots/1.png"
    assert {by.retriever for by in result.hits[0].found_by} >= {"bm25", "text"}


# --- a picture is given ------------------------------------------------------------------------------------------


def test_a_picture_finds_itself_first_and_what_is_like_it_next() -> None:
    near = ("red kite meadow", made_picture("red kite meadow", "/photos/near.jpg"))
    result = searcher_of(NOTES, [*photos(50), kite(), near]).search(Query(picture=b"orange kite meadow"), 5)
    assert paths(result)[:2] == ["/photos/kite.jpg", "/photos/near.jpg"]
    assert [by.retriever for by in result.hits[0].found_by] == ["likeness"]
    assert result.hits[0].found_by[0].score == pytest.approx(1.0, abs=1e-5)


def test_a_picture_finds_passages_by_the_words_in_it() -> None:
    query = Query(picture=b"display photo", picture_text="FAULT E168")
    result = searcher_of(NOTES, photos(50)).search(query, 5)
    assert paths(result)[0] == "/notes/4.md"


def test_typed_words_count_more_than_the_words_in_the_picture() -> None:
    query = Query("When do bees swarm?", picture=b"display photo", picture_text="FAULT E168")
    result, lists = searcher_of(NOTES, photos(50)).explain(query, 60)
    assert paths(result)[:2] == ["/notes/1.md", "/notes/4.md"]
    assert [ranked.retriever for ranked in lists] == [
        "text", "bm25", "picture_text", "picture_bm25", "image", "likeness",
    ]  # fmt: skip


def test_words_and_picture_together_find_what_neither_finds_alone() -> None:
    both = [
        (f"kite boy {i}", made_picture(f"kite boy {i}", f"/{i}.jpg", caption=month))
        for i, month in enumerate(("May", "June"))
    ]
    searcher = searcher_of(NOTES, [*photos(50), *both])
    assert paths(searcher.search(Query("June", picture=b"kite boy"), 2)) == ["/1.jpg", "/0.jpg"]


# --- more like this ----------------------------------------------------------------------------------------------


def test_more_like_this_leaves_the_picture_out_wherever_it_stands() -> None:
    own, copy = kite(), kite("/notes/trip.md", number=3, caption="Our kite")
    near = ("red kite meadow", made_picture("red kite meadow", "/photos/near.jpg"))
    searcher = searcher_of(NOTES, [*photos(50), own, copy, near])
    result = searcher.search(Query(like=own[1].id), 5)
    assert paths(result)[0] == "/photos/near.jpg"
    assert not {own[1].id, copy[1].id} & {hit.chunk.id for hit in result.hits}
    assert result.hits == searcher.search(Query(like=own[1].document_id), 5).hits  # its document names it as well


def test_more_like_this_by_words_where_nobody_has_looked_at_it() -> None:
    shot = ("screen grey", made_picture("screen grey", "/shots/1.png", text="boiler fault E168"))
    rest = made_chunk("more words of the same screen, boiler fault", "/shots/1.png", 1, picture=1)
    embedder = HashingEmbedder()
    blind = Searcher(embedder, album(NOTES, [shot, ("", rest)], embedder, WordEyes()), terms)
    result = blind.search(Query(like=shot[1].id), 3)
    assert paths(result)[0] == "/notes/4.md"
    assert "/shots/1.png" not in paths(result)
    assert "no image embedder" in result.notes[0]
    unseen = searcher_of(NOTES, [*photos(5), shot], unseen=["/shots/1.png"])
    assert paths(unseen.search(Query(like=shot[1].id), 3))[0] == "/notes/4.md"


def test_like_something_that_is_gone() -> None:
    with pytest.raises(InvalidQuery, match="no-such"):
        searcher_of(NOTES, photos(3)).search(Query(like="no-such"), 3)


# --- the same picture in several places --------------------------------------------------------------------------


def test_the_same_picture_takes_one_place_the_better_one_and_names_the_others() -> None:
    file, shown = kite(), kite("/notes/trip.md", caption="An orange kite over the meadow")
    searcher = searcher_of(NOTES, [*photos(50), file, shown])
    result = searcher.search("orange kite", 10)
    assert paths(result).count("/notes/trip.md") == 1
    assert "/photos/kite.jpg" not in paths(result)
    assert [chunk.path for chunk in result.hits[0].also] == ["/photos/kite.jpg"]
    assert [hit.rank for hit in result.hits] == list(range(1, len(result.hits) + 1))
    assert paths(searcher.search("orange kite", 1, Under("/photos"))) == ["/photos/kite.jpg"]


def test_passages_have_no_digest_and_are_never_taken_for_the_same() -> None:
    twice = searcher_of([NOTES[0], NOTES[0]], photos(3)).search("kettle", 5)
    assert paths(twice)[:2] == ["/notes/0.md", "/notes/1.md"] or paths(twice)[:2] == ["/notes/1.md", "/notes/0.md"]


# --- without eyes ------------------------------------------------------------------------------------------------


def test_an_embedder_that_does_not_load_is_said_and_the_rest_goes_on() -> None:
    searcher = searcher_of(NOTES, photos(10), eyes=WordEyes(broken=True))
    result = searcher.search("When do bees swarm?", 3)
    assert paths(result)[0] == "/notes/1.md"
    assert result.notes == (
        "Pictures are not compared by what they look like: the weights of 'words' are not what they should be",
    )


def test_before_anything_was_looked_at_the_image_embedder_is_left_alone() -> None:
    searcher = searcher_of(NOTES, [kite()], eyes=WordEyes(broken=True), unseen=["/photos/kite.jpg"])
    result, lists = searcher.explain("bees", 3)
    assert result.notes == ()
    assert [ranked.retriever for ranked in lists] == ["text", "bm25"]


def test_a_picture_without_words_and_without_eyes_finds_nothing_and_says_why() -> None:
    embedder = HashingEmbedder()
    result = Searcher(embedder, album(NOTES, [], embedder, WordEyes()), terms).search(Query(picture=b"kite"), 3)
    assert result.hits == ()
    assert len(result.notes) == 1


@pytest.mark.parametrize("query", [Query(), Query("  \n"), Query(picture_text="words")])
def test_nothing_asked(query: Query) -> None:
    with pytest.raises(InvalidQuery, match="empty"):
        searcher_of(NOTES, photos(3)).search(query, 3)


def test_only_punctuation_beside_a_picture_is_no_words() -> None:
    searcher = searcher_of(NOTES, [*photos(10), kite()])
    assert searcher.search(Query("???", b"orange kite meadow"), 3).hits == (
        searcher.search(Query("", b"orange kite meadow"), 3).hits
    )
