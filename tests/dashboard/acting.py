"""A dashboard with its database, without a socket and without a worker: what the worker would do, tests do themselves."""

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
from stored_run import pictures, trajectory

from agent.types import StopReason, Task
from agent.verdict import Verdict
from dashboard.api.service import Service
from dashboard.app import create_app
from dashboard.database.opening import open_database, sqlite_url
from dashboard.database.queue import claim
from dashboard.settings import Settings
from dashboard.store import RunsDir
from dashboard.worker import results
from dashboard.worker.config import PlayConfig
from environments.miniwob.tasks import task_from_id
from storage.store import TrajectoryStore

SEED_FILE = [
    {"id": "p1", "task": "Which plan sold most?", "answer": '{"plan": "Basic"}'},
    {"id": "p2", "task": "Count."},
]
BUTTON, LINK = "click-button.1000001", "click-link.1000002"
WORKER = "worker"


def make_service(runs: Path, template: Path, **settings: Any) -> Service:
    """The parts of the routes over a fresh database, copied from a migrated one."""
    data = runs / ".dashboard"
    (data / "rollouts").mkdir(parents=True, exist_ok=True)
    shutil.copy(template, data / "dashboard.db")
    given = Settings(runs=runs, data=data, database=sqlite_url(data / "dashboard.db"), **settings)
    return Service(given, PlayConfig(), open_database(given.database), RunsDir(runs))


def client_of(service: Service) -> httpx.AsyncClient:
    """A client of the application without a socket."""
    transport = httpx.ASGITransport(create_app(service.settings.runs, service))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8100")


async def upload(client: httpx.AsyncClient, content: object, name: str = "tasks.json") -> httpx.Response:
    """Uploads tasks, as JSON unless they are bytes."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return await client.post("/api/tasks/upload", files={"file": (name, data)})


async def upload_miniwob(client: httpx.AsyncClient) -> None:
    """Two tasks that the environment can judge and solve."""
    reply = await upload(client, [task_from_id(name).model_dump() for name in (BUTTON, LINK)])
    assert reply.json()["count"] == 2, reply.text


async def spawn(client: httpx.AsyncClient, **asked: Any) -> list[dict[str, Any]]:
    """Asks for rollouts."""
    reply = await client.post("/api/rollouts", json={"task_id": BUTTON, "model": "scripted", **asked})
    assert reply.status_code == 200, reply.text
    return reply.json()


def play(service: Service, *, reward: float | None = 1.0) -> list[str]:
    """Plays and judges all that waits, as a worker would; returns their ids."""
    with service.database.write() as session:
        ids = [one.id for one in claim(session, WORKER, 100)]
    for rollout_id in ids:
        asked = results.asked(service.database, rollout_id)
        played = trajectory(rollout_id, "click-button").model_copy(update={"task": asked.task, "stop": StopReason.DONE})
        TrajectoryStore(service.settings.rollouts).write(played, pictures())
        verdict = Verdict(trajectory_id=rollout_id, reward=reward, judge="miniwob", evidence="seen")
        with service.database.write() as session:
            assert results.played(session, WORKER, played)
            assert results.judged(session, WORKER, verdict)
    return ids


def plain_task(task_id: str = "p1") -> Task:
    """A task of the open web."""
    return Task(id=task_id, environment="live", goal="Which plan sold most?", start_url="https://example.com")
