"""Which files make up an open_clip model, and what they say about it. Reads JSON only: neither torch nor weights.

Three ways to name one: a folder ("local-dir:" before it is allowed) with open_clip_config.json and its weights;
"hf-hub:<organisation>/<name>", looked up in the local cache of the hub and nowhere else; or
"<architecture>@<weights.safetensors>" with an architecture that open_clip knows by name.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rag.errors import ModelCorrupt, ModelError, ModelNotFound

CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"
LOCAL = "local-dir:"
HUB = "hf-hub:"

_WEIGHTS = (WEIGHTS, "open_clip_pytorch_model.safetensors", "model.safetensors")  # in open_clip's order
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_TOKENIZER = ("tokenizer*", "*.model", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json")
_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "spiece.model", "sentencepiece.bpe.model", "vocab.txt")
_FORMAT = 1  # of the fingerprint: raise it when the same files come to mean other vectors


@dataclass(frozen=True)
class ClipFiles:
    """One model on disk. `model` and `preprocess` are the two halves of open_clip_config.json.

    `architecture` is the name of a configuration that comes with open_clip, "" where `folder` holds its own.
    `weights` is None for a model that is still to be trained. `tokenizer` is the folder of a tokenizer in the format
    of transformers; None: open_clip's own vocabulary.
    """

    name: str
    architecture: str
    folder: Path | None
    weights: Path | None
    model: Mapping[str, Any]
    preprocess: Mapping[str, Any]
    tokenizer: Path | None

    @property
    def dim(self) -> int:
        return int(self.model["embed_dim"])

    @property
    def text(self) -> Mapping[str, Any]:
        """The part of the configuration that shapes the text tower and its tokenizer."""
        return dict(self.model["text_cfg"])

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over weights, architecture, preprocessing and tokenizer; not over names and places."""
        settings = [_FORMAT, self.architecture, self.model, self.preprocess]
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        if self.weights is not None:
            digest.update(_checksum(self.weights))
        for path in _tokenizer_files(self.tokenizer):
            digest.update(path.name.encode() + _checksum(path))
        return digest.hexdigest()


def find_clip(setting: str, models: Path) -> ClipFiles | None:
    """The model that `setting` names; "auto" takes the first under `models` that is whole.

    None: "none", or "auto" where there is nothing to find. Then pictures are found by their words alone.

    Raises:
        ModelNotFound: it is not on this machine, or its weights are in a format that can run code.
        ModelCorrupt: its configuration cannot be read.
    """
    if setting == "none":
        return None
    if setting == "auto":
        return _first_in(models)
    if setting.startswith(HUB):
        name = setting.removeprefix(HUB)
        return clip_in(_cached_in_hub(name), name=name)
    architecture, at, weights = setting.partition("@")
    known = _known_architecture(architecture) if at else None
    if known is not None:
        return _by_architecture(architecture, known, Path(weights).expanduser().absolute())
    folder = Path(setting.removeprefix(LOCAL)).expanduser().absolute()
    if at and not folder.exists():
        raise ModelNotFound(f"open_clip has no architecture {architecture!r}; see open_clip.list_models()")
    return clip_in(folder)


def _first_in(models: Path) -> ClipFiles | None:
    wrong: ModelError | None = None
    for path in sorted(models.glob(f"*/{CONFIG}")):
        try:
            return clip_in(path.parent)
        except ModelError as exc:
            wrong = wrong or exc
    if wrong is not None:  # whoever put it there wants it to be used
        raise wrong
    return None


def clip_in(folder: Path, *, name: str = "", trained: bool = True) -> ClipFiles:
    """The model in `folder`; with `trained` false its configuration will do.

    Raises:
        As `find_clip`.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ModelNotFound(
            f"no open_clip model in {str(folder)!r}: {CONFIG!r} is missing. Give a folder that holds one, "
            f"'{HUB}<organisation>/<name>' or '<architecture>@<weights.safetensors>', or set image_embedder to 'none'"
        )
    config = read_config(path)
    return ClipFiles(
        name=name or folder.name,
        architecture="",
        folder=folder,
        weights=_weights_in(folder) if trained else None,
        model=config["model_cfg"],
        preprocess=config.get("preprocess_cfg", {}),
        tokenizer=_tokenizer_of(config["model_cfg"], folder),
    )


def _by_architecture(name: str, path: Path, weights: Path) -> ClipFiles:
    if weights.suffix in _PICKLED:
        raise _pickled(weights)
    if not weights.is_file():
        raise ModelNotFound(f"the weights {str(weights)!r} of the image embedder {name!r} are not there")
    model = _json(path)
    return ClipFiles(name, name, None, weights, model, {}, _tokenizer_of(model, weights.parent))


def read_config(path: Path) -> dict[str, Any]:
    """An open_clip_config.json, made sure to have the parts that are relied on.

    Raises:
        ModelCorrupt: it is not JSON, or lacks a part.
    """
    config = _json(path)
    model = config.get("model_cfg")
    parts = ("embed_dim", "vision_cfg", "text_cfg")
    if not isinstance(model, dict) or any(part not in model for part in parts):
        raise ModelCorrupt(f"{str(path)!r} lacks 'model_cfg' with {', '.join(parts)}; install the model again")
    return config


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as exc:
        raise ModelCorrupt(f"{str(path)!r} is not a configuration ({exc}); install the model again") from exc


def _weights_in(folder: Path) -> Path:
    """The safetensors file that open_clip would take."""
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    others = sorted(folder.glob("*.safetensors"))
    if others:
        return others[0]
    pickled = sorted(path for path in folder.iterdir() if path.suffix in _PICKLED)
    if pickled:
        raise _pickled(pickled[0])
    raise ModelNotFound(f"no weights in {str(folder)!r}: expected {WEIGHTS!r}; install the model again")


def _pickled(weights: Path) -> ModelNotFound:
    return ModelNotFound(
        f"{str(weights)!r} is a pickle, which can run any code when it is opened, and is not used. Get the model "
        f"as safetensors, or convert it in a place that you can afford to lose: "
        f"safetensors.torch.save_file(torch.load(old, weights_only=True), {WEIGHTS!r})"
    )


def _known_architecture(name: str) -> Path | None:
    """The configuration of that name in the package, found without importing it: that would load torch."""
    package = find_spec("open_clip")
    if package is None or package.origin is None or not name or "/" in name or "\\" in name:
        return None
    path = Path(package.origin).parent / "model_configs" / f"{name}.json"
    return path if path.is_file() else None


def _cached_in_hub(name: str, file: str = CONFIG) -> Path:
    """The folder of the newest snapshot of `name` in the hub's cache on this machine."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, file)
    except HFValidationError as exc:
        raise ModelNotFound(f"{name!r} is not a name on the model hub: {exc}") from exc
    if not isinstance(found, str):
        raise ModelNotFound(
            f"{name!r} is not in the hub's cache on this machine, and nothing is downloaded here; "
            f"put its folder under the library's models folder"
        )
    return Path(found).parent


def _tokenizer_of(model: Mapping[str, Any], folder: Path) -> Path | None:
    """Where the tokenizer lies that the configuration asks for: beside the model, else in the hub's cache."""
    name = model["text_cfg"].get("hf_tokenizer_name")
    if not name:
        return None
    if any((folder / file).is_file() for file in _TOKENIZERS):
        return folder
    try:
        return _cached_in_hub(name, "tokenizer.json")
    except ModelNotFound as exc:
        raise ModelNotFound(
            f"the tokenizer {name!r} is neither in {str(folder)!r} nor in the hub's cache on this machine; "
            "put its tokenizer.json beside the weights"
        ) from exc


def _tokenizer_files(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    return sorted({path for pattern in _TOKENIZER for path in folder.glob(pattern) if path.is_file()})


def _checksum(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
