"""The live grid: CPU and memory of the dashboard's server while rollouts change, and the delay until a page shows it.

    python -m benchmarks.dashboard.live [--cells 500] [--seconds 60] [--pages 1]

The server is a process of its own without a worker. This process plays the worker: in one transaction every half second it
writes a new step and a new picture for every cell, and now and then a line of a log. Headless Chromiums have the page open.
A run on disk grows meanwhile, to measure how far the index lags. `--seconds 3600` shows whether memory stays flat.
"""

import argparse
import asyncio
import hashlib
import io
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
from PIL import Image
from playwright.async_api import Page, TimeoutError, async_playwright
from sqlalchemy import insert

from benchmarks.dashboard.synthetic import episode, service_in
from dashboard.api.service import Service
from dashboard.database.tables import EventRow, RolloutRow
from dashboard.worker import results
from storage.store import TrajectoryStore

CORE, LAG_S, GROWTH = 0.5, 2.0, 0.05
"""Limits: cores of the server, seconds from a finished episode to its row, growth of memory between the second quarter and the last."""
PERIOD_S = 0.5
PICTURES = 64
START_S, STOP_S = 60.0, 15.0
OWNER = "benchmark"
MB = 1_000_000


class Sample(NamedTuple):
    """The server and the browser at one moment."""

    server_s: float
    """CPU seconds since its start."""
    browser_s: float
    memory_mb: float
    """Resident memory of the server."""


def main() -> None:
    """Measures, prints a line per figure, exits with 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pages", type=int, default=1, help="browsers that watch")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dashboard-live-") as folder:
        reached = asyncio.run(measure(Path(folder), given.cells, given.seconds, given.pages))
    raise SystemExit(0 if reached else 1)


async def measure(home: Path, cells: int, seconds: float, pages: int) -> bool:
    """Prints one line per figure; True if all were reached."""
    service = service_in(home)
    shown = begin_rollouts(service, cells)
    async with server_of(service) as (address, process), watched(address, pages) as opened:
        lags: list[float] = []
        growing = asyncio.create_task(grow_run(service, address, lags))
        samples, updates, delays = await update_cells(service, process, shown, seconds, opened)
        growing.cancel()
        reached = report(samples, updates, delays, lags, seconds)
    service.database.close()
    return reached


def begin_rollouts(service: Service, cells: int) -> list[str]:
    """Rows of rollouts that a worker of this name plays, and the pictures that they will show; returns the pictures' hashes."""
    now = time.time()
    rows = [
        {
            "id": f"cell-{number:04d}", "source": "hand", "task_id": f"task-{number % 50}", "environment": "miniwob",
            "goal": f"Click the button of order {number}.", "model": "scripted", "task": {}, "status": "running",
            "owner": OWNER, "lease_until": now + 1e6, "created_at": now, "started_at": now,
        }
        for number in range(cells)
    ]  # fmt: skip
    with service.database.write() as session:
        session.execute(insert(RolloutRow), rows)
    store = TrajectoryStore(service.settings.rollouts)
    shown: list[str] = []
    for number in range(PICTURES):
        data = io.BytesIO()
        Image.effect_noise((320, 180), 20 + number).save(data, "JPEG")
        shown.append(hashlib.sha256(data.getvalue()).hexdigest())
        store.write_image(shown[-1], data.getvalue())
    return shown


@asynccontextmanager
async def server_of(service: Service) -> AsyncGenerator[tuple[str, psutil.Process]]:
    """The address and the process of a dashboard over the same folders."""
    runs, data = service.settings.runs, service.settings.data
    command = [
        sys.executable,
        "-m",
        "dashboard",
        "--runs",
        str(runs),
        "--data",
        str(data),
        "--port",
        "0",
        "--no-worker",
    ]
    process = await asyncio.to_thread(subprocess.Popen[str], command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            address = str(await asyncio.to_thread(process.stdout.readline)).strip()
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
        process.stdout.close()


@asynccontextmanager
async def watched(address: str, pages: int) -> AsyncGenerator[list[Page]]:
    """The live page, open in headless Chromiums of 1440x900."""
    executable = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        opened = [await browser.new_page(viewport={"width": 1440, "height": 900}) for _ in range(pages)]
        for page in opened:
            await page.goto(f"{address}/#/live")
            await page.wait_for_selector("article.cell")
        yield opened
        await browser.close()


async def update_cells(
    service: Service, process: psutil.Process, shown: list[str], seconds: float, opened: list[Page]
) -> tuple[list[Sample], int, list[float]]:
    """Changes every cell twice a second. Returns samples of the server, the number of changes, and the pages' delays."""
    with service.database.read() as session:
        ids = [one for (one,) in session.query(RolloutRow.id)]
    samples, delays, updates, turn = [sample(process)], [], 0, 0
    watching: asyncio.Task[float] | None = None
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        turn += 1
        await asyncio.to_thread(write_turn, service, ids, shown, turn)
        updates += len(ids)
        if watching is not None and watching.done():
            delays.append(watching.result())
            watching = None
        if opened and watching is None and turn % 10 == 0:
            watching = asyncio.create_task(delay_of(opened[turn % len(opened)], turn))
        samples.append(sample(process))
        await asyncio.sleep(max(0.0, began + PERIOD_S - time.monotonic()))
    if watching is not None:
        delays.append(await watching)
    return samples, updates, delays


def write_turn(service: Service, ids: list[str], shown: list[str], turn: int) -> None:
    """One transaction, as a worker writes it: a step and a picture for each cell, a line of the log for every tenth."""
    with service.database.write() as session:
        pictures = [shown[(number + turn) % len(shown)] for number in range(len(ids))]
        changes = {
            one: {"phase": f"step {turn}", "steps": turn, "picture": picture}
            for one, picture in zip(ids, pictures, strict=True)
        }
        results.progress(session, OWNER, changes)
        lines = [
            {"rollout_id": one, "at": time.time(), "status": "running", "text": f"step {turn}"}
            for one in ids[turn % 10 :: 10]
        ]
        session.execute(insert(EventRow), lines)


async def delay_of(page: Page, turn: int) -> float:
    """Seconds until the page shows this turn, or a later one, in its first cell; after a minute it is infinite."""
    began = time.monotonic()
    condition = (
        "turn => Number(document.querySelector('article.cell p small')?.textContent.match(/\\d+/)?.[0] ?? 0) >= turn"
    )
    try:
        await page.wait_for_function(condition, arg=turn, timeout=60_000)
    except TimeoutError:
        return float("inf")
    return time.monotonic() - began


async def grow_run(service: Service, address: str, lags: list[float]) -> None:
    """Adds an episode to a run every two seconds, and waits until the server lists it."""
    run = service.settings.runs / "grows"
    run.mkdir()
    (run / "run.json").write_text('{"name": "grows", "created": "2026-01-01T00:00:00+00:00"}')
    store = TrajectoryStore(run / "iterations/0001/rollout")
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        for number in range(1_000_000):
            name = f"i0001-task-{number:05d}"
            await asyncio.to_thread(store.write, episode(name, 5, 800), {})
            began = time.monotonic()
            while (await client.get(f"/api/rollouts/grows:0001:rollout:{name}")).status_code != 200:  # noqa: ASYNC110 - the index is another process's
                await asyncio.sleep(0.1)
            lags.append(time.monotonic() - began)
            await asyncio.sleep(2)


def sample(server: psutil.Process) -> Sample:
    """CPU and memory now."""
    browser = [one for one in psutil.Process().children(recursive=True) if one.pid != server.pid]
    return Sample(cpu_s(server), sum(cpu_s(one) for one in browser), server.memory_info().rss / MB)


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds since its start."""
    used = process.cpu_times()
    return used.user + used.system


def report(samples: list[Sample], updates: int, delays: list[float], lags: list[float], seconds: float) -> bool:
    """Prints the figures; True if all were reached."""
    cores, browser = (
        (getattr(samples[-1], name) - getattr(samples[0], name)) / seconds for name in ("server_s", "browser_s")
    )
    quarter = max(1, len(samples) // 4)
    # In the first quarter caches fill and threads get their heaps; a leak goes on after it.
    parts = (samples[quarter : 2 * quarter] or samples, samples[-quarter:])
    first, last = (statistics.median(one.memory_mb for one in part) for part in parts)
    growth = last / first - 1
    tenths = [samples[len(samples) * part // 10 : len(samples) * (part + 1) // 10] for part in range(10)]
    course = " ".join(f"{statistics.median(one.memory_mb for one in part):.0f}" for part in tenths if part)
    print(f"{'changes of cells per second':44}{updates / seconds:>10.0f}")
    print(f"{'cores of the server':44}{cores:>10.2f}{CORE:>10.2f}")
    print(f"{'cores of the browser':44}{browser:>10.2f}")
    print(f"{'memory, second and last quarter (MB)':44}{first:>10.1f}{last:>10.1f}  {growth:+.1%} (limit {GROWTH:.0%})")
    print(f"{'memory by tenths of the time (MB)':44}  {course}")
    if delays:
        print(
            f"{'a page shows a change after (median, most)':44}{statistics.median(delays):>9.2f}s{max(delays):>9.2f}s"
        )
    lag = statistics.median(lags) if lags else float("inf")
    print(f"{'the index lags behind a run (median)':44}{lag:>9.2f}s{LAG_S:>9.1f}s")
    return cores < CORE and growth < GROWTH and lag < LAG_S


if __name__ == "__main__":
    main()
