"""The command: what it says when it can't start."""

import socket
from pathlib import Path

from typer.testing import CliRunner

from dashboard.cli import app
from flows.cli import app as rl_loop


def test_a_missing_directory_is_one_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--runs", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert (
        result.stderr
        == f"dashboard: there is no directory {tmp_path / 'none'}; name the one that your runs are in with --runs\n"
    )


def test_a_busy_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["--runs", str(tmp_path), "--port", str(port)])
    assert result.exit_code == 1
    assert result.stderr.startswith(
        f"dashboard: can't listen on 127.0.0.1:{port} (Address already in use): choose another --port"
    )
    assert result.stderr.count("\n") == 1


def test_rl_loop_has_the_command() -> None:
    """A merge once lost it: nothing else imports its file."""
    result = CliRunner().invoke(rl_loop, ["dashboard", "--help"])
    assert result.exit_code == 0 and "DASHBOARD_TOKENS" in result.stdout
