import random
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from rag.ingest.chunk import chunk, embedding_text
from rag.records import Chunk, Document, Heading, Page

Tokenize = Callable[[str], list[tuple[int, int]]]


def document(text: str, title: str = "", **facts: object) -> Document:
    made = Document("d" * 32, "/notes/a.md", "5" * 64, "note", "text/markdown", title, text, language="en")
    return replace(made, **facts)  # type: ignore[arg-type]


def texts(chunks: list[Chunk]) -> list[str]:
    return [each.text for each in chunks]


def assert_sound(source: Document, chunks: list[Chunk], tokenize: Tokenize, max_tokens: int) -> None:
    assert all(source.text[c.start : c.end] == c.text for c in chunks)
    assert all(c.text == c.text.strip() != "" for c in chunks)
    assert all(len(tokenize(embedding_text(c))) <= max_tokens for c in chunks)
    assert len({c.id for c in chunks}) == len(chunks)
    assert [c.ordinal for c in chunks] == list(range(len(chunks)))
    kept = "".join(texts(chunks))
    assert "".join(kept.split()) == "".join(source.text.split())
    for page in source.pages:
        inside = [c for c in chunks if c.page == page.number]
        assert all(page.start <= c.start < c.end <= page.end for c in inside)


ALPHABET = [
    "word ", "several plain words here ", "end. ", "Really? ", "\n", "\n\n", "\n\n\n", "\n- item ", "\n# ", "日本語",
    "我们。", "é😀", "ñandú ", "\u200b", "\u00a0", "\u3000", "\x1f", "\x85", "\u2028", "a\u0301" * 5, "x" * 40,
    "x" * 150, "y" * 700, "RTX-4090 ", "।", "ภาษาไทย", "한국어 ", "ﷺ", "�", "\t", " " * 90, "…", "🏳️‍🌈",
    "foo_bar(baz); ", "ſ", "İ", "𝔘", "㎏",
]  # fmt: skip


def random_document(seed: int) -> Document:
    dice = random.Random(seed)
    pages, headings, text = [], [], ""
    for number in range(1, dice.choice([1, 1, 3, 6]) + 1):
        start = len(text)
        for _ in range(dice.randrange(0, 120)):
            if dice.random() < 0.05:
                headings.append(Heading(dice.randrange(1, 7), dice.choice(["Soup", "日本" * 50, "h" * 500]), len(text)))
                text += "# Soup\n"
            text += dice.choice(ALPHABET)
        pages.append(Page(number, start, len(text)))
        text += dice.choice(["", "\f", "between "])
    title = dice.choice(["", "A title", "long title " * 60, "東京" * 200, "z" * 1000])
    return document(text, title, pages=tuple(pages) if dice.random() < 0.7 else (), headings=tuple(headings))


@pytest.mark.parametrize("max_tokens", [8, 32, 200])
@pytest.mark.parametrize("seed", range(40))
def test_any_document_is_cut_soundly(seed: int, max_tokens: int, minilm: Tokenize) -> None:
    source = random_document(seed)
    chunks = chunk(source, minilm, max_tokens)
    assert_sound(source, chunks, minilm, max_tokens)
    assert chunk(source, minilm, max_tokens) == chunks


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t\f ",
        "x" * 100_000,
        "日" * 20_000,
        "\u200b" * 20_000,
        "a" + " " * 200_000 + "b",
        "é" * 99 + " " + "é" * 101,
        "👩‍👩‍👧‍👦" * 2_000,
        "\n".join(["| a | b |"] * 2_000),
        "-" * 50_000,
        "a\x1fb" * 5_000,
        ("y" * 49_999 + " ") * 3,
    ],
    ids=lambda text: repr(text[:8]),
)
def test_adversarial_text_is_cut_soundly(text: str, minilm: Tokenize) -> None:
    source = document(text, "A title")
    assert_sound(source, chunk(source, minilm, 200), minilm, 200)


def test_a_short_document_is_one_chunk(words: Tokenize) -> None:
    [only] = chunk(document("  one two three\n", "Title"), words, 8)
    assert (only.text, only.start, only.end, only.title) == ("one two three", 2, 15, "Title")
    assert embedding_text(only) == "Title\none two three"


def test_an_empty_document_has_no_chunks(words: Tokenize) -> None:
    assert chunk(document(" \n "), words, 8) == []


def test_paragraphs_stay_whole_where_they_fit(words: Tokenize) -> None:
    first, second, third = "a " * 6, "b " * 5, "c " * 6  # 6 + 5 words fit 12, and 6 more do not
    chunks = chunk(document(f"{first}\n\n{second}\n\n{third}"), words, 12)
    assert texts(chunks) == [f"{first}\n\n{second}".strip(), third.strip()]


def test_a_long_paragraph_is_cut_between_sentences(words: Tokenize) -> None:
    text = "One two three four. Five six seven eight. Nine ten eleven twelve."
    assert texts(chunk(document(text), words, 9)) == [
        "One two three four. Five six seven eight.",
        "Nine ten eleven twelve.",
    ]


def test_a_tiny_remainder_is_avoided_by_sharing(words: Tokenize) -> None:
    text = " ".join(["One two three four five."] * 4)  # 20 words: 16 and 4 at most, so 3/5 of 20 = 12 at most first
    assert [len(piece.split()) for piece in texts(chunk(document(text), words, 16))] == [10, 10]


def test_a_long_sentence_is_cut_between_words(words: Tokenize) -> None:
    text = " ".join(["w"] * 100)
    assert [len(piece.split()) for piece in texts(chunk(document(text), words, 16))] == [16, 16, 16, 16, 16, 12, 8]


def test_a_chunk_ends_with_its_section(words: Tokenize) -> None:
    body = "w " * 10
    text = f"# One\n{body}\n# Two\n{body}"
    headings = (Heading(1, "One", 0), Heading(1, "Two", text.index("# Two")))
    chunks = chunk(document(text, headings=headings), words, 40)
    assert [(c.headings, c.text.split()[:2]) for c in chunks] == [(("One",), ["#", "One"]), (("Two",), ["#", "Two"])]


def test_a_heading_with_nothing_under_it_goes_with_the_next_section(words: Tokenize) -> None:
    text = "# Book\n\n## Soup\n\n" + "w " * 10
    headings = (Heading(1, "Book", 0), Heading(2, "Soup", text.index("## Soup")))
    [only] = chunk(document(text, headings=headings), words, 40)
    assert only.headings == ("Book", "Soup")
    assert only.text == text.strip()


def test_white_space_before_a_heading_does_not_hide_it(words: Tokenize) -> None:
    [only] = chunk(document("\n---\n# Soup\nhot", headings=(Heading(1, "Soup", 5),)), words, 40)
    assert only.headings == ("Soup",)


def test_a_tiny_section_joins_the_next_under_what_they_share(words: Tokenize) -> None:
    text = "# Book\nsome words of its own here, eight or more of them\n## A\none\n## B\n" + "w " * 10
    headings = (Heading(1, "Book", 0), Heading(2, "A", text.index("## A")), Heading(2, "B", text.index("## B")))
    first, second = chunk(document(text, headings=headings), words, 80)
    assert first.headings == ("Book",)
    assert (second.headings, second.text.split()[:5]) == (("Book",), ["##", "A", "one", "##", "B"])


def test_heading_paths_follow_levels_and_cross_pages(words: Tokenize) -> None:
    text = "A\nx x x x x\nB\ny y y y y\n" + "z " * 5
    third = text.index("z")
    headings = (Heading(1, "A", 0), Heading(3, "B", text.index("B")))
    chunks = chunk(document(text, pages=(Page(1, 0, third), Page(2, third, len(text))), headings=headings), words, 32)
    assert [(c.page, c.headings) for c in chunks] == [(1, ("A",)), (1, ("A", "B")), (2, ("A", "B"))]


def test_no_chunk_crosses_a_page(words: Tokenize) -> None:
    text = "one two three four"
    chunks = chunk(document(text, pages=(Page(1, 0, 8), Page(2, 8, 18))), words, 100)
    assert [(c.page, c.text) for c in chunks] == [(1, "one two"), (2, "three four")]


def test_the_context_takes_at_most_a_quarter(words: Tokenize) -> None:
    title, deep = " ".join(["t"] * 30), "a b c"
    text = "w " * 100
    source = document(text, title, headings=(Heading(1, "outer " * 20, 0), Heading(2, deep, 0)))
    chunks = chunk(source, words, 40)
    assert all(len(words(c.context)) <= 10 for c in chunks)
    assert chunks[0].headings == (deep,)  # the nearest heading is kept, the title shortened
    assert chunks[0].title.endswith("…")
    assert_sound(source, chunks, words, 40)


def test_a_title_that_fits_is_kept_whole(words: Tokenize) -> None:
    assert chunk(document("w " * 100, "five words of a title"), words, 40)[0].title == "five words of a title"


def test_the_facts_of_the_document_ride_along(words: Tokenize) -> None:
    [only] = chunk(document("one", tags=("x",)), words, 8)
    assert (only.document_id, only.version, only.path, only.kind, only.tags, only.language) == (
        "d" * 32, "5" * 64, "/notes/a.md", "note", ("x",), "en",
    )  # fmt: skip


def test_too_small_a_limit_is_refused(words: Tokenize) -> None:
    with pytest.raises(ValueError, match="at least 8"):
        chunk(document("one"), words, 7)


@pytest.mark.slow
def test_five_megabytes_take_seconds(minilm: Tokenize) -> None:
    text = "The quick brown fox jumps over the lazy dog. Pack my box with five dozen jugs.\n\n" * 62_500
    started = time.process_time()
    chunks = chunk(document(text, "A title"), minilm, 200)
    assert time.process_time() - started < 60  # 5 s when idle
    assert len(chunks) > 5_000
