"""Root starts no browser without its sandbox, unless it is told to in so many words."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from real_service import free_port

from browser_service.chromium.launcher import Launcher, LaunchError
from browser_service.settings import Settings

TRUE = Path(shutil.which("true") or "/bin/true")


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)


def test_root_without_the_program_that_drops_the_uid_is_refused(
    as_root: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match=r"setpriv.*BROWSER_SERVICE_ALLOW_UNSANDBOXED=1"):
        Launcher(TRUE, Settings())


@pytest.mark.parametrize("program", ["#!/bin/sh\nexec /bin/sleep 60", "no program"])
def test_a_program_that_hangs_or_can_not_be_run_is_a_failed_launch(
    as_root: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    setpriv = tmp_path / "setpriv"
    setpriv.write_text(program)
    setpriv.chmod(0o755)
    with pytest.raises(LaunchError, match=r"setpriv.* could not be run"):
        Launcher(TRUE, Settings(launch_deadline_s=0.3))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_root_is_refused_a_browser_that_the_other_user_can_not_run(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    private = tmp_path / "chromium"
    shutil.copy(TRUE, private)
    with pytest.raises(LaunchError, match=r"can't execute .*chromium"):
        Launcher(private, Settings())


def test_the_flag_lets_root_run_without_the_sandbox(
    as_root: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program = Launcher(TRUE, Settings(allow_unsandboxed=True)).prepare(tmp_path / "h1")
    assert "reuid" not in program.read_text()


@pytest.mark.skipif(os.getuid() != 0, reason="as another user than root the sandbox needs no help of ours")
def test_the_service_does_not_start_as_root_without_the_launcher(tmp_path: Path) -> None:
    """The whole command: a sentence, and a status that says that it failed."""
    command = [sys.executable, "-m", "browser_service.cli", "up", "--port", str(free_port()), "--chromium", str(TRUE)]
    with tempfile.TemporaryDirectory(prefix="bs-", dir="/tmp") as folder:  # a short path, for Chromium's sockets
        environment = {"PATH": str(tmp_path), "BROWSER_SERVICE_STATE_DIR": folder}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert list(Path(folder).iterdir()) == []
    assert done.returncode == 1, done.stderr
    assert "setpriv" in done.stderr and "Traceback" not in done.stderr
