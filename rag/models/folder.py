"""A model that is in a folder or a file of this machine already, e.g. on a stick: to be copied, with no network."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from rag.errors import ModelError, ModelNotFound
from rag.models.origin import OfferedFile, Stopped, no_room

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A folder of model files. It has no revision; its files are what they are."""

    source: str
    folder: Path
    files: tuple[OfferedFile, ...]
    revision: str = ""
    licence: str = ""

    def fetch(self, file: OfferedFile, to: Path, on_bytes: Callable[[int], None], stop: Event) -> None:
        """See `Origin.fetch`."""
        try:
            with (self.folder / file.name).open("rb") as old, to.open("wb") as new:
                while piece := old.read(_PIECE):
                    if stop.is_set():
                        raise Stopped
                    new.write(piece)
                    on_bytes(len(piece))
        except OSError as exc:
            raise no_room(exc, to) from exc


def local_model(path: Path) -> LocalModel:
    """The model in the folder `path`, or the GGUF file `path` with what is needed from beside it.

    Raises:
        ModelNotFound: there is nothing at `path`.
        ModelError: it is a file of another kind.
    """
    if path.is_dir():
        names = [one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file()]
        return LocalModel(str(path), path, tuple(_file(path, name) for name in sorted(names)))
    if not path.is_file():
        raise ModelNotFound(f"there is nothing at {str(path)!r}")
    if path.suffix != ".gguf":
        raise ModelError(f"{str(path)!r} is no GGUF file; for a model of another kind give its folder")
    return LocalModel(str(path), path.parent, (_file(path.parent, path.name),))


def _file(folder: Path, name: str) -> OfferedFile:
    return OfferedFile(name, (folder / name).stat().st_size)
