"""Which files of a repository, or of a folder, are a model that this program can use: safetensors and GGUF only."""

import re
from collections.abc import Collection, Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath

from rag.errors import ModelError
from rag.models.installed import is_eyes

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".h5", ".msgpack")
"""Endings of weights that can run code when they are opened, or that no part of this program opens."""

_SETTINGS = (".json", ".txt", ".model", ".jinja")
_LICENCE = ("license", "licence", "notice")
_MODULE = re.compile(r"\d+_\w+")  # the folders of sentence-transformers: 1_Pooling, 2_Dense
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.")
_CLIP = "open_clip_config.json"
_CLIP_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors")
_WEIGHTS = "model.safetensors"
_BAD = re.compile(r'[\x00-\x1f<>:"|?*\\]')  # what no file of any system may have in its name


def choose(names: Collection[str], patterns: Sequence[str] = ()) -> list[str]:
    """The files to take of those that there are, by name, sorted.

    `patterns` (as of a shell) name weights where there are several to choose from, e.g. ("*Q4_K_M.gguf",).

    Raises:
        ModelError: a name leads outside its folder, there are only pickled weights, something is lacking, or there
            are several GGUF models and no pattern says which.
    """
    for name in names:
        check_name(name)
    wanted = {name for name in names if not patterns or any(fnmatch(name, pattern) for pattern in patterns)}
    if any(name.endswith(".gguf") for name in wanted):
        return sorted({*_gguf(wanted, given=bool(patterns)), *_licences(names)})
    return sorted({*_safetensors(set(names)), *_licences(names)})


def check_name(name: str) -> None:
    """Refuse what would be written anywhere but beneath the model's own folder.

    Raises:
        ModelError: it does.
    """
    if _BAD.search(name) or any(part == "" or part[-1] in ". " for part in name.split("/")):
        raise ModelError(f"{name!r} is not a file name that may be written here; nothing was taken from there")


def _gguf(wanted: set[str], *, given: bool) -> set[str]:
    """One language model, in as many parts as it has, and one pair of eyes for it."""
    models = {name for name in wanted if name.endswith(".gguf") and not is_eyes(name)}
    eyes = sorted(name for name in wanted if name.endswith(".gguf") and is_eyes(name))
    whole = {_SHARD.sub(".", name) for name in models}
    if len(whole) > 1:
        found = ", ".join(sorted(PurePosixPath(name).name for name in whole))
        again = "the pattern matches several" if given else "there are several"
        raise ModelError(f"{again} GGUF models ({found}); say which one, e.g. --file '*Q4_K_M*'")
    if not models:
        raise ModelError(f"there are only the eyes of a language model ({', '.join(eyes)}), not the model itself")
    return {*models, *eyes[-1:]} if given else {*models, *_best_eyes(eyes)}


def _best_eyes(eyes: Sequence[str]) -> list[str]:
    """One of several precisions: f16, which every processor computes with, before others."""
    return sorted(eyes, key=lambda name: ("f16" not in name.lower().replace("bf16", ""), name))[:1]


def _safetensors(names: set[str]) -> set[str]:
    settings = {name for name in names if name.endswith(_SETTINGS) and _is_part(name)}
    weights = {name for name in names if name.endswith(".safetensors") and _is_part(name)}
    if _CLIP in names:
        chosen = {next((name for name in _CLIP_WEIGHTS if name in weights), "")} - {""}
    else:
        chosen = {n for n in weights if "/" in n or n == _WEIGHTS}
    if not any("/" not in name for name in chosen):
        raise ModelError(_nothing(names, weights))
    lacking = [name for name in ("config.json", "tokenizer.json") if _CLIP not in names and name not in names]
    if lacking:
        raise ModelError(f"it lacks {' and '.join(map(repr, lacking))}, so it is no model that can be used here")
    return settings | chosen


def _nothing(names: Collection[str], weights: Collection[str]) -> str:
    pickled = sorted(name for name in names if name.endswith(PICKLED))
    if weights:
        return f"its weights ({', '.join(sorted(weights))}) are not in one {_WEIGHTS!r}, which is what is used here"
    if pickled:
        return (
            f"its weights ({', '.join(pickled[:3])}) are pickled, which can run any code when they are opened; "
            "only safetensors and GGUF are used. Look for a repository that has one of them"
        )
    return "there are no weights in it (safetensors or GGUF)"


def _is_part(name: str) -> bool:
    """Whether it lies at the top or in the folder of a module: not one of other formats, e.g. onnx."""
    folder, _, _ = name.rpartition("/")
    return not folder or _MODULE.fullmatch(folder) is not None


def _licences(names: Collection[str]) -> set[str]:
    return {name for name in names if "/" not in name and name.lower().startswith(_LICENCE)}
