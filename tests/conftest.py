"""How the tests are spread over some processes: one file stays together, and so does everything that shares the whole stack.

Random inputs are the same at each run; `HYPOTHESIS_PROFILE=explore` looks for new ones. A test with real processes gets a
second try on a machine that is busy with other things, and the summary says so (RERUN).
"""

import os
from collections.abc import Generator

import hypothesis
import pytest
from shared import GROUPS, STACK, end_left
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

REAL = ("tests/browser_service/", "tests/environments/", "tests/flows/", "tests/integration/")

EARLY = ("tests/training/", "tests/flows/test_")
"""Tests that would otherwise come last, some minutes long."""

hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.register_profile("explore", max_examples=1_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The stack's tests come first, for they take longest, then the large files, so that no process ends long before others."""
    items.sort(key=lambda item: (not item.nodeid.startswith(STACK), not item.nodeid.startswith(EARLY)))
    for item in items:
        if item.nodeid.startswith(REAL) and config.pluginmanager.hasplugin("rerunfailures"):
            item.add_marker(pytest.mark.flaky(reruns=1))


class OneStack(LoadScopeScheduling):
    """Like `--dist loadfile`, but tests that share the stack go to one process, which starts it once; so with the fleet."""

    def _split_scope(self, nodeid: str) -> str:
        for shared in GROUPS:
            if nodeid.startswith(shared):
                return str(shared)
        return nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """xdist asks for a scheduler. Its own `loadgroup` does not work with this version of pytest."""
    return OneStack(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Ends a shared stack or fleet after the last test that uses it, second tries included."""
    result = yield
    end_left(item, nextitem)
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tells why a test needed its second try."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"first try of {report.nodeid}", sep="-")
        terminalreporter.write_line(report.longreprtext[-3_000:])
