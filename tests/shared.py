"""What a group of test files shares (a stack, a fleet): begun by the first test that wants it, ended after the last one.

pytest's session fixtures end with the whole run: an idle stack and two idle fleets took a fifth of two cores until then.
"""

from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

import pytest

T = TypeVar("T")

STACK = ("tests/integration/",)
FLEET = ("tests/browser_service/test_fleet_", "tests/browser_service/test_nginx")
TIERS = tuple(f"tests/browser_service/test_tiers_{name}" for name in ("faults", "kept", "leases", "omniboxes"))
PREFECT = tuple(f"tests/flows/test_{name}" for name in ("aftermath", "far_shard", "rl_loop_flow"))
GROUPS = (STACK, FLEET, TIERS, PREFECT)
"""Beginnings of the node ids of each group; a group is played by one process, one test after the other."""

_OPEN: dict[tuple[str, ...], ExitStack] = {}
"""What is open, by group."""


def shared_by(group: tuple[str, ...], context: AbstractContextManager[T]) -> T:
    """Enters a context, which ends once a test outside of the group comes next. For session fixtures."""
    return _OPEN.setdefault(group, ExitStack()).enter_context(context)


def end_left(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Ends what no further test shares; an error in it is an error of the test that was the last."""
    for group in [group for group in _OPEN if nextitem is None or not nextitem.nodeid.startswith(group)]:
        call = pytest.CallInfo.from_call(_OPEN.pop(group).close, when="teardown")
        if call.excinfo is not None:
            report = item.ihook.pytest_runtest_makereport(item=item, call=call)
            item.ihook.pytest_runtest_logreport(report=report)
