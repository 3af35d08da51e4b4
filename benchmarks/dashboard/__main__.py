"""Speed of the dashboard: lists and search over 100,000 rollouts, long trajectories, the index of 10,000 of them.

    python -m benchmarks.dashboard [--rollouts 100000] [--trajectories 10000] [--database postgresql+psycopg://HOST/EMPTY]

Queries go through the HTTP routes in this process, without a socket; the database is a SQLite file in a temporary folder
unless another one is named, whose tables must be empty.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from benchmarks.dashboard.synthetic import fill, service_in, write_long, write_run
from dashboard.api.service import Service
from dashboard.app import create_app
from dashboard.index.scanning import Scanner

LIST_S, SEARCH_S, OPEN_S, INDEX_S = 0.100, 0.200, 1.0, 30.0
"""Limits: seconds at the 95th percentile, and for the index of 10,000 trajectories, a trajectory of 500 MB."""
HUGE_MB = 250.0
"""Limit for the memory in which a trajectory of 500 MB is opened: its answer has 26 steps of a megabyte, twice and more."""
REPEATS = 30
LISTS = {
    "newest": "",
    "by status": "status=failed",
    "by success": "success=true",
    "by task": "task_id=task-00042",
    "by run and iteration": "run=run-3&iteration=7",
    "by model and verdict": "model=model-1&success=false",
    "by reward": "min_reward=0.4&max_reward=0.6",
    "a rare failure": "failure=RARE",
    "nothing": "status=cancelled&success=true",
}
SEARCHES = {
    "a common word": "q=button",
    "two words": "q=blue invoice",
    "a rare word": "q=needle",
    "no match": "q=absent",
}


def main() -> None:
    """Measures, prints a table, exits with 1 when a figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=100_000)
    parser.add_argument("--trajectories", type=int, default=10_000)
    parser.add_argument("--database")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dashboard-") as folder:
        ok = asyncio.run(measure(Path(folder), given.database, given.rollouts, given.trajectories))
    raise SystemExit(0 if ok else 1)


async def measure(home: Path, database: str | None, rollouts: int, trajectories: int) -> bool:
    """Prints one line per figure; True if all were reached."""
    service = service_in(home, database)
    fill(service, rollouts)
    transport = httpx.ASGITransport(create_app(service.settings.runs, service))
    results: list[bool] = []
    print(
        f"{rollouts} rollouts in the database, {REPEATS} calls of each kind\n{'what':44}{'median':>10}{'p95':>10}{'cpu':>10}{'must':>10}"
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for kinds, must in ((LISTS, LIST_S), (SEARCHES, SEARCH_S)):
            for name, query in kinds.items():
                results.append(await show(f"list: {name}", must, call(client, f"/api/rollouts?limit=100&{query}")))
        deep = await cursor_after(client, pages=5)
        results.append(await show("list: a later page", LIST_S, call(client, f"/api/rollouts?limit=100&cursor={deep}")))
        results.append(await show("tasks with their success", LIST_S, call(client, "/api/tasks?limit=100")))
        results.append(await show("analysis by domain", None, call(client, "/api/analysis?by=domain")))
        results.append(await show_long(service, client))
    write_run(service.settings.runs, trajectories)
    began, cpu = time.perf_counter(), time.process_time()
    read = Scanner(service.runs, service.database).scan().read
    seconds = time.perf_counter() - began
    cpu = time.process_time() - cpu
    must = INDEX_S * trajectories / 10_000
    print(f"{f'index: {read} trajectories':44}{seconds:>9.1f}s{'':>10}{cpu:>9.1f}s{must:>9.1f}s")
    began = time.perf_counter()
    Scanner(service.runs, service.database).scan()
    print(f"{'index: a pass without news':44}{time.perf_counter() - began:>9.3f}s{'':>20}{2.0:>9.1f}s")
    service.database.close()
    return all(results) and seconds < must


def call(client: httpx.AsyncClient, address: str) -> Callable[[], Awaitable[Any]]:
    """A call that must succeed."""

    async def send() -> None:
        (await client.get(address, timeout=60)).raise_for_status()

    return send


async def show(name: str, must: float | None, act: Callable[[], Awaitable[Any]]) -> bool:
    """Prints the time of an act; True if its 95th percentile is good enough."""
    await act()
    times: list[float] = []
    cpu = time.process_time()
    for _ in range(REPEATS):
        began = time.perf_counter()
        await act()
        times.append(time.perf_counter() - began)
    cpu = (time.process_time() - cpu) / REPEATS
    p95 = statistics.quantiles(times, n=20)[18]
    limit = "" if must is None else f"{must:.3f}s"
    print(f"{name:44}{statistics.median(times):>9.3f}s{p95:>9.3f}s{cpu:>9.3f}s{limit:>10}", flush=True)
    return must is None or p95 < must


async def cursor_after(client: httpx.AsyncClient, pages: int) -> str:
    """The cursor after some pages of the longest list, or after its last but one if it has fewer."""
    cursor = ""
    for _ in range(pages):
        reply = await client.get(f"/api/rollouts?limit=1000{f'&cursor={cursor}' if cursor else ''}", timeout=60)
        if (following := reply.headers.get("x-next-cursor")) is None:
            break
        cursor = following
    return cursor


async def show_long(service: Service, client: httpx.AsyncClient) -> bool:
    """A rollout of 500 steps, as the page opens it and as a reader of the whole opens it; then one of 500 MB, and its memory."""
    long_one, huge = write_long(service, "long", 5_000), write_long(service, "huge", 1_000_000)
    began = time.perf_counter()
    Scanner(service.runs, service.database).scan()
    print(f"{'index: one of 500 MB':44}{time.perf_counter() - began:>9.3f}s")
    before = anonymous_mb()
    most, done = before, asyncio.Event()

    async def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, await asyncio.to_thread(anonymous_mb))
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    began = time.perf_counter()
    await call(client, f"/api/rollouts/{huge}/replay?around=0")()
    seconds = time.perf_counter() - began
    done.set()
    await watching
    print(f"{'a rollout of 500 MB opens':44}{seconds:>9.3f}s, memory +{most - before:.0f} MB of {HUGE_MB:.0f} allowed")
    opened = await show(
        "a rollout of 500 steps opens", OPEN_S, call(client, f"/api/rollouts/{long_one}/replay?around=0")
    )
    await show("a step of it far away", None, call(client, f"/api/rollouts/{long_one}/steps?first=450&count=50"))
    await show("all of it at once", None, call(client, f"/api/rollouts/{long_one}/replay"))
    return opened and most - before < HUGE_MB


def anonymous_mb() -> float:
    """Memory of this process that is no file's, in MB."""
    found = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(found.split()[1]) / 1_000


if __name__ == "__main__":
    main()
