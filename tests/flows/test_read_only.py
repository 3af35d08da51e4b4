"""A run in a folder that this user may not write: whoever only reads does so, whoever must write says so in one sentence."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from conftest import Done

from flows.settings.checkout import PROJECT
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from rollouts.plan import planned_groups
from storage.stages import Stage

ReadOnly = Callable[..., list[Done]]
OWN_MOUNTS = ["unshare", "--mount", "--propagation", "private"]
"""Prefix of a command with private mounts. A read-only mount binds root too."""


def can_mount() -> bool:
    """True if this user may make mounts of its own."""
    try:
        done = subprocess.run([*OWN_MOUNTS, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


COMMANDS = """
import contextlib, io, json, sys
from flows.cli import main
finished = []
for command in json.loads(sys.argv[1]):
    sys.argv = ["rl-loop", *command]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main()
        except SystemExit as ended:
            finished.append([ended.code or 0, out.getvalue(), err.getvalue()])
print(json.dumps(finished))
"""


@pytest.fixture
def read_only(begun: RunFolder, tmp_path: Path) -> Generator[ReadOnly]:
    """Runs commands, one after the other in one process, that see the folders of runs and services read-only."""
    (tmp_path / "out").mkdir()
    begun.config.services.state_dir.mkdir()
    closed = [begun.config.runs_dir, begun.config.services.state_dir]

    def run(*commands: list[object]) -> list[Done]:
        prefix: list[str] = []
        if os.geteuid() == 0:
            mounts = [f"mount --bind {at} {at} && mount -o remount,bind,ro {at} && " for at in map(str, closed)]
            prefix = [*OWN_MOUNTS, "sh", "-c", f'{"".join(mounts)}exec "$@"', "sh"]
        else:
            change_mode(closed, folders=0o555, files=0o444)
        asked = json.dumps([[str(word) for word in command] for command in commands])
        done = subprocess.run(
            [*prefix, sys.executable, "-c", COMMANDS, asked],
            cwd=tmp_path / "out",
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [Done(*finished) for finished in json.loads(done.stdout)]

    yield run
    change_mode(closed, folders=0o755, files=0o644)


def change_mode(roots: list[Path], *, folders: int, files: int) -> None:
    for root in roots:
        for path in (root, *root.rglob("*")):
            path.chmod(folders if path.is_dir() else files)


pytestmark = pytest.mark.skipif(
    os.geteuid() == 0 and not can_mount(), reason="root may not mount here, and writes everywhere"
)


def test_commands_on_a_run_that_cannot_be_written(begun: RunFolder, read_only: ReadOnly, tmp_path: Path) -> None:
    with begun.lock():  # somebody wrote it once
        pass
    planned_groups(begun.inputs, 1, Stage.ROLLOUT)

    doctor, monitor, export, compact, resume = read_only(
        ["doctor", begun.root],
        ["monitor", begun.root, "--once"],
        ["export", begun.root],
        ["compact", begun.root],
        ["resume", begun.root, "iterations=5"],
    )

    assert "no process is writing it" in doctor.out and "1 of 8 stages finished" in doctor.out and not doctor.err, (
        doctor
    )
    assert monitor.status == 0 and "iteration 1/2" in monitor.out, monitor
    assert export.status == 0 and (tmp_path / "out" / "a.parquet").exists(), export
    for done in (compact, resume):
        assert done.status == 1 and done.err.count("\n") == 1, done
        assert done.err.startswith("rl-loop: run a cannot be written: ") and "make the folder writable" in done.err


def test_a_new_run_where_nothing_can_be_written(config: LoopConfig, write_config, read_only: ReadOnly) -> None:
    started, status, down = read_only(
        ["run", write_config(), "--name", "b"], ["status", "-c", write_config()], ["down", "-c", write_config()]
    )

    assert started.status == 1 and started.err.count("\n") == 1, started
    assert started.err.startswith(
        f"rl-loop: services.state_dir: {config.services.state_dir} cannot be written by this user"
    )
    assert status.status == 1 and status.out.startswith("no services are running"), status
    assert down.status == 0 and down.out == "nothing to stop\n", down


def test_a_run_that_cannot_be_read(begun: RunFolder, tmp_path: Path) -> None:
    """As another user, who may not even look into the folder."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    begun.root.chmod(0o700)
    for folder in (begun.root.parent, *begun.root.parent.parents):
        if folder != Path("/") and folder.stat().st_mode & 0o077 == 0:
            folder.chmod(0o755)
    os.seteuid(65_534)
    try:
        from flows.starting.starting import find_run
        from storage.errors import RunFolderError

        with pytest.raises(RunFolderError, match="cannot be read"):
            find_run(str(begun.root), None)
        with pytest.raises(RunFolderError, match="cannot be read"):
            RunFolder.open(begun.root)
    finally:
        os.seteuid(0)
