"""Which models wrote this index? A small JSON file beside it says so.

Another text embedder is refused: it would find nothing, and gets a version of the index of its own. Another image
embedder is not: only the vectors of pictures are its own, they are kept apart from those of others (see LanceStore),
and missing ones are made by looking again.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rag.errors import IndexMismatch, StoreError
from rag.files import write_whole
from rag.protocols import IMAGE_SPACE, Embedder, ImageEmbedder

_SCHEMA = 3  # 1 knew no image embedder, 2 not how the settings name the text embedder


@dataclass(frozen=True, slots=True)
class Manifest:
    """What made an index. `chunker` is the version of the rules that cut the chunks; `created` is ISO 8601, UTC.

    The `image_` fields are of the image embedder that was last in use, None where there never was one. `reference` is
    what the settings call the text embedder, "" where that is not known.
    """

    schema: int
    space: str
    embedder: str
    fingerprint: str
    dim: int
    chunker: int
    created: str
    image_embedder: str | None = None
    image_fingerprint: str | None = None
    image_dim: int | None = None
    reference: str = ""

    @classmethod
    def of(
        cls,
        embedder: Embedder,
        image_embedder: ImageEmbedder | None = None,
        chunker: int = 1,
        reference: str = "",
    ) -> "Manifest":
        """The manifest of an index that these embedders begin now."""
        begun = cls(
            schema=_SCHEMA,
            space=embedder.space,
            embedder=embedder.state.name,
            fingerprint=embedder.fingerprint,
            dim=embedder.dim,
            chunker=chunker,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            reference=reference,
        )
        return with_image_embedder(begun, image_embedder)


def index_spaces(manifest: Manifest) -> dict[str, int]:
    """The spaces of an index with the dimensions of their vectors, that of pictures last where it has one."""
    image = {IMAGE_SPACE: manifest.image_dim} if manifest.image_dim is not None else {}
    return {manifest.space: manifest.dim, **image}


def models_of(manifest: Manifest) -> dict[str, str]:
    """The fingerprints of the models behind those spaces of an index that may get another one."""
    return {IMAGE_SPACE: manifest.image_fingerprint} if manifest.image_fingerprint is not None else {}


def with_image_embedder(manifest: Manifest, image_embedder: ImageEmbedder | None) -> Manifest:
    """`manifest` as if this image embedder had been in use, or none."""
    return replace(
        manifest,
        image_embedder=image_embedder.state.name if image_embedder else None,
        image_fingerprint=image_embedder.fingerprint if image_embedder else None,
        image_dim=image_embedder.dim if image_embedder else None,
    )


def with_looks_of(manifest: Manifest, other: Manifest) -> Manifest:
    """`manifest` with the image embedder of `other`, None too."""
    looks = {name: getattr(other, name) for name in ("image_embedder", "image_fingerprint", "image_dim")}
    return replace(manifest, **looks)


def is_same_space(one: Manifest, other: Manifest) -> bool:
    """Whether the texts of both were embedded by the same model, so that their vectors can be compared."""
    return (one.space, one.fingerprint, one.dim) == (other.space, other.fingerprint, other.dim)


def check_manifest(path: Path, expected: Manifest) -> Manifest:
    """The manifest at `path`, written now from `expected` when there is none, or one of an older program.

    The image embedder that `expected` names takes the place of another one, and so does the reference to the text
    embedder; where it names none, the old one stays.

    Raises:
        IndexMismatch: the index was written by another text embedder than `expected` names.
        StoreError: the file cannot be read or written, is damaged, or is of a newer program.
    """
    found = read_manifest(path)
    if found is None:
        write_manifest(path, expected)
        return expected
    if not is_same_space(found, expected):
        raise IndexMismatch(
            f"the index in {str(path.parent)!r} was written by {named(found)}, the settings name {named(expected)}; "
            f"run `rag models use {expected.reference or expected.embedder}` to embed the library with that one, "
            "or set embedder to 'auto' to go on with the one that wrote it"
        )
    current = replace(found, schema=_SCHEMA, reference=expected.reference or found.reference)
    if expected.image_fingerprint not in (None, found.image_fingerprint):
        current = replace(
            current,
            image_embedder=expected.image_embedder,
            image_fingerprint=expected.image_fingerprint,
            image_dim=expected.image_dim,
        )
    if current != found:
        write_manifest(path, current)
    return current


def read_manifest(path: Path) -> Manifest | None:
    """The manifest at `path`, None when there is no such file; StoreError when it cannot be used."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise StoreError(f"cannot read {str(path)!r}: {exc}; {_REMEDY}") from exc
    return as_manifest(values, str(path))


def as_manifest(values: Any, name: str) -> Manifest:
    """A manifest from its values, also those that an older program wrote; `name` is what they were read from.

    Raises:
        StoreError: they are of a newer program, or are no manifest.
    """
    if isinstance(values, dict) and isinstance(values.get("schema"), int) and values["schema"] > _SCHEMA:
        raise StoreError(f"{name!r} was written by a newer Commonplace; update the program")
    if not _is_whole(values):
        raise StoreError(f"{name!r} is not a manifest of Commonplace; {_REMEDY}")
    return Manifest(**values)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the file; DiskFull or StoreError where it cannot be."""
    write_whole(path, json.dumps(asdict(manifest), indent=2).encode(), StoreError)


_REMEDY = "move the folder away and add the files again"
_TYPES: dict[str, Any] = {field.name: field.type for field in fields(Manifest)}


def _is_whole(values: Any) -> bool:
    if not isinstance(values, dict) or not values.keys() <= _TYPES.keys():
        return False
    absent = [name for name in _TYPES if name not in values and not name.startswith(("image_", "reference"))]
    return not absent and all(isinstance(value, _TYPES[name]) for name, value in values.items())


def named(manifest: Manifest) -> str:
    """The text embedder as a message tells it."""
    return f"{manifest.embedder!r} ({manifest.dim} numbers, fingerprint {manifest.fingerprint[:12]})"
