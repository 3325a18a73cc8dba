"""What the tests of training share."""

import gc
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="module")
def quick_training() -> Iterator[None]:
    """One thread, which is the fastest for tiny models, and no search for garbage among all modules at each start."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    gc.freeze()
    yield
    gc.unfreeze()
    torch.set_num_threads(threads)
