"""One stack for all tests here: started once, stopped at the end; no process of it may be left then."""

from collections.abc import Callable
from pathlib import Path

import pytest
from real_stack import Stack
from running_stack import running_stack
from shared import STACK, shared_by


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """One stack for all tests here."""
    return shared_by(STACK, "stack", lambda: running_stack(tmp_path_factory.mktemp("stack")))


@pytest.fixture
def runs(stack: Stack) -> Path:
    """The folder of the runs."""
    return stack.loop.runs_dir


@pytest.fixture
def unused(runs: Path) -> Callable[[str], str]:
    """Makes a name that no run has yet: the second try of a test must not meet the run of its first."""

    def name(base: str) -> str:
        taken = len(list(runs.glob(f"{base}*")))
        return f"{base}-{taken + 1}" if taken else base

    return name
