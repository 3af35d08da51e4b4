"""Makes transformers and TRL importable, and their imports fast in the update process.

TRL imports vLLM to generate, transformers imports scikit-learn and SciPy for assisted decoding and detection losses, TRL's
profiling imports MLflow: seconds and hundreds of megabytes in every update, all unused. A name that maps to None in
`sys.modules` counts as "not installed" for `importlib.util.find_spec`, which these libraries ask.
"""

import functools
import gc
import importlib.metadata
import sys
from collections.abc import Generator
from contextlib import contextmanager

from training.torchvision_on_cpu import declare_missing_operators

UNUSED = ("sklearn", "scipy", "mlflow", "wandb", "numba", "tensorboard", "torchcodec")


def prepare() -> None:
    """Hides vLLM and makes torchvision importable beside a CPU torch. Call before transformers or TRL is imported."""
    _hide("vllm")
    declare_missing_operators()


def hide_unused_packages() -> None:
    """Hides packages that an update never uses. Only for a process that does nothing else: they can't be imported
    later.

    Example: `python -m training.learning.update` calls it first; a test that calls `training.learning.update.main` does not.
    """
    for name in UNUSED:
        _hide(name)
    # transformers and TRL both read the metadata of every installed package, half a second each time.
    read_once = functools.cache(importlib.metadata.packages_distributions)
    importlib.metadata.packages_distributions = read_once  # ty: ignore[invalid-assignment]


def hide_peft() -> None:
    """Hides peft from an update that trains no adapter: TRL imports it if it is there. For such processes alone."""
    _hide("peft")


@contextmanager
def without_collection() -> Generator[None]:
    """Disables garbage collection in the block: imports create a million objects that stay alive."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _hide(name: str) -> None:
    if name not in sys.modules:
        sys.modules[name] = None  # ty: ignore[invalid-assignment]  # None means "not installed" to the import system
