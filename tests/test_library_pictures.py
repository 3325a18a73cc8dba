"""Pictures in the library: added, looked at, found, shown, changed and removed. Its image embedder knows colours."""

import io
import shutil
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

import rag.build
from eval.shapes import Group, Scene, draw
from rag.build import open_library
from rag.config import load_settings
from rag.errors import DocumentNotFound, InvalidQuery, ModelCorrupt, UnreadableFile
from rag.filters import In
from rag.library import Library
from rag.pictures import digest
from rag.records import Answer, Done, Progress, Turn
from tests.colours import COLOURS, ColourEmbedder, paint, picture
from tests.fakes import ScriptedGenerator
from tests.store.processes import parse_here


class Shelf:
    """A folder of notes and pictures, and the library that it is added to, opened with whatever looks at pictures."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._patch = patch
        self._libraries: list[Library] = []
        patch.setattr("rag.indexing.parse_all", parse_here)  # its processes take seconds to start

    def open(self, embedder: ColourEmbedder | None, **settings: object) -> Library:
        self._patch.setattr(rag.build, "build_image_embedder", lambda settings: embedder)
        return self.open_as_set(**settings)

    def open_as_set(self, **settings: object) -> Library:
        """Opened with what the settings name to look at pictures: nothing, or a model in the library's folder."""
        chosen = {"embedder": "hashing", "generator": "none", "ocr": False, **settings}
        self._libraries.append(open_library(load_settings(**chosen)))
        return self._libraries[-1]

    def close(self) -> None:
        for library in self._libraries:
            library.close()

    def paint(self, name: str, *colours: str) -> Path:
        return paint(self.folder / name, *colours)

    def write(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text)
        return self.folder / name


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    (tmp_path / "shelf").mkdir()
    shelf = Shelf(tmp_path / "shelf", monkeypatch)
    yield shelf
    shelf.close()


@pytest.fixture
def library(shelf: Shelf) -> Library:
    return shelf.open(ColourEmbedder())


def names(paths: tuple[str, ...]) -> set[str]:
    return {Path(path).name for path in paths}


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return image


# --- adding and looking ------------------------------------------------------------------------------------------


def test_pictures_are_added_looked_at_and_counted(library: Library, shelf: Shelf) -> None:
    for name in ("red", "green", "blue"):
        shelf.paint(f"{name}.png", name)
    shelf.write("trip.md", "# Trip\n\nThe lake, ![at noon](blue.png) of course.")
    seen: list[Progress] = []
    report = library.add([shelf.folder], on_progress=seen.append)
    assert names(report.added) == {"red.png", "green.png", "blue.png", "trip.md"}
    assert (report.looked, report.failed, report.warnings) == (4, (), ())
    assert [each.stage for each in seen] == sorted((each.stage for each in seen), reverse=True), "read, then look"
    assert (seen[-1].stage, seen[-1].done, seen[-1].total) == ("look", 4, 4)
    status = library.status()
    assert (status.pictures, status.unseen, status.kinds) == (4, 0, {"image": 3, "note": 1})
    assert [model.role for model in status.models] == ["embedder", "image embedder"]
    assert {Path(info.path).name: info.pictures for info in library.documents()} == {
        "red.png": 1, "green.png": 1, "blue.png": 1, "trip.md": 1,
    }  # fmt: skip
    assert library.verify().problems == ()
    assert library.add([shelf.folder]).looked == 0


def test_a_picture_that_says_nothing_has_no_text_vector_and_words_have_one(library: Library, shelf: Shelf) -> None:
    shelf.paint("IMG_2041.png", "red")
    shelf.paint("harbour.png", "green")
    library.add([shelf.folder])
    bare = library._databases.store.without_vector("text", 9)
    assert [Path(chunk.path).name for chunk in bare] == ["IMG_2041.png"]
    assert library.verify().problems == ()


def test_pictures_inside_other_files_are_looked_at_and_shown_too(library: Library, shelf: Shelf) -> None:
    frames = [Image.new("RGB", (60, 60), COLOURS[name]) for name in ("red", "blue")]
    frames[0].save(shelf.folder / "frames.tiff", save_all=True, append_images=frames[1:])
    mail = EmailMessage()
    mail["Subject"] = "The harbour"
    mail.set_content("See the picture.")
    mail.add_attachment(picture("green", size=200), "image", "png", filename="harbour.png")
    (shelf.folder / "harbour.eml").write_bytes(bytes(mail))
    page = Canvas(str(shelf.folder / "plan.pdf"))
    page.drawString(72, 700, "The plan of the house is shown below, with every room and every door in it.")
    page.drawImage(ImageReader(io.BytesIO(picture("yellow", "green", size=400))), 72, 300, 400, 300)
    page.save()
    report = library.add([shelf.folder])
    assert (report.looked, report.failed, report.warnings) == (4, (), ())
    documents = {Path(info.path).name: info for info in library.documents()}
    assert {name: info.pictures for name, info in documents.items()} == {
        "frames.tiff": 2, "harbour.eml": 0, "harbour.png": 1, "plan.pdf": 1,
    }  # fmt: skip
    assert library.verify().problems == ()
    shown = {
        ("frames.tiff", 1): ("red",),
        ("frames.tiff", 2): ("blue",),
        ("harbour.png", 1): ("green",),
        ("plan.pdf", 1): ("yellow", "green"),
    }
    for (name, number), colours in shown.items():
        best = library.search(picture=picture(*colours), k=1).hits[0].chunk
        assert (Path(best.path).name, best.picture) == (name, number)
        preview = opened(library.preview(documents[name].id, number)).convert("RGB")
        left = preview.getpixel((preview.width // 4, preview.height // 2))
        assert np.abs(np.subtract(left, COLOURS[colours[0]])).max() < 20  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_real_model_in_the_models_folder_is_found_and_finds_pictures_by_words(
    shelf: Shelf, small_clip: Path, own_home: Path
) -> None:
    wanted = Scene(Group(1, "red", "circle"))
    scenes = [wanted, *(Scene(Group(3, colour, "square")) for colour in ("green", "purple", "black"))]
    for number, scene in enumerate(scenes):
        draw(scene, seed=number).save(shelf.folder / f"IMG_{number}.png")
    library = shelf.open_as_set()
    library.add([shelf.folder])
    assert (library.status().unseen, len(library.status().models)) == (4, 1)
    library.close()
    shutil.copytree(small_clip, own_home / "models" / "small")
    library = shelf.open_as_set()
    assert library.image_embedder is not None
    assert library.look() == 4
    assert library.status().unseen == 0
    hits = library.search(wanted.caption).hits
    assert Path(hits[0].chunk.path).name == "IMG_0.png"
    assert [found.retriever for found in hits[0].found_by] == ["image"]
    again = library.search(picture=(shelf.folder / "IMG_0.png").read_bytes(), k=1).hits[0]
    assert Path(again.chunk.path).name == "IMG_0.png"


def test_without_an_image_embedder_everything_else_works(shelf: Shelf) -> None:
    library = shelf.open(None)
    shelf.paint("harbour.png", "red")
    shelf.write("boat.md", "The boat lies in the harbour.")
    assert library.add([shelf.folder]).looked == 0
    assert library.look() == 0
    assert (library.status().pictures, library.status().unseen) == (1, 1)
    assert {Path(hit.chunk.path).name for hit in library.search("harbour").hits} == {"harbour.png", "boat.md"}
    assert opened(library.preview(library.resolve(str(shelf.folder / "harbour.png")), 1)).size == (48, 48)


def test_an_image_embedder_that_comes_later_fills_in_what_is_missing_and_touches_nothing_else(shelf: Shelf) -> None:
    before = shelf.open(None)
    for name in ("red", "green", "blue"):
        shelf.paint(f"the {name} boat.png", name)
    shelf.write("boats.md", "Boats ![red](<the red boat.png>).")
    before.add([shelf.folder])
    chunks = before._databases.store.chunks([info.id for info in before.documents()])
    texts = before._databases.store.vectors("text", [chunk.id for chunk in chunks])
    before.close()

    embedder = ColourEmbedder()
    library = shelf.open(embedder)
    assert (library.status().pictures, library.status().unseen) == (4, 4)
    assert library.look() == 4
    assert len(embedder.looked_at) == 3, "the picture that the note shows is the same as the file"
    assert library.status().unseen == 0
    assert library._databases.store.chunks([info.id for info in library.documents()]) == chunks
    after = library._databases.store.vectors("text", [chunk.id for chunk in chunks])
    assert {name: row.tobytes() for name, row in after.items()} == {name: row.tobytes() for name, row in texts.items()}
    assert library.look() == 0


def test_an_image_embedder_that_goes_and_another_that_comes(shelf: Shelf) -> None:
    first = shelf.open(ColourEmbedder())
    shelf.paint("red.png", "red")
    first.add([shelf.folder])
    first.close()
    without = shelf.open(None)
    shelf.paint("blue.png", "blue")
    without.add([shelf.folder])
    assert without.status().unseen == 2
    without.close()
    again = shelf.open(ColourEmbedder())
    assert again.status().unseen == 1, "the red one was seen before"
    again.close()
    other = ColourEmbedder("other")
    library = shelf.open(other)
    assert library.status().unseen == 2
    assert library.search(picture=picture("red", size=50)).hits == ()
    assert library.look() == 2
    assert Path(library.search(picture=picture("red")).hits[0].chunk.path).name == "red.png"
    chunks = library._databases.store.chunks([info.id for info in library.documents()])
    (red,) = (chunk for chunk in chunks if chunk.path.endswith("red.png"))
    held = library._databases.store.vectors("image", [red.id])[red.id]
    np.testing.assert_array_equal(held, other.embed_images([picture("red")])[0])


class Broken(ColourEmbedder):
    def embed_images(self, pictures):  # type: ignore[no-untyped-def]
        raise ModelCorrupt("its weights are damaged; install it again")


def test_an_image_embedder_that_fails_costs_a_line_and_what_was_read_stays(shelf: Shelf) -> None:
    library = shelf.open(Broken())
    shelf.paint("red.png", "red")
    report = library.add([shelf.folder])
    assert names(report.added) == {"red.png"}
    (warning,) = report.warnings
    assert warning.error == "pictures were not looked at: its weights are damaged; install it again"
    with pytest.raises(ModelCorrupt):
        library.look()


def test_looking_goes_on_while_another_thread_adds(library: Library, shelf: Shelf) -> None:
    for number in range(12):
        shelf.paint(f"{number}.png", *["red", "green", "blue"][: 1 + number % 3], *["yellow"] * (1 + number // 3))
    library.add([shelf.folder])
    for number in range(6):
        shelf.paint(f"{number}.png", "blue", *["red"] * (number + 1))
    adding = threading.Thread(target=library.add, args=([shelf.folder],))
    adding.start()
    while adding.is_alive():
        library.look()
    adding.join()
    assert library.status().unseen == 0
    assert library.verify().problems == ()


# --- notes that show pictures ------------------------------------------------------------------------------------


def test_a_note_is_read_again_when_what_it_shows_changes_appears_or_goes(library: Library, shelf: Shelf) -> None:
    note = shelf.write("note.md", "One ![](one.png), two ![[two.png]].")
    shelf.paint("one.png", "red")
    library.add([shelf.folder])
    name = library.resolve(str(note))

    def shown() -> list[str]:
        return [each.digest for each in library.document(name).pictures]

    red, green, blue = (digest(picture(colour)) for colour in ("red", "green", "blue"))
    assert shown() == [red]
    shelf.paint("two.png", "green")
    assert names(library.add([shelf.folder]).updated) == {"note.md"}
    assert shown() == [red, green]
    shelf.paint("one.png", "blue")
    report = library.add([shelf.folder])
    assert names(report.updated) == {"note.md", "one.png"}
    assert shown() == [blue, green]
    (shelf.folder / "two.png").unlink()
    assert names(library.add([shelf.folder]).updated) == {"note.md"}
    assert shown() == [blue]
    assert names(library.add([shelf.folder]).unchanged) == {"note.md", "one.png"}
    assert library.status().unseen == 0
    assert library.verify().problems == ()


def test_a_note_whose_warning_is_about_something_else_stays_unchanged(library: Library, shelf: Shelf) -> None:
    shelf.write("note.md", "Here ![](never.png) is nothing.")
    library.add([shelf.folder])
    shelf.paint("unrelated.png", "red")
    report = library.add([shelf.folder])
    assert (names(report.added), names(report.unchanged)) == ({"unrelated.png"}, {"note.md"})


# --- finding -----------------------------------------------------------------------------------------------------


@pytest.fixture
def colours(library: Library, shelf: Shelf) -> Library:
    for one in ("red", "green", "blue", "yellow"):
        for two in ("red", "green", "blue", "yellow"):
            shelf.paint(f"IMG_{one[0]}{two[0]}.png", one, two)
    shelf.write("notes.md", "The pressure is 1.3 bar.")
    library.add([shelf.folder])
    return library


def test_a_picture_finds_its_like(colours: Library) -> None:
    hits = colours.search(picture=picture("blue", "yellow"), k=3).hits
    assert Path(hits[0].chunk.path).name == "IMG_by.png"
    assert [found.retriever for found in hits[0].found_by] == ["likeness"]
    more = colours.search(like=hits[0].chunk.id, k=3).hits
    assert hits[0].chunk.id not in {hit.chunk.id for hit in more}


def test_nothing_to_look_for_and_nothing_that_can_be_looked_at(colours: Library) -> None:
    with pytest.raises(InvalidQuery):
        colours.search("  ")
    with pytest.raises(UnreadableFile):
        colours.search(picture=b"no picture")
    with pytest.raises(UnreadableFile):
        list(colours.ask("What is this?", picture=b"no picture"))
    assert Path(colours.search("pressure", k=1).hits[0].chunk.path).name == "notes.md"


def written(text: str) -> bytes:
    """A picture with words in it."""
    image = Image.new("RGB", (900, 120), "white")
    ImageDraw.Draw(image).text((20, 30), text, "black", ImageFont.load_default(48))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.slow
def test_what_is_written_in_a_picture_finds_the_passage_about_it(shelf: Shelf) -> None:
    library = shelf.open(None, ocr=True)
    shelf.write("boiler.md", "# Boiler\n\nThe valve opens at three bar, and the pump stops.")
    shelf.write("bees.md", "# Bees\n\nThe second hive swarmed in May.")
    (shelf.folder / "label.png").write_bytes(written("SAFETY VALVE BOILER"))
    library.add([shelf.folder])
    hits = library.search(picture=written("boiler valve")).hits
    assert {Path(hit.chunk.path).name for hit in hits[:2]} == {"boiler.md", "label.png"}
    *_, last = library.ask("", picture=written("boiler valve"))
    assert isinstance(last, Done)
    assert last.answer.picture == digest(written("boiler valve"))
    label = next(each.hit.chunk for each in last.answer.passages if each.hit.chunk.path.endswith("label.png"))
    (line,) = library._gallery.lines_of(label)
    assert label.text[line.start : line.end] == "SAFETY VALVE BOILER"
    assert library.search("safety").hits[0].chunk.path == label.path
    library.close()
    assert shelf.open(None, ocr=False).search(picture=written("boiler valve")).hits == ()


# --- showing -----------------------------------------------------------------------------------------------------


def test_pictures_are_shown_small_and_large_and_kept(library: Library, shelf: Shelf) -> None:
    photo = shelf.folder / "photo.png"
    photo.write_bytes(picture("red", "blue", size=3000))
    library.add([shelf.folder])
    name = library.resolve(str(photo))
    cached = library.settings.home / "thumbnails" / digest(photo.read_bytes())[:2]
    assert [path.name for path in cached.iterdir()] == [f"{digest(photo.read_bytes())}-512.webp"]
    assert opened(library.preview(name, 1)).size == (512, 512)
    assert opened(library.view(name, 1)).size == (2560, 2560)
    photo.unlink()
    assert opened(library.view(name, 1)).size == (2560, 2560), "it is kept"
    for path in cached.iterdir():
        path.unlink()
    with pytest.raises(UnreadableFile):
        library.view(name, 1)
    with pytest.raises(UnreadableFile, match="no picture 2"):
        library.preview(name, 2)
    with pytest.raises(DocumentNotFound):
        library.preview("0" * 32, 1)


def test_a_preview_that_was_lost_is_made_again(library: Library, shelf: Shelf) -> None:
    photo = shelf.paint("photo.png", "red")
    library.add([shelf.folder])
    name = library.resolve(str(photo))
    for path in (library.settings.home / "thumbnails").rglob("*.webp"):
        path.unlink()
    assert opened(library.preview(name, 1)).size == (48, 48)


def test_previews_go_with_the_last_document_that_has_the_picture(library: Library, shelf: Shelf) -> None:
    shelf.paint("one.png", "red")
    shelf.paint("two.png", "red")
    shelf.paint("three.png", "blue")
    library.add([shelf.folder])
    red, blue = digest(picture("red")), digest(picture("blue"))

    def kept() -> set[str]:
        return {path.name.split("-")[0] for path in (library.settings.home / "thumbnails").rglob("*.webp")}

    assert kept() == {red, blue}
    library.remove([library.resolve(str(shelf.folder / "one.png"))])
    assert kept() == {red, blue}
    library.remove([library.resolve(str(shelf.folder / "two.png"))])
    assert kept() == {blue}
    green = shelf.paint("three.png", "green")
    library.add([shelf.folder / "three.png"])
    assert kept() == {digest(green.read_bytes())}
    green.unlink()
    library.add([shelf.folder], prune=True)
    assert kept() & {digest(picture("green"))} == set()


def test_a_dropped_picture_is_copied_and_indexed(library: Library, tmp_path: Path) -> None:
    pasted = paint(tmp_path / "upload" / "image.png", "green")
    assert len(library.adopt([pasted]).added) == 1
    paint(pasted, "yellow")
    assert len(library.adopt([pasted]).added) == 1, "another picture under the same name"
    assert sorted(path.name for path in (library.settings.home / "files").iterdir()) == ["image (2).png", "image.png"]
    pasted.unlink()
    assert Path(library.search(picture=picture("yellow"), k=1).hits[0].chunk.path).name == "image (2).png"


def test_a_page_of_a_pdf_is_drawn_once(library: Library, shelf: Shelf) -> None:
    pages = [Image.new("RGB", (300, 400), colour) for colour in ("white", "blue")]
    pages[0].save(shelf.folder / "two.pdf", "PDF", save_all=True, append_images=pages[1:])
    library.add([shelf.folder])
    name = library.resolve(str(shelf.folder / "two.pdf"))
    page = opened(library.page_view(name, 2))
    assert max(page.size) == 2560
    red, _, blue = page.convert("RGB").getpixel((100, 100))  # type: ignore[misc]
    assert blue > 200 > 60 > red
    (shelf.folder / "two.pdf").unlink()
    assert opened(library.page_view(name, 2)).size == page.size
    with pytest.raises(UnreadableFile):
        library.page_view(name, 1)


def test_the_very_picture_is_found_without_an_image_embedder(shelf: Shelf) -> None:
    asked = shelf.paint("tower.png", "red").read_bytes()
    shelf.paint("sea.png", "blue")
    shelf.write("trip.md", "We climbed the tower. ![](tower.png)")
    library = shelf.open(None)
    library.add([shelf.folder])
    [hit] = library.search(picture=asked).hits
    assert {Path(chunk.path).name for chunk in (hit.chunk, *hit.also)} == {"tower.png", "trip.md"}
    assert (hit.score, hit.found_by[0].retriever, hit.found_by[0].score) == (1.0, "likeness", 1.0)
    [hit] = library.search(picture=asked, where=In("kind", ("image",))).hits
    assert Path(hit.chunk.path).name == "tower.png"
    assert library.search(picture=picture("green")).hits == ()


def test_what_a_model_sees_in_a_picture_finds_passages(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.write("hive.md", "The smoker calms the bees before the hive is opened.")
    shelf.write("boat.md", "The dinghy needs a coat of varnish.")
    monkeypatch.setattr(rag.build, "build_generator", lambda settings: ScriptedGenerator("A smoker.", picture_tokens=9))
    library = shelf.open(None)
    library.add([shelf.folder])
    assert [Path(hit.chunk.path).name for hit in library.search(picture=picture("red"), k=1).hits] == ["hive.md"]

    failing = ScriptedGenerator("A smoker.", picture_tokens=9, fails_after=0)
    monkeypatch.setattr(rag.build, "build_generator", lambda settings: failing)
    assert shelf.open(None).search(picture=picture("red")).hits == ()


def test_places_go_when_the_settings_no_longer_want_them(shelf: Shelf) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    Image.new("RGB", (64, 64), "red").save(shelf.folder / "tower.jpg", exif=exif)
    shelf.paint("plain.png", "blue")
    library = shelf.open(None)
    library.add([shelf.folder])
    [photo] = library.documents("tower")
    assert dict(library.document(photo.id).fields)["Place"] == "48.8583, 2.2944"

    discreet = shelf.open(None, picture_location=False)
    assert names(discreet.add([shelf.folder]).updated) == {"tower.jpg"}
    assert "Place" not in dict(discreet.document(photo.id).fields)
    assert discreet.add([shelf.folder]).updated == ()


# --- pictures that were asked with -------------------------------------------------------------------------------


def test_a_picture_asked_with_is_kept_for_as_long_as_a_conversation_shows_it(
    colours: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, forgotten = picture("red", size=3000), picture("green")
    name = colours.keep_picture(asked)
    assert name == colours.keep_picture(asked) == digest(asked)
    other = colours.keep_picture(forgotten)
    assert opened(colours.kept_picture(name)).size == (2560, 2560)
    talk = colours.conversations.create("about a picture")
    colours.conversations.append(talk.id, Turn("what?", Answer("what?", "that", (), (), "stop", None, picture=name)))
    assert colours.conversations.pictures() == {name}
    monkeypatch.setattr("rag.gallery._ASKED_AGE", -10.0)  # a day later
    colours.keep_picture(picture("blue"))
    assert opened(colours.kept_picture(name)).size == (2560, 2560)
    with pytest.raises(UnreadableFile, match="not kept any more"):
        colours.kept_picture(other)
    for wrong in ("", "../" + name, "x" * 64):
        with pytest.raises(UnreadableFile):
            colours.kept_picture(wrong)
    with pytest.raises(UnreadableFile):
        colours.keep_picture(b"no picture")


def test_asking_with_a_picture_finds_what_is_like_it_and_keeps_it(colours: Library) -> None:
    *_, last = colours.ask("Which of them is like this?", picture=picture("green", "blue"))
    assert isinstance(last, Done)
    assert any(Path(each.hit.chunk.path).name == "IMG_gb.png" for each in last.answer.passages)
    assert opened(colours.kept_picture(digest(picture("green", "blue")))).size == (48, 48)
