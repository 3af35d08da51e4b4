"""Playwright's driver: one that hangs or dies at its start is a failed launch, and nothing of it is left."""

import time
from pathlib import Path

import psutil
import pytest

from browser_service.chromium.driver import Driver
from browser_service.chromium.launcher import LaunchError


@pytest.mark.parametrize(
    ("program", "why"),
    [("exec /bin/sleep 60", "no answer within 0.5 s"), ("exit 1", "did not start"), (None, "did not start")],
    ids=["hangs", "ends", "is missing"],
)
async def test_a_driver_that_never_answers_is_a_failed_launch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str | None, why: str
) -> None:
    node = tmp_path / "node"
    if program:
        node.write_text(f"#!/bin/sh\n{program}\n")
        node.chmod(0o755)
    monkeypatch.setenv("PLAYWRIGHT_NODEJS_PATH", str(node))
    start = time.monotonic()
    with pytest.raises(LaunchError, match=why):
        await Driver.start(tmp_path / "driver", 0.5)
    assert time.monotonic() - start < 20
    assert not (tmp_path / "driver").exists()
    assert not [child for child in psutil.Process().children() if is_of(child, node)], "a process is left"


def is_of(child: psutil.Process, node: Path) -> bool:
    try:
        return child.status() != psutil.STATUS_ZOMBIE and child.environ().get("PLAYWRIGHT_NODEJS_PATH") == str(node)
    except psutil.Error:  # it ended meanwhile
        return False
