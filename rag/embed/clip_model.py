"""An open_clip model with the preprocessing and the tokenizer that belong to it, built from files alone.

Imported only when a model is loaded. What open_clip would fetch, and what could run code, is shut off here: weights
come from the safetensors file that was found, towers are never filled from a hub, and the tokenizer is read from its
folder with no code of its own.
"""

import copy
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer, SimpleTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL.Image import Image
from safetensors import SafetensorError
from torch import Tensor

from rag.embed.clip_files import LOCAL, ClipFiles
from rag.errors import ModelCorrupt, ModelNotFound

_PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")
_NOT_WORDS = ("visual.", "logit_scale", "logit_bias", "text_decoder.")  # the last one is CoCa's, which writes captions
_REFUSED = ("trust_remote_code", "reduction_mask")  # tokenizer settings: would run code; would download, or guess


@dataclass(frozen=True, slots=True)
class ClipModel:
    """`preprocess` gives float32[3, H, W] of an RGB picture, `tokenize` int64[N, L] of N texts; `network` takes both in
    encode_image and encode_text.
    """

    network: Any  # one of open_clip's classes, which have no common type
    preprocess: Callable[[Image], Tensor]
    tokenize: Callable[[Sequence[str]], Tensor]
    device: str
    dtype: torch.dtype

    def look(self, pixels: Sequence[Tensor]) -> NDArray[np.float32]:
        """float32[N, dim], unit rows, of N pictures as `preprocess` gives them."""
        batch = torch.stack(list(pixels)).to(self.device, self.dtype)
        with self._computing():
            return _unit(self.network.encode_image(batch))

    def read(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32[N, dim], unit rows, of N texts."""
        tokens = self.tokenize(texts).to(self.device)
        with self._computing():
            return _unit(self.network.encode_text(tokens))

    def words(self) -> dict[str, Tensor]:
        """The weights of the text side by name: all that `read` depends on."""
        state: dict[str, Tensor] = self.network.state_dict()
        return {name: weights for name, weights in state.items() if not name.startswith(_NOT_WORDS)}

    def with_words(self, weights: Mapping[str, Tensor]) -> "ClipModel":
        """The same picture side, in the same memory, beside a text side with other weights.

        Raises:
            ModelCorrupt: these are not the weights of such a text side.
        """
        mine = self.words()
        shapes = [{name: tuple(each.shape) for name, each in side.items()} for side in (mine, weights)]
        if shapes[0] != shapes[1]:
            raise ModelCorrupt("the tuned words belong to a model of another architecture; tune them again")
        network = copy.deepcopy(self.network, {id(self.network.visual): self.network.visual})
        network.load_state_dict(weights, strict=False)
        return replace(self, network=network.eval())

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Without gradients; autocast because some of open_clip's towers (CoCa's) leave parts of theirs in fp32."""
        half = self.dtype != torch.float32
        with torch.inference_mode(), torch.autocast(self.device, self.dtype, enabled=half):
            yield


def load_clip(files: ClipFiles, device: str = "cpu", precision: str = "fp32") -> ClipModel:
    """Build the network and fill it with its weights; without any (`files.weights` is None) chance filled it.

    Raises:
        ModelCorrupt: weights and configuration do not belong together, or one of them is damaged.
        ModelNotFound: the configuration refers to something that is not on this machine.
    """
    try:
        network = _network(files, device, precision)
        if files.weights is not None:
            open_clip.load_checkpoint(network, str(files.weights), device="cpu")
        tokenize = _tokenizer(files)
    except OSError as exc:  # transformers, when it may not ask the hub for the configuration of a text tower
        tower = files.text.get("hf_model_name")
        of = f" (of {tower!r} on the model hub)" if tower else ""
        raise ModelNotFound(
            f"the image embedder {files.name!r} needs a file that is not on this machine{of}: {_first_line(exc)}"
        ) from exc
    except (RuntimeError, TypeError, ValueError, KeyError, AssertionError, SafetensorError) as exc:
        raise ModelCorrupt(
            f"the image embedder {files.name!r} cannot be built from {str(files.weights)!r}: {_first_line(exc)}; "
            "install the model again"
        ) from exc
    return ClipModel(
        network=network.eval(),
        preprocess=image_transform_v2(PreprocessCfg(**network.visual.preprocess_cfg), is_train=False),
        tokenize=tokenize,
        device=device,
        dtype=open_clip.get_input_dtype(precision) or torch.float32,
    )


def _network(files: ClipFiles, device: str, precision: str) -> Any:
    with _without_notices():  # it would say that the model is left to chance, which is not for long
        return open_clip.create_model(
            files.architecture or f"{LOCAL}{files.folder}",
            load_weights=False,
            pretrained_text=False,
            precision=precision,
            device=device,
            force_preprocess_cfg=_preprocessing(files.architecture),
        )


def _preprocessing(architecture: str) -> dict[str, Any]:
    """What all published weights of an architecture were trained with; {}, open_clip's default, where they differ."""
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    published = [open_clip.get_pretrained_cfg(architecture, tag) for tag in tags]
    found = [{key: settings[key] for key in _PREPROCESSING if key in settings} for settings in published]
    return found[0] if found and all(settings == found[0] for settings in found) else {}


def _tokenizer(files: ClipFiles) -> Callable[[Sequence[str]], Tensor]:
    settings = {key: value for key, value in files.text.get("tokenizer_kwargs", {}).items() if key not in _REFUSED}
    length = files.text.get("context_length", DEFAULT_CONTEXT_LENGTH)
    if files.tokenizer is None:
        tokenizer = SimpleTokenizer(context_length=length, **settings)
    else:
        tokenizer = HFTokenizer(
            str(files.tokenizer),
            context_length=length,
            tokenizer_mode=files.text.get("tokenizer_mode"),
            local_files_only=True,
            trust_remote_code=False,
            **settings,
        )
    return lambda texts: tokenizer(list(texts))


def _unit(rows: Tensor) -> NDArray[np.float32]:
    """Unit rows in fp32: one normalised in half precision is off by up to 1e-3, and stores demand unit rows."""
    return np.asarray(torch.nn.functional.normalize(rows.float(), dim=-1).cpu().numpy(), np.float32)


@contextmanager
def _without_notices() -> Iterator[None]:
    """open_clip writes to the root logger, which would also set one up for the whole program."""

    def keep(record: logging.LogRecord) -> bool:
        return "open_clip" not in record.pathname

    root, nowhere = logging.getLogger(), logging.NullHandler()
    root.addHandler(nowhere)
    root.addFilter(keep)
    try:
        yield
    finally:
        root.removeFilter(keep)
        root.removeHandler(nowhere)


def _first_line(exc: Exception) -> str:
    return str(exc).strip().split("\n", 1)[0]
