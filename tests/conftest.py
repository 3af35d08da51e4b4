"""How the tests are spread over two processes: one file stays together, and so does everything that shares the whole stack."""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

STACK = "tests/integration/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The stack's tests come first, for they take longest."""
    items.sort(key=lambda item: not item.nodeid.startswith(STACK))


class OneStack(LoadScopeScheduling):
    """Like `--dist loadfile`, but all tests with the stack go to one process, which starts it once."""

    def _split_scope(self, nodeid: str) -> str:
        return STACK if nodeid.startswith(STACK) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """xdist asks for a scheduler. Its own `loadgroup` does not work with this version of pytest."""
    return OneStack(config, log)
