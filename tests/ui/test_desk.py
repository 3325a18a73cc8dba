"""What a page may ask for: only uploads are adopted, only listed failures are read again."""

from pathlib import Path

from rag.errors import ModelCorrupt
from tests.patience import until
from tests.ui.fakes import FakeLibrary
from ui.desk import Desk


def desk(library: FakeLibrary, uploads: Path) -> Desk:
    uploads.mkdir(parents=True, exist_ok=True)
    return Desk(library, uploads)  # type: ignore[arg-type]


def test_only_uploaded_files_are_adopted(library: FakeLibrary, tmp_path: Path) -> None:
    here = desk(library, tmp_path / "uploads")
    secret = tmp_path / "secret.md"
    secret.write_text("not yours")
    (tmp_path / "uploads" / "link.md").symlink_to(secret)
    assert here.adopt([str(secret), str(tmp_path / "uploads" / ".." / "secret.md")]) is None
    assert here.adopt([str(tmp_path / "uploads" / "link.md"), "/etc/passwd", "", "missing"]) is None
    real = tmp_path / "uploads" / "a.md"
    real.write_text("mine")
    job = here.adopt([str(secret), str(real)])
    assert job is not None
    assert job.paths == (str(real),)


def test_only_failed_files_are_read_again(library: FakeLibrary, tmp_path: Path) -> None:
    here = desk(library, tmp_path / "uploads")
    assert here.reread("/etc/passwd") is None
    again = tmp_path / "again.md"
    again.write_text("now it has words")
    library.bad[str(again)] = "it is empty"
    assert here.reread(str(again)) is not None
    until(lambda: not library.failures())


def test_models_that_cannot_be_loaded_are_said(library: FakeLibrary, tmp_path: Path) -> None:
    def warm() -> None:
        raise ModelCorrupt("the checksum of the model is wrong; install it again")

    library.warm = warm  # type: ignore[method-assign]
    here = desk(library, tmp_path / "uploads")
    assert here.warmth.loading
    here.warm()
    until(lambda: not here.warmth.loading)
    assert here.warmth.error == "the checksum of the model is wrong; install it again"


def test_asking_without_a_conversation_begins_one(library: FakeLibrary, tmp_path: Path) -> None:
    here = desk(library, tmp_path / "uploads")
    run = here.ask("", "When does the queen leave?")
    until(lambda: here.runs.get(run.conversation) is None)
    assert [c.title for c in library.conversations.list()] == ["When does the queen leave?"]
    again = here.ask(run.conversation, "And the train?")
    assert again.conversation == run.conversation
    until(lambda: here.runs.get(run.conversation) is None)


def test_questions_are_made_again_when_the_library_changes(library: FakeLibrary, tmp_path: Path) -> None:
    here = desk(library, tmp_path / "uploads")
    assert here.questions() == ["What does “Bees” say about “Swarms”?", "What is “Night train” about?"]
    library.remove([library.documents("bees")[0].id])
    assert here.questions() == ["What is “Night train” about?"]
