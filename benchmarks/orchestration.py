"""Cost of orchestration: a loop in real Prefect and MLflow whose episodes, updates and publishes take no time.

    python -m benchmarks.orchestration [--iterations 200] [--most 10000]

Required: an iteration of 64 episodes takes at most 3 % of the demo's; a further episode at most 20 ms, also among 10,000;
the pages of MLflow and Prefect of a run of 200 iterations show its numbers within 3 s, in a real Chromium.
"""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median

import psutil
from playwright.async_api import TimeoutError as PlaywrightTimeout

from benchmarks.instant_run import Servers, new_run, nothing_takes_time, running_servers
from benchmarks.pool_parts import MB, direct_chromium
from flows.settings.run_folder import RunFolder

DEMO_ITERATION_S = 54.0
"""Seconds of an iteration of the demo on 2 cores: the mean of iterations 2 to 6 of a quiet `make demo`
(docs/benchmarks.md)."""
SHARE, EPISODE_S, PAGE_S = 0.03, 0.020, 3.0
PAGE_DEADLINE_MS = 20_000


async def played(folder: RunFolder) -> str:
    """Runs a loop as a flow. Returns the id of the flow run."""
    from prefect import flow
    from prefect.runtime import flow_run

    from flows.rl_loop import loop_in_prefect

    @flow(name="rl-loop", flow_run_name=folder.name)
    async def loop() -> str:
        identity = str(flow_run.id)
        with folder.lock():
            await loop_in_prefect(folder, identity)
        return identity

    async with nothing_takes_time():
        return await loop()


def seconds_of(folder: RunFolder) -> float:
    """The median of the run's iterations, without the first one's imports and connections."""
    files = [folder.iteration_file(number) for number in range(2, folder.config.iterations + 1)]
    return median(json.loads(path.read_text())["iteration_s"] for path in files)


def measure_iterations(home: Path, most: int, require: Callable[[str, float, float], None]) -> None:
    """Iterations of 64, 640 and `most` episodes."""
    seconds: dict[int, float] = {}
    for episodes, iterations in ((64, 6), (640, 3), (most, 2)):
        folder = new_run(home, f"e{episodes}", episodes=episodes, iterations=iterations)
        before = psutil.Process().cpu_times()
        asyncio.run(played(folder))
        after, resident = psutil.Process().cpu_times(), psutil.Process().memory_info().rss / MB
        seconds[episodes] = seconds_of(folder)
        busy = (after.user + after.system - before.user - before.system) / iterations
        print(
            f"  {episodes:>6} episodes: {seconds[episodes]:.2f} s an iteration, {busy:.2f} s of a core, {resident:.0f} MB",
            flush=True,
        )
    require("s of an iteration of 64 episodes", seconds[64], SHARE * DEMO_ITERATION_S)
    require("s of each further episode, 64 to 640", (seconds[640] - seconds[64]) / 576, EPISODE_S)
    require(f"s of each further episode, 640 to {most:,}", (seconds[most] - seconds[640]) / (most - 640), EPISODE_S)


def measure_pages(home: Path, servers: Servers, iterations: int, require: Callable[[str, float, float], None]) -> None:
    """A long run, and the pages that a person opens of it."""
    folder = new_run(home, "long", episodes=8, iterations=iterations)
    began = time.monotonic()
    flow_run_id = asyncio.run(played(folder))
    print(f"  {iterations} iterations of 8 episodes: {time.monotonic() - began:.0f} s", flush=True)
    run_id = folder.record().mlflow_run_id
    mlflow = f"{servers.mlflow}/#/experiments/1/runs/{run_id}"
    pages = {
        "MLflow, the run": (mlflow, "rollout/success_rate"),
        "MLflow, its charts": (f"{mlflow}/model-metrics", "success_rate"),
        "MLflow, its traces": (f"{mlflow}/traces", "click"),
        "MLflow, all runs": (f"{servers.mlflow}/#/experiments/1/runs", "long"),
        "Prefect, the run": (f"{servers.prefect}/runs/flow-run/{flow_run_id}", "Completed"),
        # The newest hundred runs, with the parts of a run among them.
        "Prefect, all runs": (f"{servers.prefect}/runs", f"{iterations:04d} evaluate"),
    }
    for name, shown in asyncio.run(opened(pages)).items():
        require(f"s until shown: {name}", shown, PAGE_S)


async def opened(pages: dict[str, tuple[str, str]]) -> dict[str, float]:
    """Seconds from the navigation until a text is shown, in a context with a warm cache, as a person has it."""
    found: dict[str, float] = {}
    async with direct_chromium() as browser:
        context = await browser.new_context(viewport={"width": 1440, "height": 900})
        for name, (url, text) in pages.items():
            for _ in range(2):  # the first fills the cache with the page's own scripts
                page = await context.new_page()
                began = time.monotonic()
                await page.goto(url, timeout=PAGE_DEADLINE_MS, wait_until="commit")
                with suppress(PlaywrightTimeout):  # then the seconds say that it was never shown
                    await page.get_by_text(text).first.wait_for(timeout=PAGE_DEADLINE_MS)
                found[name] = time.monotonic() - began
                await page.close()
    return found


def main() -> int:
    """Returns 1 when a requirement was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--iterations", type=int, default=200, help="iterations of the run whose pages are opened; 0: none"
    )
    parser.add_argument(
        "--most", type=int, default=10_000, help="episodes of the largest iteration; 0: none is measured"
    )
    options = parser.parse_args()
    if 0 < options.most <= 640:
        parser.error(f"--most must be above 640, which is measured anyway, or 0; found {options.most}")
    held: list[bool] = []

    def require(what: str, found: float, most: float) -> None:
        held.append(found <= most)
        print(f"{what:<52} {found:8.4f}   at most {most:.3f}   {'ok' if held[-1] else 'MISSED'}", flush=True)

    with tempfile.TemporaryDirectory(prefix="orc-") as name, running_servers(Path(name)) as servers:
        logging.disable(logging.INFO)  # Prefect repeats each line of ours to its server, as it does for a user
        if options.most:
            measure_iterations(Path(name), options.most, require)
        if options.iterations:
            measure_pages(Path(name), servers, options.iterations, require)
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
