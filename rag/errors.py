"""Every error that Commonplace raises on purpose. The message names the thing and the remedy.

RagError
├── ConfigError            a setting is wrong or unknown
├── InvalidQuery           a search or filter that cannot be run as written
├── TooBusy                others are waiting for the same model already
├── UnreadableFile         a file that no reader can take in
├── DocumentNotFound       no such document in the library
├── ModelError             a model cannot be used
│   ├── ModelNotFound      it is not on this machine
│   ├── ModelCorrupt       its checksum is not the expected one
│   └── ServerError        the server that has it cannot be reached or does not answer as it should
├── ArchiveError           an archive of a library cannot be read or written
├── LabError               the lab cannot use its data or its checkpoint
├── GenerationError        the language model failed while writing
│   └── PromptTooLong      the question alone does not fit its context
└── StoreError             the index cannot be used
    ├── IndexMismatch      another embedder wrote it
    ├── LibraryBusy        another process is writing to it
    └── DiskFull           there is no room left to write
"""


class RagError(Exception):
    """Base of all errors that are ours; its text is written for the person at the screen."""


class ConfigError(RagError):
    """A setting is wrong or unknown."""


class InvalidQuery(RagError):
    """A search or filter that cannot be run as written."""


class TooBusy(RagError):
    """Others are waiting for the same model already; asking again in a moment helps."""


class UnreadableFile(RagError):
    """A file that no reader can take in."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path!r}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type["UnreadableFile"], tuple[str, str]]:
        return (UnreadableFile, (self.path, self.reason))  # it crosses from reader processes


class DocumentNotFound(RagError):
    """No such document in the library."""


class ModelError(RagError):
    """A model cannot be used."""


class ModelNotFound(ModelError):
    """The model is not on this machine."""


class ModelCorrupt(ModelError):
    """The model's checksum is not the expected one."""


class ServerError(ModelError):
    """A model server cannot be reached, or does not answer as it should.

    `status` is that of its HTTP answer, 0 where there was none; `said` is what the server itself said of it.
    """

    def __init__(self, message: str, status: int = 0, said: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.said = said


class ArchiveError(RagError):
    """An archive of a library cannot be read or written, or does not go where it should."""


class TuneError(RagError):
    """The retriever cannot be taught or judged as asked: too little to learn from, or a training that broke."""


class LabError(RagError):
    """The lab cannot use its data or its checkpoint."""


class GenerationError(RagError):
    """The language model failed while writing."""


class PromptTooLong(GenerationError):
    """The question alone does not fit the model's context."""


class StoreError(RagError):
    """The index cannot be used."""


class IndexMismatch(StoreError):
    """Another embedder wrote the index."""


class LibraryBusy(StoreError):
    """Another process is writing to the library."""


class DiskFull(StoreError):
    """There is no room left to write."""
