"""A dashboard in a folder, with rows and run folders made from a seed."""

import json
import random
import time
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from agent.types import Completion, Step, StopReason, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import Box, ClickId, Mark, Observation, Viewport
from dashboard.api.service import Service
from dashboard.database.opening import open_database, sqlite_url
from dashboard.database.tables import RolloutRow, TaskRow
from dashboard.settings import Settings
from dashboard.store import RunsDir
from dashboard.worker.config import PlayConfig
from storage.step_lines import by_lines
from storage.store import TrajectoryStore
from storage.verdicts import write_verdicts

WORDS = """open shop basket cheapest blue shirt invoice total plan button dialog submit menu search result order
customer""".split()  # noqa: SIM905


def service_in(home: Path, database: str | None = None) -> Service:
    """An empty dashboard in a folder, on SQLite or on the empty database at this address."""
    runs, data = home / "runs", home / "data"
    runs.mkdir()
    (data / "rollouts").mkdir(parents=True)
    settings = Settings(runs=runs, data=data, database=database or sqlite_url(data / "dashboard.db"))
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
        data = by_lines(episode("NAME", 5, 800)).decode()
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
