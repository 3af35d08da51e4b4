"""Updates inside the process of the tests, without what only a large process pays for. A fixture for the files that import it."""

import gc
from collections.abc import Iterator

import pytest
import torch

import training.learning.learner
import training.learning.new_version  # noqa: F401


@pytest.fixture(scope="module", autouse=True)
def light_process() -> Iterator[None]:
    """One thread, and no collection of what is in memory already.

    The threads of a tiny model wait for each other by spinning, on cores that the other tests need. Accelerate collects garbage
    before a training, which takes twice as long as the training itself where pytest and its plugins are in memory. With one
    thread the order of additions, and so each bit, is that of a process with `OMP_NUM_THREADS=1`.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    torch.set_num_threads(before)
