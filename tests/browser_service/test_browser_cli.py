"""Settings and the command line: wrong input is one sentence and a non-zero exit."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from real_service import free_port

from browser_service.settings import SettingsError, read_settings


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "browser_service.cli", *arguments]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def one_sentence(finished: "subprocess.CompletedProcess[str]") -> str:
    assert finished.returncode != 0
    lines = [line for line in finished.stderr.splitlines() if line.strip()]
    assert "Traceback" not in finished.stderr
    return lines[-1]


def test_a_busy_port_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        sentence = one_sentence(run("up", "--port", str(port)))
    assert f"127.0.0.1:{port}" in sentence and "another --port" in sentence


def test_a_start_waits_for_no_library_that_it_does_not_use() -> None:
    """Each of these took part of the time until the first browser."""
    loaded = "import sys, browser_service.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    names = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert "playwright" in names.split()
    assert not {"redis", "opentelemetry", "torch", "numpy"} & set(names.split())


def test_too_few_slots() -> None:
    assert "slots" in one_sentence(run("up", "--slots", "0", "--port", str(free_port())))


def test_no_chromium_says_how_to_install_one() -> None:
    missing = run("up", "--port", str(free_port()), PATH="/nowhere", PLAYWRIGHT_BROWSERS_PATH="/nowhere")
    assert "apt-get install" in one_sentence(missing)
    assert "/no/such/browser" in one_sentence(run("up", "--port", str(free_port()), "--chromium", "/no/such/browser"))


def test_nobody_to_ask_for_status() -> None:
    assert "no answer" in one_sentence(run("status", "--url", f"http://127.0.0.1:{free_port()}"))


def test_help_answers() -> None:
    answered = run("up", "--help")
    assert answered.returncode == 0 and "--slots" in answered.stdout


def test_settings_come_from_the_environment_and_the_command_line_wins() -> None:
    settings = read_settings(
        {"BROWSER_SERVICE_SLOTS": "7", "BROWSER_SERVICE_PORT": "7100", "HOME": "/"}, port=7200, host=None
    )
    assert (settings.slots, settings.port, settings.url) == (7, 7200, "http://127.0.0.1:7200")


@pytest.mark.parametrize(
    ("environment", "word"),
    [
        ({"BROWSER_SERVICE_SLOT": "7"}, "BROWSER_SERVICE_SLOT"),
        ({"BROWSER_SERVICE_SLOTS": "many"}, "BROWSER_SERVICE_SLOTS"),
        ({"BROWSER_SERVICE_HOST": "0.0.0.0"}, "BROWSER_SERVICE_API_KEY"),
        ({"BROWSER_SERVICE_API_KEY": ""}, "empty"),
    ],
)
def test_wrong_settings_are_named(environment: dict[str, str], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        read_settings(environment)
    assert read_settings({"BROWSER_SERVICE_HOST": "0.0.0.0", "BROWSER_SERVICE_API_KEY": "k"}).host == "0.0.0.0"


@pytest.mark.parametrize("kind", ["folder", "link to one of ours"])
def test_a_state_folder_that_another_user_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    other = os.getuid() + 1
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: other)
    folder = tmp_path / f"browser-service-{other}"
    assert read_settings({}).state_dir == folder, "nobody was there before us"
    if kind == "folder":
        folder.mkdir()
    else:
        folder.symlink_to(tmp_path)
    with pytest.raises(SettingsError, match=r"belongs to another user.*BROWSER_SERVICE_STATE_DIR"):
        read_settings({})
    assert read_settings({"BROWSER_SERVICE_STATE_DIR": "/elsewhere"}).state_dir == Path("/elsewhere")
