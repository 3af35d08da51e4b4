"""Speed of the dashboard: lists and search over 100,000 rollouts, long trajectories, the index of 10,000 of them.

    python -m benchmarks.dashboard [--rollouts 100000] [--trajectories 10000]

Queries go through the HTTP routes in this process, without a socket; the database is a SQLite file in a temporary folder.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert

from agent.types import Completion, Step, StopReason, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import Box, ClickId, Mark, Observation, Viewport
from dashboard.api.service import Service
from dashboard.app import create_app
from dashboard.database.opening import open_database, sqlite_url
from dashboard.database.tables import RolloutRow, TaskRow
from dashboard.index.scanning import Scanner
from dashboard.settings import Settings
from dashboard.store import RunsDir
from dashboard.worker.config import PlayConfig
from storage.store import TrajectoryStore
from storage.verdicts import write_verdicts

LIST_S, SEARCH_S, OPEN_S, INDEX_S = 0.100, 0.200, 1.0, 30.0
"""Limits: seconds at the 95th percentile, and for the index of 10,000 trajectories, a trajectory of 500 MB."""
HUGE_MB = 250.0
"""Limit for the memory in which a trajectory of 500 MB is opened: its answer has 26 steps of a megabyte, twice and more."""
REPEATS = 30
WORDS = """open shop basket cheapest blue shirt invoice total plan button dialog submit menu search result order
customer""".split()  # noqa: SIM905
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
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dashboard-") as folder:
        ok = asyncio.run(measure(Path(folder), given.rollouts, given.trajectories))
    raise SystemExit(0 if ok else 1)


async def measure(home: Path, rollouts: int, trajectories: int) -> bool:
    """Prints one line per figure; True if all were reached."""
    service = service_in(home)
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
    """The cursor after some pages of the longest list."""
    cursor = ""
    for _ in range(pages):
        reply = await client.get(f"/api/rollouts?limit=1000{f'&cursor={cursor}' if cursor else ''}", timeout=60)
        cursor = reply.headers["x-next-cursor"]
    return cursor


def service_in(home: Path) -> Service:
    """An empty dashboard in a folder."""
    runs, data = home / "runs", home / "data"
    runs.mkdir()
    (data / "rollouts").mkdir(parents=True)
    settings = Settings(runs=runs, data=data, database=sqlite_url(data / "dashboard.db"))
    return Service(settings, PlayConfig(), open_database(settings.database), RunsDir(runs))


def fill(service: Service, number: int) -> None:
    """Synthetic rows: 500 tasks, 5 runs of 20 iterations, 4 models; the same ones at each call."""
    chance, began = random.Random(0), time.time() - number
    tasks = [Task(id=f"task-{index:05d}", environment="miniwob", goal=text(chance, 8)) for index in range(500)]
    with service.database.write() as session:
        session.execute(
            insert(TaskRow),
            [
                {
                    "id": task.id, "environment": "miniwob", "goal": task.goal, "domain": "d", "answer": None,
                    "source": "upload", "content": task.model_dump(mode="json"), "created_at": began,
                }
                for task in tasks
            ],
        )  # fmt: skip
    for start in range(0, number, 5_000):
        rows = [
            row(chance, index, chance.choice(tasks), began + index)
            for index in range(start, min(number, start + 5_000))
        ]
        with service.database.write() as session:
            session.execute(insert(RolloutRow), rows)


def row(chance: random.Random, index: int, task: Task, at: float) -> dict[str, Any]:
    """One synthetic row."""
    failed = chance.random() < 0.03
    reward = None if failed else chance.choice([0.0, 0.0, 0.5, 1.0])
    answer = f"{text(chance, 12)}{' needle' if index % 20_011 == 7 else ''}"
    return {
        "id": f"hand-{index}", "source": "hand", "job_id": f"job-{index // 8}", "task_id": task.id, "environment": "miniwob",
        "domain": f"domain-{chance.randrange(40)}", "goal": task.goal, "model": f"model-{chance.randrange(4)}",
        "task": task.model_dump(mode="json"), "run": f"run-{index % 5}", "iteration": index % 20, "stage": "rollout",
        "trajectory_id": f"t-{index}", "status": "failed" if failed else "completed", "reason": "done", "steps": index % 30,
        "success": None if reward is None else reward >= 1, "reward": reward, "answer": answer,
        "failure_side": "infra" if failed else "", "failure_code": ("RARE" if index % 5_003 == 0 else "LOST") if failed else "",
        "error": text(chance, 10) if failed else "", "seconds": chance.random() * 100, "created_at": at, "completed_at": at + 9,
    }  # fmt: skip


def text(chance: random.Random, words: int) -> str:
    """Some words."""
    return " ".join(chance.choices(WORDS, k=words))


def episode(name: str, steps: int, tokens: int) -> Trajectory:
    """A trajectory as the loop stores it, without pictures."""
    seen = Observation(url="http://127.0.0.1/", title="page", viewport=Viewport())
    said = Completion(
        text="click(3)", prompt_token_ids=tuple(range(tokens)), token_ids=(1, 2, 3), logprobs=(-0.1, -0.2, -0.3)
    )
    turns = tuple(Step(index=n, observation=seen, completion=said, action=ClickId(id=3)) for n in range(steps))
    task = Task(id=f"task-{hash(name) % 500:05d}", environment="miniwob", domain="click-button", max_steps=1_000)
    return Trajectory(
        id=name, task=task, goal="Click.", group="g", member=0, iteration=1, steps=turns, stop=StopReason.DONE, seconds=2.0
    )  # fmt: skip


def write_run(runs: Path, number: int) -> None:
    """A run with this many trajectories of five steps in ten iterations, judged."""
    (runs / "big").mkdir()
    (runs / "big/run.json").write_text('{"name": "big", "created": "2026-01-01T00:00:00+00:00"}')
    for iteration in range(10):
        stage = runs / f"big/iterations/{iteration:04d}/rollout"
        names = [f"i{iteration:04d}-task-{index:05d}" for index in range(number // 10)]
        data = episode("NAME", 5, 800).model_dump_json()
        for name in names:  # as `TrajectoryStore.write` does, without its fsync
            (stage / name).mkdir(parents=True)
            (stage / name / "trajectory.json").write_text(data.replace("NAME", name))
        (stage / "done.json").write_text("{}")
        judged = stage.parent / "judge"
        judged.mkdir()
        write_verdicts(judged, [Verdict(trajectory_id=name, reward=1.0, judge="miniwob") for name in names])


def write_long(service: Service, name: str, text_bytes: int) -> str:
    """A run's rollout of 500 steps, each with 100 marks, a page text of this size and a prompt of 2,000 tokens; returns its id."""
    runs = service.settings.runs
    (runs / name).mkdir()
    (runs / name / "run.json").write_text(json.dumps({"name": name, "created": "2026-01-01T00:00:00+00:00"}))
    marks = [
        Mark(id=number, role="button", name=f"button {number}", box=Box(x=number, y=number, width=40, height=20))
        for number in range(1, 101)
    ]
    given = episode(name, 500, 2_000)
    seen = given.steps[0].observation.model_copy(update={"marks": marks, "text": "word " * (text_bytes // 5)})
    steps = tuple(step.model_copy(update={"observation": seen}) for step in given.steps)
    store = TrajectoryStore(runs / name / "iterations/0001/rollout")
    store.write(given.model_copy(update={"steps": steps}), {})
    return f"{name}:0001:rollout:{name}"


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
