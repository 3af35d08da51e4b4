"""A dashboard process whose rollouts have a Postgres and an application container each, its browsers and its model."""

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from docker_images import APPLICATION_IMAGE, POSTGRES_IMAGE
from fastapi import FastAPI
from reports_dump import BASIC, EMAIL, PASSWORD, PRO, REPORTS

from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.web import serving

PLAYED_S = 120.0


class Reader:
    """A chat model that opens the report of the goal's plan and answers; for another goal it waits until it may answer."""

    def __init__(self) -> None:
        self.may_answer = False

    def reply(self, messages: Any) -> str:
        """The next action."""
        text, last = json.dumps(messages), json.dumps(messages[-1])
        if PRO["task"] in text:
            return "answer('{\"sold\": 100}')"
        if BASIC["task"] in text:
            return "answer('{\"sold\": 200}')" if "All reports" in last else "click(1)"
        return "answer('{\"sold\": 1}')" if self.may_answer else "wait(1)"

    def app(self) -> FastAPI:
        """The model behind the chat API."""
        app = FastAPI()

        @app.post("/v1/chat/completions")
        def complete(asked: dict[str, Any]) -> dict[str, Any]:
            message = {"content": self.reply(asked["messages"])}
            return {"choices": [{"message": message, "finish_reason": "stop"}]}

        return app


@asynccontextmanager
async def browsers() -> AsyncGenerator[str]:
    """The address of a browser service."""
    settings = Settings(slots=4, egress_sites=("127.0.0.1:*",))
    async with running_service(settings) as service, serving(create_app(settings, service)) as url:
        yield url


def write_config(home: Path, model: str) -> None:
    """The dashboard's configuration, which names no dump, and the dump beside it."""
    section = {
        "image": APPLICATION_IMAGE,
        "postgres_image": POSTGRES_IMAGE,
        "memory_mb": 128,
        "postgres_memory_mb": 128,
    }
    login = {"login": {"username": EMAIL, "password_env": "REPORTS_PASSWORD"}}
    config = {
        "environments": {"metabase": {"name": "metabase", "metabase": section | login}},
        "models": {"reader": {"kind": "openai_chat", "model": "reader", "base_url": model}},
        "default_environment": "metabase",
        "default_model": "reader",
    }
    (home / "dashboard.yaml").write_text(json.dumps(config))
    (home / "reports.sql").write_text(REPORTS)
    (home / "runs").mkdir()


async def started(home: Path, engine: str, browsers: str) -> tuple[Process, str]:
    """A `python -m dashboard` over the configuration in `home`, and its address. It keeps a worker running."""
    command = [sys.executable, "-m", "dashboard", "--runs", home / "runs", "--port", "0", "--browsers", browsers]
    server = await asyncio.create_subprocess_exec(
        *map(str, command),
        *("--config", str(home / "dashboard.yaml")),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ
        | {"DOCKER_HOST": engine, "SQL_DUMP_PATH": str(home / "reports.sql"), "REPORTS_PASSWORD": PASSWORD},
    )
    assert server.stdout is not None
    async with asyncio.timeout(60):
        address = (await server.stdout.readline()).decode().strip()
    assert address, "the dashboard did not start"
    return server, address


async def stopped(server: Process) -> None:
    """Ends a dashboard in order; its worker ends with it."""
    if server.returncode is None:
        server.terminate()
    await server.communicate()


def client_at(address: str) -> httpx.AsyncClient:
    """A client of a dashboard."""
    return httpx.AsyncClient(base_url=address, timeout=30, trust_env=False)


@asynccontextmanager
async def dashboard(home: Path, engine: str, browsers: str, model: str) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a dashboard that runs as long as the block."""
    write_config(home, model)
    server, address = await started(home, engine, browsers)
    try:
        async with client_at(address) as client:
            yield client
    finally:
        await stopped(server)


async def rollout(
    client: httpx.AsyncClient, rollout_id: str, wanted: Callable[[Any], bool], within_s: float = PLAYED_S
) -> Any:
    """The rollout, once it is as wanted."""
    deadline = time.monotonic() + within_s
    while not wanted(row := (await client.get(f"/api/rollouts/{rollout_id}")).raise_for_status().json()):
        assert time.monotonic() < deadline, (row, (await client.get(f"/api/rollouts/{rollout_id}/log")).text)
        await asyncio.sleep(0.2)
    return row
