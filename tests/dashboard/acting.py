"""A dashboard with its database, without a socket and without a worker: what the worker would do, tests do themselves."""

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import delete
from stored_run import pictures, trajectory

from agent.types import StopReason
from agent.verdict import Verdict
from dashboard.api.service import Service
from dashboard.database.opening import open_database, sqlite_url
from dashboard.database.queue import claim
from dashboard.database.tables import Base
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
SQLITE, POSTGRESQL = "sqlite", "postgresql"


def make_service(runs: Path, **settings: Any) -> Service:
    """The parts of the routes over a fresh database."""
    data = runs / ".dashboard"
    (data / "rollouts").mkdir(parents=True, exist_ok=True)
    settings.setdefault("database", sqlite_url(data / "dashboard.db"))
    given = Settings(runs=runs, data=data, **settings)
    return Service(given, PlayConfig(), open_database(given.database), RunsDir(runs))


def empty(service: Service) -> None:
    """Removes all rows, rollouts and runs."""
    with service.database.write() as session:
        for table in Base.metadata.sorted_tables:
            session.execute(delete(table))
    for folder in (service.settings.rollouts, *service.settings.runs.glob("[a-z]*")):
        if folder.is_symlink():
            folder.unlink()
        shutil.rmtree(folder, ignore_errors=True)
    service.settings.rollouts.mkdir()


def client_of(app: FastAPI) -> httpx.AsyncClient:
    """A client of the application without a socket."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8100")


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
        changes = {"id": rollout_id, "task": asked.task, "stop": StopReason.DONE}
        played = trajectory("i0001-click-button.7-m00", "click-button").model_copy(update=changes)
        TrajectoryStore(service.settings.rollouts).write(played, pictures())
        verdict = Verdict(trajectory_id=rollout_id, reward=reward, judge="miniwob", evidence="seen")
        with service.database.write() as session:
            assert results.played(session, WORKER, played)
            assert results.judged(session, WORKER, verdict)
    return ids
