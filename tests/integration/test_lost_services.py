"""`kill -9` of Chromium, of the browser service and of vLLM under a running flow: the flow continues by itself."""

from collections.abc import Callable
from pathlib import Path

import pytest
from real_stack import Stack, collected, wait_until
from run_invariants import check_finished, check_unchanged, finished_files

from storage.stages import Stage

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1_800)]


def restarts_of(stack: Stack, name: str) -> int:
    """How often the supervisor has started a service again."""
    return stack.status().service(name).restarts


@pytest.mark.chaos
def test_a_run_survives_the_loss_of_each_service(stack: Stack, runs: Path, unused: Callable[[str], str]) -> None:
    name = unused("survivor")
    root = runs / name
    restarts = {name: restarts_of(stack, name) for name in ("browser", "vllm")}

    with stack.started("run", stack.config, "iterations=1", "--name", name) as command:
        wait_until("the first episode", lambda: collected(root, 0, Stage.EVALUATE), during=command)
        before = finished_files(root)
        chromium = stack.chromium()
        assert chromium
        for process in chromium:
            process.kill()

        wait_until("the first training episode", lambda: collected(root, 1, Stage.ROLLOUT), during=command)
        before |= finished_files(root)
        stack.service("browser").kill()
        wait_until("new browsers", lambda: restarts_of(stack, "browser") == restarts["browser"] + 1, during=command)
        played = collected(root, 1, Stage.ROLLOUT)  # the round that lost its browsers may still store one

        wait_until("an episode in them", lambda: collected(root, 1, Stage.ROLLOUT) > played + 1, during=command)
        before |= finished_files(root)
        stack.service("vllm").kill()
        finished = command.wait()

    assert finished.status == 0, finished.out
    assert {name: restarts_of(stack, name) - count for name, count in restarts.items()} == {"browser": 1, "vllm": 1}
    rollout = stack.folder(name).report(1, Stage.ROLLOUT)
    assert rollout is not None and rollout.counts["rounds"] >= 2, rollout
    check_unchanged(before, root)
    check_finished(stack, name)
