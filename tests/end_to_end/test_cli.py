"""The command line as a user calls it: its words, its output, its exit status, and what is on disk between two calls.

A process takes seconds to import what it needs, so most calls run here, and those have their own of which it is the
point. Most use the model-free embedder to be quick.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from eval.shapes import Group, Scene, draw, held_out_scenes
from rag.cli import main
from tests.calling import Said, call

RAG = (sys.executable, "-m", "rag.cli")


class Rag:
    """Calls `rag` with a home of its own: in this process, or `alone` in one that ends with the call."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.settings = {"RAG_HOME": str(home), "RAG_EMBEDDER": "hashing", "RAG_GENERATOR": "none", **settings}

    def __call__(self, *arguments: str | Path, status: int = 0) -> Said:
        said = call(main, *arguments, env=self.settings)
        assert said.status == status, said
        return said

    def json(self, *arguments: str | Path, status: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", status=status).stdout)

    def alone(self, *arguments: str | Path) -> Said:
        process = self.start(*arguments)
        stdout, stderr = process.communicate(timeout=600)
        assert process.returncode == 0, stderr
        assert "Traceback" not in stderr
        return Said(0, stdout, stderr)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*RAG, *map(str, arguments)],
            env={**os.environ, **self.settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def rag(tmp_path: Path) -> Rag:
    return Rag(tmp_path / "home")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "bees.md").write_text("# Bees\n\nThe second hive swarmed on 14 May and settled in the plum tree.\n")
    (folder / "boiler.txt").write_text("The boiler pressure should stand at 1.3 bar when cold.\n")
    return folder


def test_add_search_show_remove(rag: Rag, notes: Path) -> None:
    report = json.loads(rag.alone("add", notes, "--json").stdout)
    assert (report["added"], report["unchanged"], report["chunks"], report["failed"]) == (2, 0, 2, [])

    found = json.loads(rag.alone("search", "boiler pressure", "--json").stdout)
    assert found["query"] == "boiler pressure"
    hit = found["hits"][0]
    assert hit["path"] == str(notes / "boiler.txt")
    assert hit["rank"] == 1
    assert set(hit["found_by"]) == {"text", "bm25"}
    shown = rag.json("show", hit["document"])
    assert shown["text"][hit["start"] : hit["end"]] == hit["text"]
    assert all(ms >= 0 for ms in found["ms"].values())
    assert {"text", "bm25", "fuse"} <= set(found["ms"])

    assert rag.json("status")["documents"] == 2
    assert [info["path"] for info in rag.json("list")] == [str(notes / "bees.md"), str(notes / "boiler.txt")]
    assert str(notes / "bees.md") in rag.alone("list").stdout  # whole, on one line
    assert rag.json("remove", notes / "bees.md") == {"removed": 1}
    assert rag.json("verify") == {"documents": 1, "chunks": 1, "problems": []}


def test_again_unchanged_changed_vanished(rag: Rag, notes: Path) -> None:
    rag("add", notes)
    assert rag.json("add", notes)["unchanged"] == 2
    (notes / "bees.md").write_text("# Bees\n\nThe queen is marked blue this year.\n")
    (notes / "boiler.txt").unlink()
    report = rag.json("add", notes)
    assert (report["updated"], report["unchanged"], report["vanished"]) == (1, 0, [str(notes / "boiler.txt")])
    assert not any("swarmed" in hit["text"] for hit in rag.json("search", "swarmed in the plum tree")["hits"])
    assert rag.json("add", notes, "--prune")["removed"] == 1
    assert rag.json("verify") == {"documents": 1, "chunks": 1, "problems": []}


def test_bad_files_cost_one_line_each(rag: Rag, notes: Path) -> None:
    (notes / "broken.pdf").write_bytes(b"%PDF-1.4 nothing follows")
    (notes / "empty.pdf").write_bytes(b"")
    (notes / "binary.md").write_bytes(bytes(range(256)) * 40)
    (notes / "film.xyz").write_bytes(b"\0\1\2")
    (notes / "loop").symlink_to(notes)
    (notes / 'odd "name"\n🐝.md').write_text("An odd name for a note about waggle dances.")
    report = rag.json("add", notes, notes / "missing.md", status=1)
    assert report["added"] == 3
    assert {Path(failure["path"]).name for failure in report["failed"]} == {
        "broken.pdf",
        "empty.pdf",
        "binary.md",
        "missing.md",
    }
    assert all(failure["error"] for failure in report["failed"])
    assert [Path(path).name for path in report["skipped"]] == ["film.xyz"]
    assert Path(rag.json("search", "waggle dances")["hits"][0]["path"]).name == 'odd "name"\n🐝.md'
    assert rag.json("verify")["problems"] == []


def test_odd_queries_have_sane_results(rag: Rag, notes: Path) -> None:
    rag("add", notes)
    for query in ("?!… --", ("word " * 20_000)[:100_000], "'; DROP TABLE chunks; -- 漢 \\x00 boiler"):
        assert isinstance(rag.json("search", query)["hits"], list)
    assert rag.json("verify")["problems"] == []


def test_wrong_calls_are_status_two(rag: Rag) -> None:
    assert "empty" in rag("search", "   ", status=2).stderr
    assert "kind" in rag("search", "x", "--where", "kind:film", status=2).stderr
    assert "no-such" in rag("show", "no-such", status=2).stderr
    rag("fly", status=2)
    wrong = Rag(rag.home, RAG_COLOUR="red")
    assert "RAG_COLOUR" in wrong("status", status=2).stderr


def test_an_empty_library_says_so(rag: Rag) -> None:
    assert rag.json("search", "anything")["hits"] == []
    assert "empty" in rag("list").stdout
    answer = rag.json("ask", "What is the boiler pressure?")
    assert answer["abstained"]
    assert answer["citations"] == []


def test_another_embedder_is_refused_with_the_remedy(rag: Rag, notes: Path) -> None:
    rag("add", notes)
    manifest = rag.home / "index" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("hashing-64", "hashing-65"))
    error = rag("search", "boiler", status=1).stderr
    assert "hashing-64" in error
    assert "hashing-65" in error


def test_without_a_model_the_passages_are_the_answer(rag: Rag, notes: Path) -> None:
    rag("add", notes)
    answer = rag.json("ask", "What should the boiler pressure be?")
    assert answer["finish"] == "no_model"
    assert answer["model"] is None
    assert "1.3 bar" in answer["answer"]
    citation = answer["citations"][0]
    assert Path(citation["path"]).name == "boiler.txt"
    assert "1.3 bar" in citation["quote"]


def test_mail_attachments_are_documents_that_go_with_their_mail(rag: Rag, tmp_path: Path) -> None:
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Minutes", "a@example.org", "b@example.org"
    mail.set_content("The minutes are attached.")
    mail.add_attachment("Agreed: the pump is replaced in March.", filename="minutes.txt")
    path = tmp_path / "minutes.eml"
    path.write_bytes(bytes(mail))
    assert rag.json("add", path)["added"] == 2
    hit = rag.json("search", "pump replaced in March")["hits"][0]
    assert hit["path"] == f"{path}!/1/minutes.txt"
    assert rag.json("add", path)["unchanged"] == 1
    mail.clear_content()
    mail.set_content("No attachment after all.")
    path.write_bytes(bytes(mail))
    rag("add", path)
    assert rag.json("verify") == {"documents": 1, "chunks": 1, "problems": []}


def many(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"note {number}.md").write_text(f"# Note {number}\n\nNumber {number} is about topic {number % 37}.\n")
    return folder


def rows(catalogue: Path) -> int:
    """Documents in the catalogue, also those whose writing is not finished; 0 before there is one."""
    try:
        with closing(sqlite3.connect(f"file:{catalogue}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM documents").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(rag: Rag, tmp_path: Path) -> None:
    folder = many(tmp_path / "many", 1500)
    for written in (1, 513, 1025):  # rows of the catalogue, which is written to before the index is
        process = rag.start("add", folder)
        while rows(rag.home / "catalogue.sqlite") < written and process.poll() is None:
            time.sleep(0.002)
        assert process.poll() is None, "it ended before it could be killed"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    report = rag.json("add", folder)
    assert report["added"] + report["unchanged"] == 1500
    assert rag.json("verify") == {"documents": 1500, "chunks": 1500, "problems": []}


@pytest.mark.slow
def test_two_at_once_lose_nothing(rag: Rag, tmp_path: Path) -> None:
    folders = [many(tmp_path / name, 300) for name in ("a", "b")]
    processes = [rag.start("add", folder, "--json") for folder in folders]
    for process in processes:
        _, error = process.communicate(timeout=300)
        assert process.returncode in (0, 1), error
        if process.returncode:
            assert "is writing to the library" in error
    for folder in folders:
        rag("add", folder)
    assert rag.json("verify") == {"documents": 600, "chunks": 600, "problems": []}


@pytest.mark.slow
def test_a_full_disk_is_said_and_nothing_is_half_written(tmp_path: Path) -> None:
    disk = tmp_path / "small disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        rag = Rag(disk / "home")
        folder = tmp_path / "long"
        folder.mkdir()
        for number in range(24):
            (folder / f"{number}.txt").write_text(" ".join(f"word{number}x{i}." for i in range(5_000)))
        assert "the disk is full" in rag("add", folder, status=1).stderr
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        rag("add", folder)
        report = rag.json("verify")
        assert (report["documents"], report["problems"]) == (24, [])
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.model
def test_the_starter_models_answer_with_a_source(tmp_path: Path, notes: Path) -> None:
    rag = Rag(tmp_path / "home", RAG_EMBEDDER="starter", RAG_GENERATOR="starter")
    rag("add", notes)
    hit = rag.json("search", "When did the honey insects leave their home?")["hits"][0]
    assert Path(hit["path"]).name == "bees.md"
    answer = json.loads(rag.alone("ask", "What should the boiler pressure be when cold?", "--json").stdout)
    assert answer["model"]
    assert answer["answer"]
    assert any(Path(citation["path"]).name == "boiler.txt" for citation in answer["citations"])


# --- pictures ----------------------------------------------------------------------------------------------------

SCENE = Scene(Group(2, "red", "circle"), "above", Group(1, "blue", "square"))
OTHERS = [scene for scene in held_out_scenes(12) if scene.caption != SCENE.caption]


def written(lines: Sequence[str], size: tuple[int, int]) -> Image.Image:
    image = Image.new("RGB", size, "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((30, 30 + 50 * number), line, fill="black", font=ImageFont.load_default(28))
    return image


def pdf(path: Path, text: str, picture: Image.Image, place: tuple[int, int, int, int], caption: str = "") -> None:
    canvas = Canvas(str(path))
    canvas.drawString(72, 760, text)
    canvas.drawImage(ImageReader(picture), *place)
    canvas.drawString(place[0], place[1] - 20, caption)
    canvas.showPage()
    canvas.save()


def album_in(folder: Path) -> Path:
    """A screenshot, a photo with a camera's name, a note that shows a picture, a PDF with a figure, and a scan."""
    folder.mkdir()
    written(["Update failed", "The error is disk quota exceeded"], (900, 300)).save(folder / "Screenshot 1.png")
    camera = Image.Exif()
    camera[ExifTags.Base.Make], camera[ExifTags.Base.Model] = "Canon", "EOS R7"
    camera[ExifTags.Base.DateTime] = "2024:05:14 10:00:00"
    draw(OTHERS[0], 7).save(folder / "IMG_0001.jpg", exif=camera)
    draw(SCENE, 1).save(folder / "drawing.png")
    (folder / "trip.md").write_text("# Trip\n\nMade on the train.\n\n![Our geometry lesson](drawing.png)\n")
    pdf(folder / "report.pdf", "Beekeepers", draw(OTHERS[1], 2, 256), (72, 450, 200, 200), "Figure 1: Honey per hive")
    page = written(["Lease agreement", "The rent is 740 euros a month."], (1200, 1600))
    pdf(folder / "scan.pdf", "", page, (0, 0, 595, 793))
    return folder


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rag, Path]:
    """A library without an image embedder; whoever changes it copies it."""
    root = tmp_path_factory.mktemp("album")
    rag = Rag(root / "home", RAG_IMAGE_EMBEDDER="none")
    folder = album_in(root / "album")
    report = rag.json("add", folder)
    assert (report["added"], report["failed"], report["warnings"]) == (6, [], [])
    assert (report["pictures"], report["unseen"]) == (5, 5)
    return rag, folder


def test_words_find_screenshots_scans_figures_and_notes_with_pictures(album: tuple[Rag, Path]) -> None:
    rag, _ = album
    places = {
        "disk quota exceeded": ("Screenshot 1.png", "image", 1, None),
        "rent in euros": ("scan.pdf", "text", None, 1),
        "honey per hive": ("report.pdf", "image", 1, 1),
        "geometry lesson": ("trip.md", "image", 1, None),
        "canon may 2024": ("IMG_0001.jpg", "image", 1, None),
    }
    for words, (name, modality, picture, page) in places.items():
        hits = rag.json("search", words, "--kind", modality)["hits"]
        hit = hits[0]
        assert (Path(hit["path"]).name, hit["modality"], hit["picture"], hit["page"]) == (name, modality, picture, page)
        assert "chance" not in hit["found_by"].get("bm25", {})
    assert rag.json("search", "honey per hive", "--kind", "image")["hits"][0]["caption"] == "Figure 1: Honey per hive"
    scan = rag.json("search", "rent in euros")["hits"][0]
    assert 0 <= scan["region"]["left"] < scan["region"]["right"] <= 1
    assert "740 euros" in scan["text"]


def test_pictures_are_shown_with_their_size_their_camera_and_their_words(album: tuple[Rag, Path]) -> None:
    rag, folder = album
    photo = rag.json("show", folder / "IMG_0001.jpg")
    assert dict(photo["fields"])["Camera"] == "Canon EOS R7"
    assert (photo["pictures"][0]["width"], photo["pictures"][0]["height"]) == (128, 128)
    assert "preview" not in photo["pictures"][0]
    shot = rag("show", folder / "Screenshot 1.png")
    assert "disk quota exceeded" in shot.stdout
    assert "900 x 300 pixels" in shot.stderr
    assert "Figure 1: Honey per hive" in rag("show", folder / "report.pdf").stderr
    listed = [Path(info["path"]).name for info in rag.json("list", "--kind", "image")]
    assert sorted(listed) == ["IMG_0001.jpg", "Screenshot 1.png", "drawing.png"]
    assert "No document" in rag("list", "--kind", "mail").stdout
    status = rag.json("status")
    assert (status["pictures"], status["unseen"], status["kinds"]["image"]) == (5, 5, 3)
    assert "none of them found by what they look like" in rag("status").stdout


def test_without_an_image_embedder_a_picture_is_asked_with_by_the_words_in_it(
    album: tuple[Rag, Path], tmp_path: Path
) -> None:
    rag, _ = album
    written(["Disk quota exceeded"], (700, 120)).save(tmp_path / "crop.png")
    found = rag.json("search", "--image", tmp_path / "crop.png")
    assert Path(found["hits"][0]["path"]).name == "Screenshot 1.png"
    assert "no image embedder" in found["notes"][0]
    assert "no image embedder" in rag("search", "--image", tmp_path / "crop.png").stderr
    answer = rag.json("ask", "What does this say about the quota?", "--image", tmp_path / "crop.png")
    assert Path(answer["citations"][0]["path"]).name == "Screenshot 1.png"
    assert answer["citations"][0]["picture"] == 1
    assert len(answer["picture"]) == 64


def test_a_picture_to_ask_with_that_cannot_be_used_is_a_wrong_call(album: tuple[Rag, Path], tmp_path: Path) -> None:
    rag, _ = album
    (tmp_path / "words.png").write_text("no picture at all")
    (tmp_path / "empty.jpg").write_bytes(b"")
    for name in ("missing.png", "words.png", "empty.jpg", "."):
        assert repr(str(tmp_path / name))[1:-1] in rag("search", "--image", tmp_path / name, status=2).stderr
    assert "missing.png" in rag("ask", "What is this?", "--image", tmp_path / "missing.png", status=2).stderr
    assert "nowhere" in rag("search", "--like", "nowhere", status=2).stderr
    gone = "00000000-0000-0000-0000-000000000000"
    assert gone in rag("search", "--like", gone, status=2).stderr
    assert "empty" in rag("search", status=2).stderr


def test_pictures_that_cannot_be_read_are_reported_by_name(rag: Rag, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "empty.png").write_bytes(b"")
    (folder / "words.jpg").write_text("not a picture")
    draw(SCENE, 1).save(folder / "whole.png")
    (folder / "cut.png").write_bytes((folder / "whole.png").read_bytes()[:300])
    report = rag.json("add", folder, status=1)
    told = [*report["failed"], *report["warnings"]]  # of the cut one there may be something left to see
    assert {Path(one["path"]).name for one in told} == {"empty.png", "words.jpg", "cut.png"}
    assert {"empty.png", "words.jpg"} <= {Path(failure["path"]).name for failure in report["failed"]}
    assert all(one["error"] for one in told)
    assert "empty.png" in rag("add", folder, status=1).stderr


@pytest.mark.model
def test_pictures_are_found_by_what_they_look_like(album: tuple[Rag, Path], small_clip: Path, tmp_path: Path) -> None:
    """The image embedder comes later and looks at what is there; then words and pictures find pictures."""
    blind, folder = album
    shutil.copytree(blind.home, tmp_path / "home")
    rag = Rag(tmp_path / "home", RAG_IMAGE_EMBEDDER=str(small_clip), RAG_PRECISION="fp32")
    assert rag.json("look") == {"seen": 5, "pictures": 5, "unseen": 0}
    assert rag.json("look")["seen"] == 0
    more = tmp_path / "more"
    more.mkdir()
    for number, scene in enumerate(OTHERS[2:]):
        draw(scene, 100 + number).save(more / f"{number}.png")
    assert rag.json("add", more)["unseen"] == 0

    hit = rag.json("search", SCENE.caption)["hits"][0]
    assert {Path(hit["path"]).name, Path(hit["also"][0]["path"]).name} == {"drawing.png", "trip.md"}
    assert hit["found_by"]["image"]["rank"] in (1, 2)  # the same picture is there twice
    assert 0 < hit["found_by"]["image"]["chance"] < 0.05

    draw(SCENE, 5).save(tmp_path / "alike.png")
    for asked in (folder / "drawing.png", tmp_path / "alike.png"):
        hit = rag.json("search", "--image", asked)["hits"][0]
        assert {Path(hit["path"]).name, *(Path(other["path"]).name for other in hit["also"])} == {
            "drawing.png",
            "trip.md",
        }
        assert "likeness" in hit["found_by"]

    [drawing] = [same["chunk"] for same in (hit, *hit["also"]) if Path(same["path"]).name == "drawing.png"]
    by_path = rag.json("search", "--like", folder / "drawing.png")["hits"]
    assert by_path == rag.json("search", "--like", drawing)["hits"]
    assert drawing not in [other["chunk"] for other in by_path]
    assert "drawing.png" not in [Path(other["path"]).name for other in by_path]
    assert "the same picture: " in rag("search", SCENE.caption).stdout
