"""The example and the README's program, as whoever copies them runs them: processes of their own over real browsers."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from anyio.from_thread import start_blocking_portal

from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.web import serving

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "minimal.yaml"
DEADLINE_S = 180
ROW = re.compile(r"^(click-(?:test|button)\.\d+) +1\.00 +1 +\d+\.\d\d$", re.MULTILINE)


def run(*arguments: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A Python program that finds this project."""
    command = [sys.executable, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


@asynccontextmanager
async def service() -> AsyncGenerator[str]:
    settings = Settings(slots=1, warm=1)
    async with running_service(settings) as service, serving(create_app(settings, service)) as url:
        yield url


@pytest.fixture(scope="module")
def browsers() -> Generator[str]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(service()) as url:
        yield url


def test_the_example_starts_and_stops_what_it_needs(tmp_path: Path) -> None:
    done = run(ROOT / "examples/foreign_agent.py", "--episodes", 3, "--config", CONFIG, folder=tmp_path)
    assert done.returncode == 0, done
    assert len(ROW.findall(done.stdout)) == 3, done.stdout
    assert "success 100%, mean reward 1.00 over 3 episodes of 1.0 steps" in done.stdout
    left = [process.info for process in psutil.process_iter(["cmdline", "cwd"]) if process.info["cwd"] == str(tmp_path)]
    assert left == []


def test_the_example_uses_a_service_that_runs(browsers: str) -> None:
    arguments = ["--browsers", browsers, "--agent", "random", "--episodes", 2, "--config", CONFIG]
    done = run("-m", "examples.foreign_agent", *arguments)
    assert done.returncode == 0 and "0 of 2 episodes broke" in done.stdout, done


def test_what_the_example_cannot_do_is_one_sentence() -> None:
    done = run("-m", "examples.foreign_agent", "--browsers", "http://127.0.0.1:1", "--config", "nowhere.yaml")
    assert (done.returncode, done.stderr) == (1, "foreign_agent: nowhere.yaml: no such configuration file\n")
    assert "matching" in run("-m", "examples.foreign_agent", "--help").stdout


def test_the_program_in_the_readme_works_as_printed(browsers: str) -> None:
    section = (ROOT / "README.md").read_text().partition("## As a library")[2]
    program = section.partition("```python\n")[2].partition("```")[0]
    assert "http://127.0.0.1:7000" in program
    done = run("-c", program.replace("http://127.0.0.1:7000", browsers))
    assert done.returncode == 0, done
    assert re.search(r" (0|1)\.0 (done|max_steps) \(210, 160, 3\)$", done.stdout.strip()), done.stdout
