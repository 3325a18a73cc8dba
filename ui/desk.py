"""What one running server keeps: the library, its jobs, the answers being written and how far the models are."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from rag.api.gate import Gate
from rag.errors import RagError
from rag.library import Library
from rag.models.findings import Check
from rag.models.servers import FoundServer
from rag.records import Conversation
from ui.asked import AskedPictures
from ui.chat import title_from
from ui.doctor import Examination
from ui.evaluation import OwnQuestions
from ui.jobs import Job, Jobs
from ui.model_tasks import ModelTasks
from ui.pulse import Pulse
from ui.runs import Run, Runs
from ui.status import Warmth
from ui.tune_tasks import Tuning
from ui.welcome import first_questions

_PATIENCE = 10.0  # seconds that a job or an answer has to end, once it is told to


class Desk:
    """Shared by all pages of this server; there is one person, who may have several windows open."""

    def __init__(self, library: Library, uploads: Path) -> None:
        self.library = library
        self.uploads = uploads
        self.pulse = Pulse()
        self.jobs = Jobs(library, self.pulse)
        self.servers: tuple[FoundServer, ...] | None = None  # those that were found when last looked for
        self.model_tasks = ModelTasks(library, library.settings.home, self.pulse)
        self.examination = Examination(self._examined)
        self.tuning = Tuning(library, self.pulse)
        self.own = OwnQuestions(library, self.pulse)
        self.answers = Gate()
        self.runs = Runs(library, library.conversations, self.pulse, self.answers)
        self.pictures = AskedPictures(library, uploads)
        self.warmth = Warmth()
        self._warming = threading.Lock()
        self._warm_begun = False
        self._questions: tuple[int, list[str]] = (-1, [])

    def warm(self) -> None:
        """Load the models in the background, once."""
        with self._warming:
            if not self._warm_begun:
                self._warm_begun = True
                threading.Thread(target=self._warm, name="warming", daemon=True).start()

    def _warm(self) -> None:
        with self.pulse:
            try:
                self.library.warm()
                self.warmth = Warmth(loading=False)
                self._look()
            except RagError as error:
                self.warmth = Warmth(loading=False, error=str(error))
            except Exception as error:  # noqa: BLE001  the page must say it: nobody reads the terminal
                self.warmth = Warmth(loading=False, error=f"unexpected {type(error).__name__}: {error}")

    def _look(self) -> None:
        """Go on with the pictures that nobody has looked at, e.g. because the image embedder came after them."""
        status = self.library.status()
        if status.unseen and any(model.role == "image embedder" for model in status.models):
            self.jobs.look()

    def _examined(self) -> Iterator[Check]:
        from rag.models.doctor import examined  # with torch, which comes late

        return examined(self.library.settings, *self.library.models(), self.library.image_embedder)

    def close(self) -> None:
        """Let what is being indexed and written come to an orderly end, before the library is closed."""
        self.own.stop()
        self.model_tasks.close(_PATIENCE)
        self.jobs.close(_PATIENCE)
        self.runs.close(_PATIENCE)

    def conversation(self, name: str) -> Conversation | None:
        """The conversation of that id, or None when there is none (any more)."""
        if not name:
            return None
        try:
            return self.library.conversations.get(name)
        except RagError:
            return None

    def ask(self, name: str, question: str, picture: str = "") -> Run:
        """Begin an answer in that conversation, or in a new one named after the question.

        Raises:
            RagError: the picture of that digest is not there any more.
        """
        asked = self.pictures.get(picture)
        conversation = self.conversation(name) or self.library.conversations.create(title_from(question, picture))
        return self.runs.start(conversation, question, asked)

    def adopt(self, files: Sequence[str]) -> Job | None:
        """Queue files that the browser uploaded here; a path from anywhere else is not taken."""
        root = self.uploads.resolve()
        received = [path for path in files if Path(path).resolve().is_relative_to(root) and Path(path).is_file()]
        return self.jobs.adopt(received) if received else None

    def reread(self, path: str) -> Job | None:
        """Queue a file again; only one that is listed as failed, so that no page can name any other."""
        known = {failure.path for failure in self.library.failures()}
        return self.jobs.add([path]) if path in known else None

    def questions(self) -> list[str]:
        """Three questions for the first screen, made again when the library has changed."""
        documents = self.library.status().documents
        if self._questions[0] != documents:
            self._questions = (documents, first_questions(self.library))
        return self._questions[1]
