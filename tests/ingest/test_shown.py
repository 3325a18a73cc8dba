"""The pictures of notes and web pages: which are meant, where they may lie, and what becomes of them."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from rag import pictures
from rag.ingest import shown
from rag.ingest.clock import limited_to
from rag.ingest.options import ReadOptions
from rag.ingest.read_note import NoteReader
from rag.ingest.read_web import WebReader
from rag.ingest.readers import build_ocr
from rag.ingest.shown import with_shown_pictures
from rag.records import Document, Picture, Source
from tests.ingest.drawn import FixedOcr, HandClock, SlowOcr, encoded, picture

NO_OCR = ReadOptions(ocr=False)


def note(text: str, path: str = "/notes/a.md") -> Document:
    return NoteReader().read(Source(path, "text/markdown", text.encode()))


def targets(text: str) -> list[tuple[str, str]]:
    return [(each.path, each.caption) for each in note(text).pictures]


def save(path: Path, seed: int = 1, words: str = "") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(picture(seed=seed, words=words)))
    return str(path)


def read(folder: Path, text: str, options: ReadOptions = NO_OCR, name: str = "note.md", **limits: int) -> Document:
    return with_shown_pictures(note(text, str(folder / name)), str(folder), options, **limits)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("![A kettle](k.png)", [("k.png", "A kettle")]),
        ("![](k.png)", [("k.png", "")]),
        ('![A *red* kettle](<my folder/k 1.png> "in May")', [("my%20folder/k%201.png", "A red kettle in May")]),
        ("![A kettle][k]\n\n[k]: img/k.jpg", [("img/k.jpg", "A kettle")]),
        ("![kettle]\n\n[kettle]: k.webp", [("k.webp", "kettle")]),
        ("![[k.png]]", [("k.png", "")]),
        ("![[k.png|300]]", [("k.png", "")]),
        ("![[k.png|300x200]]", [("k.png", "")]),
        ("![[a b/k.png|The kettle]]", [("a b/k.png", "The kettle")]),
        ("| a |\n|---|\n| ![[k.png\\|20]] |", [("k.png", "")]),
        ("![A kettle|100](k.png)", [("k.png", "A kettle")]),
        ("x <img src='k.png' alt=\"A &amp; B\"> y", [("k.png", "A & B")]),
        ("<p>\n<IMG width=3 SRC=k.png>\n</p>", [("k.png", "")]),
        ("[![A kettle](k.png)](https://example.org)", [("k.png", "A kettle")]),
        ("> - ![A](a.png)\n> - ![B](b.png)", [("a.png", "A"), ("b.png", "B")]),
        ("![A](https://example.org/k.png) ![B](//example.org/k.png) ![C](data:image/png;base64,AAAA)", []),
        ("![video](a.mp4) ![[Other note]] ![sound](b.mp3) [link](k.png) [[k.png]]", []),
        ("`![A](k.png)`\n\n```\n![[k.png]]\n```\n\n    ![B](k.png)\n", []),
        ("![A](k.png?raw=true#part)", [("k.png?raw=true#part", "A")]),
        ("![A]() ![B]( ) ![[]] <img> <img src>", []),
    ],
)
def test_the_pictures_that_a_note_names(text: str, found: list[tuple[str, str]]) -> None:
    assert targets(text) == found


def test_each_picture_knows_its_place_and_the_words_around_it() -> None:
    text = (
        "# Garden\n\nThe roses stand by the door.\n\n![Roses](a.png)\n\nThey are **red** in May.\n\n"
        '## Door\n\nSee ![the door](b.png "old") here.\n\n> ![[c.png]]\n\nThe end.\n'
    )
    found = note(text).pictures
    assert [text[each.at :].split(")")[0].split("]]")[0] for each in found] == [
        "![Roses](a.png", "![the door](b.png \"old\"", "![[c.png"
    ]  # fmt: skip
    assert [each.around for each in found] == [
        "The roses stand by the door. They are **red** in May.",
        "See here.",
        "See here. The end.",
    ]
    assert all(each.start == each.end == each.at for each in found)


def test_a_long_note_gives_short_surroundings() -> None:
    text = "word " * 3000 + "\n\n![A](a.png)\n\n" + "more " * 3000
    [found] = note(text).pictures
    assert len(found.around) <= 402
    assert found.around.startswith("…word")
    assert found.around.endswith("more…")


def test_pictures_are_read_with_their_words_behind_the_text(tmp_path: Path) -> None:
    first, second = save(tmp_path / "a.png", words="ROSE GARDEN 12"), save(tmp_path / "img" / "b.png", seed=2)
    text = "# Garden\n\n![Roses](a.png)\n\n![Door](img/b.png)\n"
    document = read(tmp_path, text, ReadOptions())
    assert document.text == f"{text}\n\nROSE GARDEN 12"
    roses, door = document.pictures
    assert document.text[roses.start : roses.end] == "ROSE GARDEN 12"
    assert "".join(document.text[line.start : line.end] for line in roses.lines).replace(" ", "") == "ROSEGARDEN12"
    assert (roses.number, roses.path, roses.width, roses.height) == (1, first, 400, 300)
    assert roses.digest == pictures.digest(Path(first).read_bytes())
    assert (door.number, door.path, door.start, door.end) == (2, second, door.at, door.at)
    assert document.warnings == ()
    assert all(Image.open(io.BytesIO(each.preview)).format == "WEBP" for each in document.pictures)


def test_a_target_is_looked_for_beside_the_note_then_from_the_root_then_by_its_name(tmp_path: Path) -> None:
    beside = save(tmp_path / "sub" / "a.png", 1)
    save(tmp_path / "a.png", 2)
    below = save(tmp_path / "img" / "b.png", 3)
    deep = save(tmp_path / "x" / "y" / "My Deep.png", 4)
    save(tmp_path / ".trash" / "gone.png", 5)
    text = "![](a.png) ![](/img/b.png) ![[my deep.png]] ![](my%20deep.png) ![](y/My%20Deep.png) ![[gone.png]]"
    document = read(tmp_path, text, name="sub/note.md")
    assert [each.path for each in document.pictures] == [beside, below, deep]  # the same one is shown once
    assert document.warnings == (
        "pictures that it shows were left out: 'y/My%20Deep.png' (it is not there), 'gone.png' (it is not there)",
    )


def test_nothing_outside_the_folder_is_opened(tmp_path: Path) -> None:
    secret = save(tmp_path / "secret.png")
    root = tmp_path / "notes"
    inside = save(root / "sub" / "a.png", 2)
    (root / "link.png").symlink_to(secret)
    (root / "folder").symlink_to(tmp_path)
    text = (
        f"![](../secret.png) ![]({secret}) ![](link.png) ![](folder/secret.png) ![](..%2Fsecret.png) "
        f"![[../secret.png]] ![]({inside}) ![](sub/../../secret.png)"
    )
    document = read(root, text)
    assert [each.path for each in document.pictures] == [inside]
    [warning] = document.warnings
    assert warning.count("it lies outside the folder that was added") == 5
    assert warning.endswith("and 2 more")


def test_without_a_root_nothing_is_opened(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    document = with_shown_pictures(note("![](a.png)", str(tmp_path / "n.md")), "", NO_OCR)
    assert document.pictures == ()
    assert len(document.warnings) == 1


def test_what_cannot_be_read_is_named_and_costs_nothing_else(tmp_path: Path) -> None:
    save(tmp_path / "good.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    text = f"![](broken.png) ![](empty.jpg) ![](folder.png) ![](good.png) ![](a%00b.png) ![]({'n' * 300}.png)"
    document = read(tmp_path, text)
    assert [(each.number, Path(each.path).name) for each in document.pictures] == [(1, "good.png")]
    [warning] = document.warnings
    assert all(name in warning for name in ("'broken.png' (", "'empty.jpg' (", "'folder.png' (it is not there)"))


def test_limits_of_size_are_kept(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(encoded(picture()) + bytes(2 * 1024 * 1024))
    document = read(tmp_path, "![](a.png) ![](b.png)", max_mb=1)
    assert [Path(each.path).name for each in document.pictures] == ["a.png"]
    assert "RAG_MAX_FILE_MB" in document.warnings[0]
    save(tmp_path / "c.png")
    Image.new("RGB", (1500, 1000)).save(tmp_path / "large.png")
    document = read(tmp_path, "![](c.png) ![](large.png)", ReadOptions(ocr=False, max_megapixels=1))
    assert [Path(each.path).name for each in document.pictures] == ["c.png"]
    assert "RAG_MAX_MEGAPIXELS" in document.warnings[0]


def test_out_of_time_the_rest_is_named(
    tmp_path: Path, clock: HandClock, reading_with: Callable[[FixedOcr], None]
) -> None:
    reading_with(SlowOcr(clock))
    names = [Path(save(tmp_path / f"{seed}.png", seed)).name for seed in range(6)]
    with limited_to(4):
        document = read(tmp_path, " ".join(f"![]({name})" for name in names))
    assert len(document.pictures) == 3  # a fourth, should it take 1.5 s, would not be done within 4 s
    assert "'5.png' (no time left; set RAG_READ_SECONDS higher)" in document.warnings[0]


def test_all_readers_share_one_ocr() -> None:
    assert build_ocr(ReadOptions()) is build_ocr(ReadOptions(max_megapixels=3))
    assert build_ocr(NO_OCR) is None


def test_names_are_looked_up_once_for_a_folder(tmp_path: Path) -> None:
    save(tmp_path / "x" / "a.png")
    save(tmp_path / "x" / "y" / "a.png", 2)
    shown._by_name.cache_clear()
    for _ in range(3):
        assert [each.path for each in read(tmp_path, "![[a.png]]").pictures] == [str(tmp_path / "x" / "a.png")]
    assert shown._by_name.cache_info().misses == 1


# --- web pages ---

PROSE = "The kettle boils at a lower temperature on the mountain, which is why the tea there is never quite right. "
PAGE = (
    "<html><body><nav><img src=p_files/menu.png><ul><li><a href=/>All that is in the menu</a></ul></nav><article>"
    f"<h1>Tea on mountains</h1><p>First of all. {PROSE * 3}</p><figure><a>"
    "<img alt='A kettle' src='p_files/k%201.png'></a>"
    f"<figcaption>On the stove</figcaption></figure><p>Second. {PROSE * 3}</p><p><img src='p_files/button.png'></p>"
    "<p><img src='https://example.org/far.png'><img src='data:image/png;base64,AAAA'></p></article>"
    "<footer><p>Copyright and what nobody reads.</p><img src=p_files/foot.png>"
    "<p>More of that kind of words.</p></footer>"
)


def page(folder: Path, markup: str) -> Document:
    document = WebReader().read(Source(str(folder / "p.html"), "text/html", markup.encode()))
    return with_shown_pictures(document, str(folder), NO_OCR)


def test_the_pictures_of_a_saved_article_are_found_and_those_around_it_are_not(tmp_path: Path) -> None:
    kettle = save(tmp_path / "p_files" / "k 1.png")
    for name in ("menu.png", "foot.png"):
        save(tmp_path / "p_files" / name, 2)
    (tmp_path / "p_files" / "button.png").write_bytes(encoded(picture(40, 40)))
    document = page(tmp_path, PAGE)
    assert kettle in [each.path for each in document.pictures]
    assert str(tmp_path / "p_files" / "foot.png") not in [each.path for each in document.pictures]
    assert str(tmp_path / "p_files" / "button.png") not in [each.path for each in document.pictures]
    [found] = [each for each in document.pictures if each.path == kettle]
    assert found.caption == "A kettle On the stove"
    assert document.text[found.at :].strip().startswith("Second.")
    assert document.warnings == ()


def test_a_page_saved_without_its_pictures_is_nothing_to_tell_of(tmp_path: Path) -> None:
    document = page(tmp_path, PAGE)
    assert (document.pictures, document.warnings) == ((), ())


def test_a_page_without_pictures_has_none(tmp_path: Path) -> None:
    assert page(tmp_path, f"<p>{PROSE}</p><img src=far.svgz><img>").pictures == ()


def test_many_blocks_and_pictures_take_linear_time(tmp_path: Path) -> None:
    started = time.process_time()
    document = WebReader().read(Source("/p.html", "text/html", (f"<p>{PROSE}</p><img src=a.png>" * 5000).encode()))
    assert len(document.pictures) == 500
    assert time.process_time() - started < 60


def test_pictures_are_numbered_from_one() -> None:
    found: tuple[Picture, ...] = note("![](a.png)\n\n![](b.png)").pictures
    assert [each.number for each in found] == [1, 2]
