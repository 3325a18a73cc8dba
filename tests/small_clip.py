"""A real, small CLIP for tests: `def test_x(small_clip: Path)` gets its folder, to be given as `image_embedder`.

It was trained by the project's own code on the drawn shapes of `eval.shapes` and knows their words: "two red circles
above a blue square". Draw pictures for it with `eval.shapes.draw(scene, seed)`; captions are `scene.caption`.
Training takes about a minute, once: the folder is kept in pytest's cache under the hash of the code that made it;
`pytest --cache-clear` removes it.
"""

import hashlib
from pathlib import Path

import pytest
from filelock import FileLock

from rag.embed.clip_files import WEIGHTS

_ROOT = Path(__file__).resolve().parent.parent
_MADE_BY = (
    *("eval/shapes.py", "eval/small_clip.py"),
    *("rag/tune/clip_fit.py", "rag/tune/new_clip.py", "rag/tune/train_clip.py"),
)


@pytest.fixture(scope="session")
def small_clip(pytestconfig: pytest.Config) -> Path:
    """Folder of an open_clip checkpoint."""
    from eval.small_clip import train_small_clip

    cache = pytestconfig.cache
    assert cache is not None
    made_by = hashlib.sha256(b"".join((_ROOT / name).read_bytes() for name in _MADE_BY)).hexdigest()[:16]
    folders = cache.mkdir("small_clip")
    with FileLock(folders / "lock"):  # several runs at once train it once
        if not (folders / made_by / WEIGHTS).is_file():
            train_small_clip(folders / made_by)
    return folders / made_by


@pytest.fixture(scope="session")
def spelling_clip(small_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a tokenizer that can spell the words of another person, which mean nothing to it."""
    from eval.small_clip import with_other_words

    folder = tmp_path_factory.mktemp("spelling") / "clip"
    with_other_words(small_clip, folder)
    return folder
