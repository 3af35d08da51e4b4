"""`rl-loop monitor`: plain lines, mistakes, Ctrl+C, and metrics while it watches."""

import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from watched_run import WatchedStage

from flows.cli import main
from flows.settings.run_folder import RunFolder

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rl_loop(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in this process: status, output, errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rl-loop", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return (code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


def test_lines_where_there_is_no_terminal(rl_loop: Run, begun: RunFolder, played: WatchedStage) -> None:
    status, out, _ = rl_loop("monitor", begun.root, "--once", "--plain")

    assert status == 0 and out.count("\n") == 1
    assert out.startswith("a iteration 1/2 rollout ") and "3/12 over, success 50.0% of 2, " in out
    assert "slots 3/5 busy, 6 queued, 3 broken attempts (infra 2, site 1)" in out

    status, out, _ = rl_loop("monitor", begun.root, "--once", "--stage", "evaluate")
    assert status == 0 and "a  iteration 0/2  evaluate  finished in 1s  now iteration 1, rollout" in out
    assert "not planned yet" in out


def test_a_line_comes_only_with_news_and_at_the_end(begun: RunFolder, played: WatchedStage) -> None:
    command = [sys.executable, "-u", "-m", "flows.cli", "monitor", str(begun.root), "--iteration", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert "3/12 over" in watching.stdout.readline()
        time.sleep(6.5)  # longer than the time between two lines
        played.ends(*played.names[3:])
        played.finishes()
        rest = watching.stdout.read()
        assert watching.wait(30) == 0
    assert rest.count("\n") == 1 and "rollout finished in 30s now iteration 1, judge: 12/12 over" in rest


def test_a_terminal_gets_a_live_picture_and_keeps_the_last_one(begun: RunFolder, played: WatchedStage) -> None:
    terminal, its_end = pty.openpty()
    fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "flows.cli", "monitor", str(begun.root), "--iteration", "1"]
    environment = os.environ | {"TERM": "xterm-256color"}
    with subprocess.Popen(command, stdin=its_end, stdout=its_end, stderr=its_end, env=environment) as watching:
        os.close(its_end)
        seen = read_until(terminal, b"number: steps")
        played.ends(*played.names[3:])
        played.finishes()
        seen += read_until(terminal, None)
        assert watching.wait(30) == 0
    os.close(terminal)
    full_screen, _, left = seen.partition(b"\x1b[?1049l")
    assert full_screen.count(b"\x1b[?1049h") == 1 and b"3/12" in full_screen
    assert b"12/12" in left and b"finished in 30s" in left and left.count(b"\n") <= 23


def read_until(terminal: int, wanted: bytes | None) -> bytes:
    """Reads a program's terminal output until it contains `wanted`, or the program has ended."""
    seen, deadline = b"", time.monotonic() + 60
    while wanted is None or wanted not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 65_536)
            except OSError:  # Linux's error when no process has the terminal open any more
                break
    return seen


def test_ctrl_c_ends_the_watching(begun: RunFolder, played: WatchedStage) -> None:
    command = [sys.executable, "-u", "-m", "flows.cli", "monitor", str(begun.root)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as watching:
        assert watching.stdout is not None and watching.stderr is not None
        watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        assert watching.wait(30) == 130
        assert watching.stderr.read() == ""


def test_mistakes_are_one_sentence(rl_loop: Run, begun: RunFolder, write_config, tmp_path: Path) -> None:
    path = write_config()

    status, out, error = rl_loop("monitor", "nobody", "-c", path)
    assert (status, out) == (1, "") and error == f"rl-loop: no run nobody in {tmp_path / 'runs'}; runs there: a\n"
    status, _, error = rl_loop("monitor", "a", "--iteration", "9", "-c", path)
    assert status == 1 and error == "rl-loop: run a has iterations 0 to 2, not 9\n"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, _, error = rl_loop("monitor", "a", "--prometheus", port, "-c", path)
    assert status == 1 and error.startswith(f"rl-loop: port {port} cannot be used (") and error.count("\n") == 1
    status, _, error = rl_loop("monitor", "a", "--once", "--prometheus", "0", "-c", path)
    assert status == 1 and "choose one" in error
    assert rl_loop("monitor", "--help")[0] == 0


def test_the_command_serves_metrics(begun: RunFolder, played: WatchedStage) -> None:
    command = [sys.executable, "-u", "-m", "flows.cli", "monitor", str(begun.root), "--prometheus", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        url = watching.stdout.readline().split()[-1]
        watching.stdout.readline()
        text = httpx.get(url, trust_env=False).text
        watching.send_signal(signal.SIGINT)
        assert watching.wait(30) == 130
    assert (
        url.startswith("http://127.0.0.1:") and 'rl_loop_episodes{run="a",stage="rollout",state="waiting"} 6.0' in text
    )
