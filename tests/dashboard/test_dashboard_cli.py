"""The command: what it says when it can't start."""

import socket
from pathlib import Path

from typer.testing import CliRunner

from dashboard.cli import app


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
