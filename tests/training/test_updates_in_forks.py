"""Whole updates, each in a fork: killed at every place and repeated they end bit for bit as if nothing had happened, and two
processes make the version of one.

One file, because the process that is forked costs seconds to start.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from light_process import light_process
from stored_rollouts import Rollout
from test_sharded_updates import check_equal
from test_update import CONFIG, arguments

import training
from training.checkpointing.checkpoints import checkpoint_path, import_policy, read_checkpoint, versions
from training.learning.models import load_policy, pick_device
from training.learning.report import read_report
from training.learning.update import main
from training.learning.update_inputs import Request

__all__ = ["light_process"]  # a fixture
PROGRAM = Path(__file__).with_name("forked_updates.py")
AFTER_THE_VERSION = ("checkpoint.after_rename", "update.before_report")
PLACES = (
    "update.before_train",
    "update.before_write",
    "checkpoint.half_file",
    "checkpoint.before_manifest",
    "checkpoint.before_rename",
    *AFTER_THE_VERSION,
)
"""In the order in which an update reaches them."""


class Forks:
    """The client of `forked_updates`."""

    def __init__(self, model_directory: Path, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, str(PROGRAM), str(model_directory)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        with (folder / "forks.log").open("wb") as output:
            self._process = subprocess.Popen(
                command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output
            )

    def run(self, request: Request, environments: Sequence[Mapping[str, str]]) -> list[int]:
        """Exit codes of one update's processes, one for each of the environments."""
        assert self._process.stdin is not None and self._process.stdout is not None
        lines = arguments(request)
        updates = [
            {"arguments": lines, "log": str(self.folder / f"{rank}.log"), "environment": environment}
            for rank, environment in enumerate(environments)
        ]
        self._process.stdin.write(json.dumps({"updates": updates}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def said(self) -> str:
        """The end of what the updates have logged."""
        return "".join(path.read_text()[-4_000:] for path in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def forks(model_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    started = Forks(model_directory, tmp_path_factory.mktemp("forks"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def uninterrupted(model_directory: Path, filled: Rollout, tmp_path_factory: pytest.TempPathFactory) -> list[Request]:
    """Two updates in this process, which has another hash seed than the forks: the second goes on with Adam's moments of the
    first, on what the first version would have sampled."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    import_policy(model_directory, folder / "policies")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    first = Request(
        trajectories=filled.store.root,
        verdicts=filled.verdicts_path,
        policy=folder / "policies" / "v0000",
        policies=folder / "policies",
        version=1,
        config=folder / "config.json",
        report=folder / "first.json",
    )
    assert main(arguments(first)) == 0
    second = first._replace(
        trajectories=resampled(first, folder / "second"),
        policy=folder / "policies" / "v0001",
        version=2,
        report=folder / "second.json",
    )
    assert main(arguments(second)) == 0
    moments = folder / "policies" / "v0002" / "optimizer" / "adam.json"
    assert set(json.loads(moments.read_bytes())["steps"].values()) == {4.0}, "the second update began with new moments"
    return [first, second]


def resampled(request: Request, folder: Path) -> Path:
    """The same trajectories as if the version that `request` makes had played them."""
    shutil.copytree(request.trajectories, folder / "rollout")
    made = checkpoint_path(request.policies, request.version)
    rollout = Rollout(folder, request.policy)
    rollout.rescore(load_policy(made, dtype="float32", device=pick_device("cpu")))
    for path in rollout.store.root.glob("*/trajectory.json"):
        path.write_text(path.read_text().replace('"policy_version":0', f'"policy_version":{request.version}'))
    return rollout.store.root


def before(request: Request, folder: Path) -> Request:
    """The update with a result of its own, as it was before its version existed."""
    for version in range(request.version):
        made = checkpoint_path(request.policies, version)
        shutil.copytree(made, folder / "policies" / made.name)
    policy = folder / "policies" / request.policy.name
    return request._replace(policies=folder / "policies", policy=policy, report=folder / "report.json")


# ---- kills -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("version", "place"),
    [(2, place) for place in PLACES] + [pytest.param(1, place, marks=pytest.mark.chaos) for place in PLACES],
)
def test_an_update_that_is_killed_and_repeated_is_the_uninterrupted_one(
    forks: Forks, uninterrupted: list[Request], tmp_path: Path, version: int, place: str
) -> None:
    """Byte for byte: a repeat that trained from half a state, or twice, would pass every check of the version by itself."""
    expected = uninterrupted[version - 1]
    request = before(expected, tmp_path)
    assert forks.run(request, [{"RL_LOOP_FAILPOINT": f"{place}:kill"}]) == [-signal.SIGKILL], forks.said()
    assert versions(request.policies)[-1] == version - (place not in AFTER_THE_VERSION)
    assert not request.report.exists()
    assert forks.run(request, [{}]) == [0], forks.said()
    assert sorted(path.name for path in request.policies.iterdir()) == [f"v{one:04d}" for one in range(version + 1)]
    found, wanted = contents(request), contents(expected)
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []
    report = read_report(request.report)
    assert report.reused == (place in AFTER_THE_VERSION)
    assert without_times(json.loads(request.report.read_bytes())) == without_times(
        json.loads(expected.report.read_bytes())
    )


def test_every_place_of_an_update_is_among_those() -> None:
    """A new failpoint is a new place to be killed at."""
    sources = [path.read_text() for path in Path(training.__path__[0]).rglob("*.py")]
    reached = [place for source in sources for place in re.findall(r'failpoints\.reach\("([^"]+)"\)', source)]
    assert sorted(PLACES) == sorted(place for place in reached if not place.startswith(("publish.", "transfer.")))


def contents(request: Request) -> dict[str, Any]:
    """Every file of the version, as bytes; of the two that hold times, all that is not about time."""
    folder = read_checkpoint(checkpoint_path(request.policies, request.version)).path
    found: dict[str, Any] = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    manifest = json.loads(found["manifest.json"])
    del manifest["created"], manifest["sha256"]["update.json"], manifest["sizes"]["update.json"]
    return found | {"manifest.json": manifest, "update.json": without_times(json.loads(found["update.json"]))}


def without_times(report: dict[str, Any]) -> dict[str, Any]:
    """A report without times and speeds, memory, the version's place, and whether an earlier process has made it."""
    about = {"seconds", "peak_memory_bytes", "checkpoint", "checkpoint_written_at", "reused"}
    metrics = {name: value for name, value in report["metrics"].items() if name not in ("tokens_per_second", "mfu")}
    return {name: value for name, value in report.items() if name not in about} | {"metrics": metrics}


# ---- several processes -----------------------------------------------------------------------------------------------
@pytest.mark.timeout(120)  # processes of which one has another number of sums to make wait for each other
def test_two_processes_make_the_version_of_one(forks: Forks, uninterrupted: list[Request], tmp_path: Path) -> None:
    """The second update, so with moments of another one. A pass has one sample, and in the last of a step, when the gradients
    are averaged, one process has a sample without picture: its vision tower takes no part. torchrun starts processes with the
    same variables; `make chaos` has updates that it starts."""
    alone = uninterrupted[1]
    together = before(alone, tmp_path)._replace(config=tmp_path / "config.json")
    together.config.write_text(json.dumps(CONFIG | {"micro_batch_size": 1, "processes": 2}))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    ranks = [meeting | {"RANK": rank, "LOCAL_RANK": rank} for rank in "01"]
    assert forks.run(together, ranks) == [0, 0], forks.said()
    check_equal(alone, together)
