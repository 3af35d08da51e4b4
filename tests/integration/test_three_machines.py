"""A loop over three machines, each of which is cut off for a minute: the results are those of an undisturbed run.

The machines are namespaces of this computer (`machines.py`), so it takes root; what runs on which is in `loop_on_machines.py`.
"""

import pytest
from loop_on_machines import Cluster, calm_outcome, running_cluster
from machines import why_impossible
from real_stack import collected, wait_until
from run_invariants import check_finished, check_unchanged, finished_files
from run_outcome import check_same_outcome, outcome
from shared import MACHINES, shared_by

from flows.settings.run_folder import RunFolder
from storage.heartbeat import read_heartbeat
from storage.names import free_name
from storage.stages import Stage

pytestmark = [
    pytest.mark.stack,
    pytest.mark.chaos,
    pytest.mark.timeout(3_600),
    pytest.mark.skipif(why_impossible() is not None, reason=f"three machines: {why_impossible()}"),
]
CUT_S = 60.0


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return shared_by(MACHINES, "cluster", running_cluster)


def test_each_machine_is_cut_off_and_the_results_are_those_of_a_calm_run(cluster: Cluster) -> None:
    stack = cluster.stack
    expected = calm_outcome(stack)

    name = free_name(stack.loop.runs_dir, "cut")
    root = stack.loop.runs_dir / name
    with stack.started("run", stack.config, "--name", name) as command:
        wait_until("the first training episode", lambda: collected(root, 1, Stage.ROLLOUT), during=command)
        with cluster.browsers.cut_off(CUT_S):
            before = finished_files(root)
        wait_until("the update on its worker", lambda: trains(stack.folder(name), 1), during=command)
        with cluster.models.cut_off(CUT_S):
            pass
        wait_until("an episode of the next policy", lambda: collected(root, 2, Stage.ROLLOUT), during=command)
        with cluster.models.cut_off(CUT_S):
            before |= finished_files(root)
        done = command.wait()
    assert done.status == 0, done.out
    check_unchanged(before, root)
    with cluster.loop.network():
        check_finished(stack, name)
    check_same_outcome(expected, outcome(stack.folder(name)))


def trains(folder: RunFolder, iteration: int) -> bool:
    """True if the update of an iteration has begun on its worker."""
    beat = read_heartbeat(folder.stage_dir(iteration, Stage.POLICY_UPDATE) / "rank-00")
    return beat is not None and beat.host == "machine-3"
