"""The long kill test: parts are killed and cables pulled at random during small runs over three machines.

    RL_LOOP_KILLS=50 RL_LOOP_CUTS=10 RL_LOOP_SEED=1 python -m pytest -s -m chaos tests/integration/test_three_machines_faults.py

Each run is resumed until it is finished and has then the results of an undisturbed run; there are as many runs as it takes
until all faults are done. The seed is printed: it fixes the faults, their order and the pauses between them, not the moment
in the run that each one meets.
"""

import os
import time

import pytest
from faults import Faults
from loop_on_machines import Cluster, calm_outcome, running_cluster
from machines import why_impossible
from run_invariants import check_finished
from run_outcome import check_same_outcome, outcome
from shared import MACHINES, shared_by

from storage.names import free_name
from storage.run_layout import is_run

KILLS, CUTS = int(os.environ.get("RL_LOOP_KILLS", "8")), int(os.environ.get("RL_LOOP_CUTS", "2"))
SEED = int(os.environ.get("RL_LOOP_SEED", "0")) or int(time.time())
RUN_S = 3_600.0
"""Seconds in which a disturbed run must be finished, resumes included."""
pytestmark = [
    pytest.mark.stack,
    pytest.mark.chaos,
    pytest.mark.timeout(3_600 + 180 * (KILLS + CUTS)),
    pytest.mark.skipif(why_impossible() is not None, reason=f"three machines: {why_impossible()}"),
]


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return shared_by(MACHINES, "cluster", running_cluster)


def test_runs_that_are_disturbed_at_random_have_the_results_of_a_calm_one(cluster: Cluster) -> None:
    stack = cluster.stack
    expected = calm_outcome(stack)
    faults = Faults(cluster, KILLS, CUTS, SEED)
    runs = 0
    while faults.left:
        runs += 1
        name = free_name(stack.loop.runs_dir, "disturbed")
        tell(f"seed {SEED}: {name} begins, {len(faults.left)} faults are left")
        finish(cluster, name, faults)
        with cluster.loop.network():
            check_finished(stack, name)
        check_same_outcome(expected, outcome(stack.folder(name)))
    tell(f"seed {SEED}: {KILLS} kills and {CUTS} cuts in {runs} runs")


def finish(cluster: Cluster, name: str, faults: Faults) -> None:
    """Starts a run and resumes it until it is finished, with faults as long as some are left."""
    stack, deadline = cluster.stack, time.monotonic() + RUN_S
    while True:
        begun = is_run(stack.loop.runs_dir / name)
        words = ("resume", name, "-c", stack.config) if begun else ("run", stack.config, "--name", name)
        with stack.started(*words) as command:
            for fault in faults.during(command.is_over):
                tell(fault)
            done = command.wait(max(1.0, deadline - time.monotonic()))
        if done.status == 0:
            return
        tell(" ".join(done.out.split())[-300:])
        assert time.monotonic() < deadline, f"{name} was not finished after {faults.done}"
        time.sleep(10.0)  # what was killed needs a while, and each try costs processor time


def tell(words: str) -> None:
    """Shown by `pytest -s`, and with a failure."""
    print(words, flush=True)  # noqa: T201 (the seed and the faults are the report of this test)
