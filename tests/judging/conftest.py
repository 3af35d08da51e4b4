"""A loopback judge and a builder of episodes for each test."""

from collections.abc import Generator

import pytest
from judge_server import JudgeServer, running_judge
from judged_episodes import Episodes


@pytest.fixture
def server() -> Generator[JudgeServer]:
    with running_judge() as judge:
        yield judge


@pytest.fixture
def episodes() -> Episodes:
    return Episodes()
