"""Getting a model: from the hub, or from a folder of this machine, checked, and whole or not at all.

What comes is written beneath `RAG_HOME/models/.partial`, where no part of the program looks, and stays there if it is
cut off: the same call goes on. When every file has the checksum that was promised, the folder is moved to its name.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from threading import Event
from typing import Any

from filelock import FileLock, Timeout

from rag.errors import DiskFull, ModelCorrupt, ModelError, ModelNotFound
from rag.models.catalogue import Entry, find_entry
from rag.models.choose import choose
from rag.models.folder import local_model
from rag.models.installed import MANIFEST, NAME, Installed, installed_model, kind_of, models_folder
from rag.models.origin import HUB, OfferedFile, Origin, Stopped, no_room

FORMAT = 1  # of manifest.json

_SPARE = 256 << 20  # bytes that stay free on the disk
_FRAME = 0.1  # seconds between two words of how far it has come
_PARTIAL = ".partial"
_MEANS_OTHERS = ("auto", "none", "starter", "hashing")  # in the settings
_PROMPTS = "config_sentence_transformers.json"


class _Unusable(ModelError):
    """It cannot be used here, however much of it is fetched."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """How far a pull has come, in bytes. `rate` is of this call, per second; `seconds_left` None until there is one."""

    name: str
    file: str
    done: int
    total: int
    rate: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be pulled: from where, which files, under which name, and what is known of it beforehand."""

    name: str
    reference: str  # "hf:owner/name" or a path
    revision: str = "main"
    patterns: tuple[str, ...] = ()
    entry: Entry | None = None


def wanted(reference: str, *, name: str = "", patterns: Sequence[str] = ()) -> Wanted:
    """What `reference` means: a name of the catalogue, "hf:owner/name[@revision]", or a path. `name` is to be its own.

    Raises:
        ModelNotFound: it is none of these.
        ModelError: it cannot be called so.
    """
    entry = find_entry(reference)
    if entry is not None:
        chosen = tuple(patterns) or entry.files
        found = Wanted(name or entry.name, HUB + entry.repository, entry.revision, chosen, entry)
    elif reference.startswith(HUB):
        repository, _, revision = reference.removeprefix(HUB).partition("@")
        found = Wanted(name or repository.rpartition("/")[2], HUB + repository, revision or "main", tuple(patterns))
    else:
        path = Path(reference).expanduser().absolute()
        if not path.exists():
            raise ModelNotFound(
                f"{reference!r} is no model of the catalogue (see `rag models list`), no hf:owner/name and no path"
            )
        found = Wanted(name or (path.stem if path.is_file() else path.name), str(path), "", tuple(patterns))
    if not NAME.fullmatch(found.name) or found.name in _MEANS_OTHERS:
        raise ModelError(
            f"a model cannot be called {found.name!r}; give it another name with --name: letters and digits"
        )
    return found


def pull(
    reference: str,
    home: Path,
    *,
    name: str = "",
    patterns: Sequence[str] = (),
    on_progress: Callable[[Transfer], None] | None = None,
    stop: Event | None = None,
) -> Installed | None:
    """Install a model in `home`; None if it was stopped, to be gone on with by the same call.

    A model that is there from the same source and revision is left as it is. Another revision does not take its
    place, for an index may rely on it: it goes beside it, under another name.

    Raises:
        ModelNotFound: there is no such model.
        ModelCorrupt: what came is not what was promised; nothing of it is kept.
        ModelError: it cannot be had or cannot be used here, or another model has its name.
        DiskFull: there is no room for it.
    """
    asked = wanted(reference, name=name, patterns=patterns)
    with _alone(asked.name, home), _network(asked):
        there = installed_model(asked.name, home)
        if there is not None and (there.source, there.revision) == (asked.reference, asked.revision):
            return there  # pinned: that needs no network
        origin = _origin(asked)
        if there is not None:
            return _same(there, origin)
        staging = _staging(home, asked.name, origin.revision)
        try:
            _bring(asked, origin, staging, on_progress or (lambda _: None), stop or Event())
            return _place(asked, origin, staging, home)
        except Stopped:
            return None
        except (ModelCorrupt, _Unusable):
            shutil.rmtree(staging, ignore_errors=True)
            raise


def remove(name: str, home: Path) -> int:
    """Delete an installed model, or what came of one that was cut off; how many bytes that frees.

    Whether it is in use is the caller's to know.

    Raises:
        ModelNotFound: there is no model of that name.
        ModelError: it cannot be deleted.
    """
    with _alone(name, home):
        partial = models_folder(home) / _PARTIAL
        gone = [*partial.glob(f"{name}@*")]
        if (there := installed_model(name, home)) is not None:
            grave = partial / f"{name}@removed"
            try:
                there.folder.replace(grave)
            except OSError as exc:
                raise ModelError(f"cannot remove {name!r}: {exc.strerror}; is another program using it?") from exc
            gone.append(grave)
        if not gone:
            raise ModelNotFound(f"there is no model {name!r} here; see `rag models list`")
        freed = sum(path.stat().st_size for folder in gone for path in folder.rglob("*") if path.is_file())
        for folder in gone:
            shutil.rmtree(folder, ignore_errors=True)
        return freed


# --- bringing it here ---


def _origin(asked: Wanted) -> Origin:
    if not asked.reference.startswith(HUB):
        return local_model(Path(asked.reference))
    from rag.models.hub import look_up  # the hub's library takes a while to import: only who goes there pays

    return look_up(asked.reference.removeprefix(HUB), asked.revision)


def _same(there: Installed, origin: Origin) -> Installed:
    """What is installed, if it is what is asked for.

    Raises:
        ModelError: it is something else.
    """
    if (there.source, there.revision) == (origin.source, origin.revision):
        return there
    what = f"from {there.source}, revision {there.revision or 'unknown'}" if there.source else "put there by hand"
    raise ModelError(
        f"another model is called {there.name!r} ({what}); choose a name with --name, or remove it first: "
        f"rag models remove {there.name}"
    )


def _bring(asked: Wanted, origin: Origin, staging: Path, on_progress: Callable[[Transfer], None], stop: Event) -> None:
    """Every file that is needed, whole and checked, into `staging`. The small ones first: they may rule it out."""
    names = set(choose([file.name for file in origin.files], asked.patterns)) - {MANIFEST}
    files = sorted((file for file in origin.files if file.name in names), key=lambda file: (file.bytes, file.name))
    known = asked.entry.sha256 if asked.entry else {}
    for file in files:
        if file.sha256 and known.get(file.name, file.sha256) != file.sha256:
            raise ModelCorrupt(
                f"{file.name!r} of {origin.source} has sha256 {file.sha256}, and the catalogue says "
                f"{known[file.name]}; nothing was downloaded"
            )
    meter = _Meter(asked.name, files, staging, on_progress)
    _check_room(staging, meter.total - meter.done)
    for file in files:
        meter.begin(file.name)
        target = _target(staging, file)
        if not target.is_file():
            _bring_one(origin, file, target, known.get(file.name, ""), meter, stop)
        if file.name in ("config.json", "modules.json"):
            _check_code(target)


def _bring_one(origin: Origin, file: OfferedFile, target: Path, known: str, meter: "_Meter", stop: Event) -> None:
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    origin.fetch(file, part, meter.add, stop)
    found = _sha256(part)
    expected = known or file.sha256
    if (expected and found != expected) or (not expected and file.blob and _git_id(part) != file.blob):
        raise ModelCorrupt(
            f"{file.name!r} of {origin.source} is not what was promised (its sha256 is {found}"
            f"{', expected ' + expected if expected else ''}); nothing was installed. Try again, or report it there"
        )
    part.replace(target)


def _target(staging: Path, file: OfferedFile) -> Path:
    """Where a file goes. GGUF files stand at the top, in whichever folder they were."""
    return staging / (PurePosixPath(file.name).name if file.name.endswith(".gguf") else file.name)


class _Meter:
    """Adds up what came, and tells of it now and then."""

    def __init__(
        self, name: str, files: Sequence[OfferedFile], staging: Path, on_progress: Callable[[Transfer], None]
    ) -> None:
        self._name, self._file, self._tell = name, "", on_progress
        self.total = sum(file.bytes for file in files)
        self.done = self._before = sum(_there(_target(staging, file)) for file in files)
        self._begun, self._told = time.monotonic(), 0.0

    def begin(self, file: str) -> None:
        self._file = file
        self._show()

    def add(self, count: int) -> None:
        self.done += count
        if time.monotonic() - self._told >= _FRAME:
            self._show()

    def _show(self) -> None:
        self._told = time.monotonic()
        rate = (self.done - self._before) / max(self._told - self._begun, 1e-6)
        left = (self.total - self.done) / rate if rate > 0 else None
        self._tell(Transfer(self._name, self._file, min(self.done, self.total), self.total, rate, left))


def _there(target: Path) -> int:
    """Bytes of a file that are here already."""
    part = target.with_name(target.name + ".part")
    return next((path.stat().st_size for path in (target, part) if path.is_file()), 0)


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed + _SPARE > free:
        raise DiskFull(
            f"{(needed + _SPARE) / 1e9:.1f} GB are needed at {str(folder.parent.parent)!r} and {free / 1e9:.1f} GB "
            "are free; free some space, or set RAG_HOME to another disk"
        )


def _check_code(path: Path) -> None:
    """Refuse a model that only works with program code of its own, which is never run here.

    Raises:
        ModelError: it does.
        ModelCorrupt: it is no such file.
    """
    try:
        told = json.loads(path.read_text("utf-8"))
    except ValueError as exc:
        raise ModelCorrupt(f"{path.name!r} is not JSON ({exc}); nothing was installed") from exc
    foreign = None
    if path.name == "modules.json" and isinstance(told, list):
        types = [str(module.get("type", "")) for module in told if isinstance(module, dict)]
        foreign = next((name for name in types if not name.startswith("sentence_transformers.")), None)
    elif path.name == "config.json" and isinstance(told, dict):
        foreign = str(told.get("model_type")) if "auto_map" in told and not _is_known(told) else None
    else:
        raise ModelCorrupt(f"{path.name!r} holds something else than it should; nothing was installed")
    if foreign is not None:
        raise _Unusable(f"it needs program code of its own for {foreign!r}, which is never run here; take another")


def _is_known(config: Mapping[str, Any]) -> bool:
    from transformers import CONFIG_MAPPING

    return config.get("model_type") in CONFIG_MAPPING


# --- placing it ---


def _place(asked: Wanted, origin: Origin, staging: Path, home: Path) -> Installed:
    """Give the folder its manifest and its name: one rename, so that it is there wholly or not at all."""
    kind = kind_of(staging)
    if kind is None:
        raise _Unusable(f"{asked.reference!r} is no embedder, reranker, CLIP or language model that is used here")
    if asked.entry is not None:
        _write_prompts(staging, asked.entry.prompts)
    placed = [path for path in sorted(staging.rglob("*")) if path.is_file()]
    manifest = {
        "format": FORMAT,
        "source": origin.source,
        "revision": origin.revision,
        "licence": origin.licence or (asked.entry.licence if asked.entry else ""),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": {path.relative_to(staging).as_posix(): _sha256(path) for path in placed},
    }
    target = models_folder(home) / asked.name
    try:
        (staging / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
        staging.replace(target)
    except OSError as exc:
        raise no_room(exc, target) from exc
    for left in target.parent.glob(f"{_PARTIAL}/{asked.name}@*"):
        shutil.rmtree(left, ignore_errors=True)
    found = installed_model(asked.name, home)
    if found is None:
        raise ModelError(f"{asked.name!r} went away while it was being installed; run the command again")
    return found


def _write_prompts(folder: Path, prompts: Mapping[str, str]) -> None:
    """Tell sentence-transformers what to put before a text, where the model was trained so and does not say it."""
    if not prompts:
        return
    path = folder / _PROMPTS
    told = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if not any((told.get("prompts") or {}).values()):
        path.write_text(json.dumps({**told, "prompts": dict(prompts)}, indent=1) + "\n", "utf-8")


def _staging(home: Path, name: str, revision: str) -> Path:
    """Where this revision is put together. What came of another one, or of a folder, is of no use."""
    staging = models_folder(home) / _PARTIAL / f"{name}@{revision[:40] or 'copy'}"
    for other in staging.parent.glob(f"{name}@*"):
        if other != staging or not revision:
            shutil.rmtree(other, ignore_errors=True)
    staging.mkdir(parents=True, exist_ok=True)
    return staging


@contextmanager
def _alone(name: str, home: Path) -> Iterator[None]:
    """Keep others from pulling or removing that model at the same time."""
    if not NAME.fullmatch(name):
        raise ModelNotFound(f"there is no model {name!r} here; see `rag models list`")
    partial = models_folder(home) / _PARTIAL
    partial.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(partial / f"{name}.lock", timeout=0):
            yield
    except Timeout as exc:
        raise ModelError(f"{name!r} is being pulled or removed by another command; wait for it to end") from exc


def _network(asked: Wanted) -> AbstractContextManager[None]:
    """Lets this thread go out where the model is on the hub."""
    if not asked.reference.startswith(HUB):
        return nullcontext()
    from rag.models.hub import online

    return online()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_id(path: Path) -> str:
    """The id of a file as a git object, which is what the hub tells of files that are not large."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
