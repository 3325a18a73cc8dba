"""Pictures that are asked with come from the folder of uploads only, and are kept by what they are."""

import hashlib
from pathlib import Path

import pytest

from rag.errors import UnreadableFile
from tests.patience import until
from tests.ui.fakes import FakeLibrary, encoded
from ui.asked import AskedPictures, render_alike, render_asked, render_refused
from ui.desk import Desk
from ui.runs import history


@pytest.fixture
def pictures(library: FakeLibrary, tmp_path: Path) -> AskedPictures:
    (tmp_path / "uploads").mkdir()
    return AskedPictures(library, tmp_path / "uploads")


def upload(folder: Path, data: bytes, name: str = "pasted.png") -> str:
    (folder / "uploads" / name).write_bytes(data)
    return str(folder / "uploads" / name)


def test_a_picture_is_found_again_by_its_digest_as_it_was_given(pictures: AskedPictures, tmp_path: Path) -> None:
    data = encoded("red")
    digest = pictures.take(upload(tmp_path, data))
    assert digest == hashlib.sha256(data).hexdigest()
    asked = pictures.get(digest)
    assert asked is not None
    assert asked.data == data


def test_after_a_restart_the_kept_one_serves(library: FakeLibrary, pictures: AskedPictures, tmp_path: Path) -> None:
    path = upload(tmp_path, encoded("red"))
    digest = pictures.take(path)
    Path(path).unlink()
    asked = pictures.get(digest)
    assert asked is not None
    assert asked.data == library.kept[digest]
    fresh = AskedPictures(library, tmp_path / "uploads").get(digest)
    assert fresh is not None
    assert fresh.data == library.kept[digest]


@pytest.mark.parametrize("where", ["{home}/secret.png", "{home}/uploads/../secret.png", "/etc/hostname", ""])
def test_no_page_can_name_any_other_file(pictures: AskedPictures, tmp_path: Path, where: str) -> None:
    (tmp_path / "secret.png").write_bytes(encoded("red"))
    with pytest.raises(UnreadableFile, match="was not received"):
        pictures.take(where.format(home=tmp_path))


def test_what_is_no_picture_is_named_with_the_reason(pictures: AskedPictures, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"'pasted\.png': it is not a picture"):
        pictures.take(upload(tmp_path, b"only words"))


def test_no_digest_no_picture(pictures: AskedPictures) -> None:
    assert pictures.get("") is None
    assert pictures.get("../../etc") is None
    with pytest.raises(UnreadableFile, match="not kept"):
        pictures.get("0" * 64)


def test_tiles_say_what_they_are_for_and_can_be_left_out() -> None:
    digest = "a" * 64
    made = render_asked(digest, "chat")
    assert f'src="/asked/{digest}"' in made
    assert f'data-picture="{digest}"' in made
    assert 'data-do="detach"' in made
    assert 'data-where="chat"' in made
    alike = render_alike("0" * 32, 2, "<b>Beds</b>", "x")
    assert "More like “&lt;b&gt;Beds&lt;/b&gt;”" in alike
    assert 'role="alert"' in render_refused("it is empty", "search")


def test_a_picture_alone_is_a_question_and_is_kept_with_its_answer(library: FakeLibrary, tmp_path: Path) -> None:
    library.eyes = True
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    desk = Desk(library, uploads)  # type: ignore[arg-type]
    digest = desk.pictures.take(upload(tmp_path, encoded("red")))
    run = desk.ask("", "", digest)
    assert run.picture == digest
    until(lambda: desk.runs.get(run.conversation) is None)
    kept = library.conversations.get(run.conversation)
    assert kept.title == "A picture"
    assert kept.turns[0].answer.picture == digest
    assert history(kept)[0].text == "(a picture)"
