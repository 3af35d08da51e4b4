"""The crowd for `make test-crowded` leaves no busy loop behind, however it ends."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from eventually import PATIENCE_S, wait_until

ROOT = Path(__file__).parent.parent
CROWD = [sys.executable, "-m", "scripts.crowd", "--per-core", "1", "--limit-s", "60"]
SLEEPS = [sys.executable, "-c", "import time; time.sleep(50)"]


def loops_of(crowd: subprocess.Popen[bytes]) -> list[psutil.Process]:
    children = psutil.Process(crowd.pid).children()
    return [child for child in children if "monotonic" in " ".join(child.cmdline())]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_loop_outlives_it(number: signal.Signals) -> None:
    cores = len(psutil.Process().cpu_affinity())
    with subprocess.Popen([*CROWD, *SLEEPS], cwd=ROOT, start_new_session=True) as crowd:
        family: list[psutil.Process] = []
        try:
            wait_until(lambda: len(loops_of(crowd)) == cores and len(psutil.Process(crowd.pid).children()) == cores + 1)
            loops, family = loops_of(crowd), psutil.Process(crowd.pid).children()
            if number == signal.SIGINT:  # the terminal sends it to the whole group
                [sleeper] = set(family) - set(loops)
                sleeper.send_signal(number)
            crowd.send_signal(number)
            crowd.wait(PATIENCE_S)
            _, alive = psutil.wait_procs(
                loops, timeout=PATIENCE_S / 2
            )  # less than the limit that ends them in any case
            assert alive == []
        finally:
            crowd.kill()
            for process in family:
                if process.is_running():
                    process.kill()


def test_the_status_is_the_commands() -> None:
    done = subprocess.run(
        [*CROWD, sys.executable, "-c", "raise SystemExit(7)"], cwd=ROOT, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 7
