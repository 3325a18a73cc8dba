"""Pictures as chunks: one each, with words, caption and surroundings within the limit, and what does not fit behind."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from rag.ingest.chunk import chunk, embedding_text, says_something
from rag.records import Box, Chunk, Document, Heading, Kind, OcrLine, Page, Picture

Tokenize = Callable[[str], list[tuple[int, int]]]

BOX = Box(0.1, 0.2, 0.5, 0.6)


def document(text: str, pictures: Sequence[Picture] = (), kind: Kind = "note", **facts: object) -> Document:
    made = Document("d" * 32, "/notes/a.md", "5" * 64, kind, "text/markdown", "", text, language="en")
    return replace(made, pictures=tuple(pictures), **facts)  # type: ignore[arg-type]


def shown(number: int, start: int, end: int, at: int | None = None, **facts: object) -> Picture:
    made = Picture(number, f"{number:064}", 100, 100, start, end, start if at is None else at)
    return replace(made, **facts)  # type: ignore[arg-type]


def assert_sound(source: Document, chunks: list[Chunk], tokenize: Tokenize, max_tokens: int) -> None:
    """What `rag verify` checks, and what `chunk` promises of pictures."""
    assert [each.ordinal for each in chunks] == list(range(len(chunks)))
    assert len({each.id for each in chunks}) == len(chunks)
    assert all(source.text[each.start : each.end] == each.text == each.text.strip() for each in chunks)
    assert all(len(tokenize(embedding_text(each))) <= max_tokens for each in chunks)
    images = [each for each in chunks if each.modality == "image"]
    assert sorted(each.picture or 0 for each in images) == sorted(each.number for each in source.pictures)
    assert all(each.text for each in chunks if each.modality == "text")
    kept = "".join("".join(each.text.split()) for each in chunks)
    assert kept == "".join(source.text.split())
    for picture in source.pictures:
        own = [each for each in chunks if each.picture == picture.number]
        assert own[0].modality == "image"
        assert all(each.modality == "text" for each in own[1:])
        assert all(picture.start <= each.start <= each.end <= picture.end for each in own)
        assert {each.digest for each in own[1:]} <= {""}
        assert own[0].digest == picture.digest
    words = [(picture.start, picture.end) for picture in source.pictures if picture.start < picture.end]
    for each in chunks:
        if each.picture is None:
            assert not any(start < each.end and each.start < end for start, end in words)


def test_a_picture_without_words_is_a_chunk_without_text(words: Tokenize) -> None:
    source = document("Before.\n\nBehind.", [shown(1, 8, 8, caption="A kettle", around="Before. Behind.")])
    chunks = chunk(source, words, 20)
    assert_sound(source, chunks, words, 20)
    image = next(each for each in chunks if each.modality == "image")
    assert (image.text, image.start, image.end, image.caption) == ("", 8, 8, "A kettle")
    assert embedding_text(image) == "A kettle\nBefore. Behind."


def test_the_words_in_a_picture_are_in_its_chunk_and_in_no_other(words: Tokenize) -> None:
    text = "# Note\n\nwords of the note\n\nIN THE PICTURE\n\nIN THE OTHER"
    start, second = text.index("IN THE PICTURE"), text.index("IN THE OTHER")
    pictures = [shown(1, start, start + 14, at=8), shown(2, second, len(text), at=9)]
    source = document(text, pictures, headings=(Heading(1, "Note", 0),))
    chunks = chunk(source, words, 20)
    assert_sound(source, chunks, words, 20)
    assert [(each.modality, each.text.split()[0], each.headings) for each in chunks] == [
        ("text", "#", ("Note",)), ("image", "IN", ("Note",)), ("image", "IN", ("Note",)),
    ]  # fmt: skip


def test_text_on_both_sides_of_a_picture_is_not_joined_over_it(words: Tokenize) -> None:
    text = "tiny\n\nPICTURE WORDS HERE\n\nthe rest of the page goes on"
    start = text.index("PICTURE")
    source = document(text, [shown(1, start, start + 18)], pages=(Page(1, 0, len(text)),))
    chunks = chunk(source, words, 100)
    assert_sound(source, chunks, words, 100)
    assert [each.text for each in chunks] == ["tiny", "PICTURE WORDS HERE", "the rest of the page goes on"]
    assert [each.page for each in chunks if each.modality == "text"] == [1, 1]


def test_more_words_than_fit_go_on_in_chunks_of_text(words: Tokenize) -> None:
    text = "note\n\n" + " ".join(f"w{number}" for number in range(100))
    source = document(text, [shown(1, 6, len(text), at=0, caption="A sign", around="by the road")])
    chunks = chunk(source, words, 20)
    assert_sound(source, chunks, words, 20)
    own = [each for each in chunks if each.picture == 1]
    assert [each.modality for each in own][:2] == ["image", "text"]
    assert len(own) >= 5
    assert (own[0].caption, own[0].around) == ("A sign", "by the road")
    assert {(each.caption, each.around) for each in own[1:]} == {("", "")}


def test_two_pictures_at_one_place_are_two_chunks(words: Tokenize) -> None:
    source = document("one place", [shown(number, 4, 4, caption=f"c{number}") for number in (1, 2, 3)])
    chunks = chunk(source, words, 20)
    assert_sound(source, chunks, words, 20)
    assert [each.caption for each in chunks if each.modality == "image"] == ["c1", "c2", "c3"]


def test_caption_and_surroundings_are_shortened_and_get_what_is_left(words: Tokenize) -> None:
    long = " ".join(["long"] * 100)
    text = " ".join(["seen"] * 100)
    with_words = document(text, [shown(1, 0, len(text), caption=long, around=long)])
    chunks = chunk(with_words, words, 40)
    assert_sound(with_words, chunks, words, 40)
    first = chunks[0]
    assert [len(words(part)) for part in (first.caption, first.around)] == [10, 10]  # a quarter each
    assert 15 <= len(words(first.text)) <= 20
    without = document("x", [shown(1, 1, 1, caption=long, around=long)])
    image = chunk(without, words, 40)[-1]
    assert [len(words(part)) for part in (image.caption, image.around)] == [10, 30]


def test_the_headings_above_the_place_where_it_is_shown_are_its_own(words: Tokenize) -> None:
    text = "# A\nx x x x\n# B\ny y y y\n\nSEEN"
    headings = (Heading(1, "A", 0), Heading(1, "B", text.index("# B")))
    source = document(text, [shown(1, len(text) - 4, len(text), at=5)], headings=headings)
    image = next(each for each in chunk(source, words, 40) if each.modality == "image")
    assert image.headings == ("A",)


def test_regions_of_a_scanned_page_are_those_of_the_lines_in_each_chunk(words: Tokenize) -> None:
    lines = ["one two three four", "five six seven eight", "nine ten eleven twelve"]
    text = "\n".join(lines)
    boxes = [Box(0.1, 0.1, 0.5, 0.2), Box(0.2, 0.3, 0.6, 0.4), Box(0.05, 0.5, 0.4, 0.6)]
    starts = [text.index(each) for each in lines]
    read = tuple(
        OcrLine(start, start + len(each), box, 0.9) for start, each, box in zip(starts, lines, boxes, strict=True)
    )
    source = document(text, pages=(Page(3, 0, len(text), read),), kind="pdf")
    assert [each.region for each in chunk(source, words, 8)] == [
        Box(0.1, 0.1, 0.6, 0.4),
        boxes[2],
    ]
    typed = document(text, pages=(Page(3, 0, len(text)),), kind="pdf")
    assert {each.region for each in chunk(typed, words, 8)} == {None}


def test_regions_of_pictures(words: Tokenize) -> None:
    text = " ".join(f"w{number}" for number in range(30))
    half = text.index("w15")
    lines = (OcrLine(0, half - 1, Box(0, 0, 1, 0.5), 0.9), OcrLine(half, len(text), Box(0, 0.5, 1, 1), 0.9))
    photo = document(text, [shown(1, 0, len(text), lines=lines)], kind="image")
    whole, *rest = chunk(photo, words, 16)
    assert whole.region is None  # all of it
    assert rest[-1].region == lines[1].box
    figure = document(text, [shown(1, 0, len(text), lines=lines, page=1, box=BOX)], kind="pdf")
    assert {each.region for each in chunk(figure, words, 16)} == {BOX}


@pytest.mark.parametrize(
    ("kind", "title", "picture", "said"),
    [
        ("image", "IMG_2041", {}, False),
        ("image", "Screenshot from 2024-05-06 at 10.11.12", {}, False),
        ("image", "image (3)", {}, False),
        ("image", "roses by the door", {}, True),
        ("image", "IMG_2041", {"caption": "roses"}, True),
        ("image", "IMG_2041", {"around": "roses"}, True),
        ("note", "Garden", {}, False),
        ("pdf", "Garden", {"around": "roses"}, True),
    ],
)
def test_whether_a_picture_says_something(
    kind: Kind, title: str, picture: dict[str, str], said: bool, words: Tokenize
) -> None:
    source = document("", [shown(1, 0, 0, **picture)], kind, title=title)
    [image] = chunk(source, words, 40)
    assert says_something(image) is said


def test_a_picture_under_a_heading_says_something(words: Tokenize) -> None:
    source = document("# Roses\n\n", [shown(1, 9, 9)], title="Garden", headings=(Heading(1, "Roses", 0),))
    assert says_something(chunk(source, words, 40)[-1])


WORDS = ["word ", "several plain words ", "END. ", "\n", "\n\n", "日本語", "x" * 60, "😀", "\u200b", " " * 40, "naïve "]


def random_document(seed: int) -> Document:
    dice = random.Random(seed)

    def prose(most: int) -> str:
        return "".join(dice.choice(WORDS) for _ in range(dice.randrange(most)))

    text, pages, pictures, headings = "", [], [], []
    for number in range(1, dice.randrange(2, 5)):
        start = len(text)
        if dice.random() < 0.5:
            headings.append(Heading(dice.randrange(1, 4), dice.choice(["Soup", "h " * 200]), len(text)))
        text += prose(80)
        for _ in range(dice.randrange(4)):
            at = dice.randrange(start, len(text) + 1)
            seen = prose(dice.choice([3, 150])) if dice.random() < 0.7 else ""
            begin = len(text) + 2 if seen else at
            text += f"\n\n{seen}" if seen else ""
            facts = {"caption": prose(dice.choice([1, 90])), "around": prose(dice.choice([1, 90])), "page": number}
            pictures.append(shown(len(pictures) + 1, begin, begin + len(seen), at=at, **facts))
            text += dice.choice(["", "\n\n", "behind it "])
        pages.append(Page(number, start, len(text)))
        text += "\n\n"
    return document(
        text,
        pictures,
        title=dice.choice(["", "A title", "long " * 200]),
        pages=tuple(pages) if dice.random() < 0.7 else (),
        headings=tuple(headings),
    )


@pytest.mark.parametrize("max_tokens", [8, 32, 200])
@pytest.mark.parametrize("seed", range(40))
def test_any_document_with_pictures_is_cut_soundly(seed: int, max_tokens: int, minilm: Tokenize) -> None:
    source = random_document(seed)
    chunks = chunk(source, minilm, max_tokens)
    assert_sound(source, chunks, minilm, max_tokens)
    assert chunk(source, minilm, max_tokens) == chunks


def test_many_pictures_pages_and_headings_take_little_time(words: Tokenize) -> None:
    import time

    pages, pictures, headings, text = [], [], [], ""
    for number in range(1, 2001):
        start = len(text)
        headings.append(Heading(1, f"Part {number}", start))
        text += "some words of this page " * 5
        if number % 4 == 0:
            pictures.append(shown(len(pictures) + 1, len(text) + 1, len(text) + 10, at=start, page=number))
            text += "\nWORDS IN."
        pages.append(Page(number, start, len(text)))
        text += "\n\n"
    source = document(text, pictures, pages=tuple(pages), headings=tuple(headings))
    started = time.process_time()
    chunks = chunk(source, words, 100)
    assert time.process_time() - started < 20  # .2 s when idle
    assert len(chunks) == 2500
