"""Services that a group of test files shares (a stack, a fleet). The first test starts them; they end after the last.

pytest's session fixtures end with the whole run: an idle stack and two idle fleets took a fifth of two cores until then.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

STACK = ("tests/integration/",)
FLEET = ("tests/browser_service/test_fleet_", "tests/browser_service/test_nginx")
TIERS = tuple(
    f"tests/browser_service/test_{name}"
    for name in ("client", "ssrf", "tiers_faults", "tiers_kept", "tiers_leases", "tiers_omniboxes")
)
PREFECT = tuple(
    f"tests/flows/test_{name}"
    for name in ("aftermath", "automations", "far_shard", "far_update", "rl_loop_flow", "stage_flows", "work_pools")
)
MACHINES = ("tests/integration/test_three_machines",)
GROUPS = (STACK, FLEET, TIERS, PREFECT)
"""Beginnings of the node ids of each group; a group is played by one process, one test after the other."""

_OPEN: dict[tuple[str, ...], ExitStack] = {}
_VALUES: dict[tuple[tuple[str, ...], str], Any] = {}
"""Values of the open contexts, by group and name."""


def shared_by(group: tuple[str, ...], name: str, begin: Callable[[], AbstractContextManager[T]]) -> T:
    """The value of a context that is open for the group, begun by the first call. For module fixtures.

    A test outside of the group may use it too: it is then open for the test's own file only.
    """
    if (group, name) not in _VALUES:
        _VALUES[group, name] = _OPEN.setdefault(group, ExitStack()).enter_context(begin())
    return _VALUES[group, name]


def end_left(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Ends what no further test shares; an error in it is an error of the test that was the last."""
    if nextitem is not None and nextitem.path == item.path:
        return
    for group in [group for group in _OPEN if nextitem is None or not nextitem.nodeid.startswith(group)]:
        for key in [key for key in _VALUES if key[0] == group]:
            del _VALUES[key]
        call = pytest.CallInfo.from_call(_OPEN.pop(group).close, when="teardown")
        if call.excinfo is not None:
            report = item.ihook.pytest_runtest_makereport(item=item, call=call)
            item.ihook.pytest_runtest_logreport(report=report)
