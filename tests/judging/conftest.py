"""A loopback judge, a builder of episodes and the command line for each test."""

from collections.abc import Generator

import pytest
from command_line import Run, runner
from judge_server import JudgeServer, running_judge
from judged_episodes import Episodes


@pytest.fixture
def server() -> Generator[JudgeServer]:
    with running_judge() as judge:
        yield judge


@pytest.fixture
def episodes() -> Episodes:
    return Episodes()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(capsys, monkeypatch)
