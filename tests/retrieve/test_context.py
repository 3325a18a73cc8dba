"""Which hits are shown beside an answer."""

from dataclasses import replace

from rag.records import SearchResult
from rag.retrieve.context import choose
from tests.retrieve.made import made_hits

LONG = "Lime plaster wants three coats, a damp wall and a patient person who can wait for ten days between them."
OTHER = "The boiler shows the fault code E168 when the pipe of the condensate is blocked by ice in a hard winter."


def chosen(count: int, *texts_and_paths: tuple[str, str]) -> list[tuple[int, str, str]]:
    result = SearchResult("q", made_hits(*texts_and_paths), {"fuse": 1.0})
    return [(hit.rank, hit.chunk.text, hit.chunk.path) for hit in choose(result, count).hits]


def test_the_first_few_in_order_ranked_from_one() -> None:
    assert chosen(2, (LONG, "/a"), (OTHER, "/b"), ("Third.", "/c")) == [(1, LONG, "/a"), (2, OTHER, "/b")]


def test_a_copy_is_left_out_and_the_next_moves_up() -> None:
    copy = "FW: " + LONG.replace("coats, a", "coats - a")
    assert chosen(2, (LONG, "/a"), (copy, "/b"), (OTHER, "/c")) == [(1, LONG, "/a"), (2, OTHER, "/c")]


def test_a_longer_text_that_repeats_a_hit_and_adds_to_it_stays() -> None:
    longer = LONG + " " + OTHER
    assert chosen(5, (LONG, "/a"), (longer, "/b")) == [(1, LONG, "/a"), (2, longer, "/b")]
    assert chosen(5, (longer, "/b"), (LONG, "/a")) == [(1, longer, "/b")]


def test_half_of_the_sources_come_from_other_documents_where_there_are_any() -> None:
    hits = [(f"{word} {word} {word}", "/same") for word in ("alpha", "bravo", "charlie", "delta")]
    hits += [(f"{word} {word} {word}", f"/{word}") for word in ("echo", "foxtrot")]
    assert [path for _, _, path in chosen(4, *hits)] == ["/same", "/same", "/echo", "/foxtrot"]
    assert [path for _, _, path in chosen(4, *hits[:4])] == ["/same"] * 4
    assert [path for _, _, path in chosen(4, *hits[:5])] == ["/same", "/same", "/same", "/echo"]


def shown(*paths: str, digests: str = "abcdefgh") -> SearchResult:
    """Hits whose texts differ; those at paths that end in .png are pictures, with a digest each from `digests`."""
    marks = iter(digests)
    hits = [
        replace(hit, chunk=replace(hit.chunk, modality="image", picture=1, text="", digest=next(marks)))
        if hit.chunk.path.endswith(".png")
        else hit
        for hit in made_hits(*((f"{i} {path} {i}", path) for i, path in enumerate(paths)))
    ]
    return SearchResult("q", tuple(hits), {})


def test_pictures_without_text_are_no_copies_of_each_other_unless_they_are_the_same() -> None:
    found = choose(shown("/a.png", "/b.png", "/c.png", digests="aba"), 5)
    assert [hit.chunk.path for hit in found.hits] == ["/a.png", "/b.png"]


def test_half_of_the_sources_are_texts_where_there_are_any() -> None:
    pictures = ("/a.png", "/b.png", "/c.png", "/d.png")
    expected = {
        ("/e.md", "/f.md", "/g.md"): ["/a.png", "/b.png", "/e.md", "/f.md"],
        ("/e.md",): ["/a.png", "/b.png", "/c.png", "/e.md"],
        (): ["/a.png", "/b.png", "/c.png", "/d.png"],
    }
    for texts, paths in expected.items():
        assert [hit.chunk.path for hit in choose(shown(*pictures, *texts), 4).hits] == paths


def test_no_hits_and_no_room() -> None:
    assert chosen(3) == []
    assert chosen(0, (LONG, "/a")) == []


def test_texts_without_spaces() -> None:
    chinese = "石灰抹灰需要三层每层之间要等待十天墙面必须保持潮湿否则会开裂"
    assert len(chosen(5, (chinese, "/a"), (chinese + "。", "/b"))) == 1
