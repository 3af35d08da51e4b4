"""Routes about what rollouts use: browsers with slots and leases, containers with ports, disk."""

import asyncio
import shutil
from pathlib import Path
from typing import Self

from fastapi import APIRouter
from sqlalchemy import select

from browser_service.client import BrowserPool
from browser_service.errors import BrowserServiceError
from browser_service.models import PoolStatus
from dashboard.api.models import iso
from dashboard.api.service import Service
from dashboard.database.tables import RolloutRow
from dashboard.disk import Usage, usage
from dashboard.views import View
from environments.base import EnvironmentBroken

DEADLINE_S = 3.0


class NodeView(View):
    """One machine's browsers."""

    url: str
    healthy: bool
    draining: bool
    capacity: int
    available: int
    down_for_s: float | None


class LeaseView(View):
    """A lease of a browser."""

    owner: str
    rollout: str
    """Id of the rollout of this dashboard that has it; empty for a lease of a run or of another program."""
    slot: str
    url: str
    """Page of the active tab."""
    steps: int
    age_s: float
    expires_in_s: float


class BrowsersView(View):
    """State of the browser service."""

    problem: str
    """Why it can't be told; empty if it is."""
    browser: str = ""
    queue: int = 0
    draining: bool = False
    nodes: list[NodeView] = []
    leases: list[LeaseView] = []

    @classmethod
    def of(cls, found: PoolStatus, rollouts: set[str]) -> Self:
        """From the service's answer and the ids of rollouts that are played."""
        nodes = [NodeView.model_validate({k: getattr(node, k) for k in NodeView.model_fields}) for node in found.nodes]
        leases = [
            LeaseView(
                owner=one.owner,
                rollout=one.owner if one.owner in rollouts else "",
                slot=one.slot,
                url=one.url,
                steps=one.steps,
                age_s=one.age_s,
                expires_in_s=one.expires_in_s,
            )
            for node in found.nodes
            for one in node.sessions
        ]
        return cls(
            problem="",
            browser=found.browser,
            queue=found.queue,
            draining=found.draining,
            nodes=nodes,
            leases=sorted(leases, key=lambda one: -one.age_s),
        )


class ContainerView(View):
    """A container that an environment has started."""

    name: str
    image: str
    state: str
    status: str
    ports: list[int]
    episode: str
    created_at: str


class ContainersView(View):
    """The containers of environments on this machine."""

    problem: str
    """Why they can't be told; empty if they are."""
    rows: list[ContainerView] = []


class DiskView(View):
    """A folder and its size."""

    name: str
    kind: str
    """`run`, or `dashboard` for what was played by hand."""
    bytes: int
    pictures: int
    """Bytes of pictures among them."""
    recordings: int
    """Bytes of films, traces and logs of requests among them."""


def resources_router(service: Service) -> APIRouter:
    """Routes below /api that belong to no rollout."""
    router = APIRouter(prefix="/api", tags=["operation"])

    @router.get("/browsers")
    async def browsers() -> BrowsersView:
        """Returns the browser service's nodes, slots and leases."""
        try:
            async with (
                asyncio.timeout(DEADLINE_S),
                BrowserPool(service.settings.browsers, timeout_s=DEADLINE_S, patience_s=0.0) as pool,
            ):
                found = await pool.info()
        except (BrowserServiceError, TimeoutError, ValueError) as error:
            return BrowsersView(problem=str(error) or f"no answer within {DEADLINE_S:g} s")
        return BrowsersView.of(found, await asyncio.to_thread(_playing, service))

    @router.get("/containers")
    def containers() -> ContainersView:
        """Returns the containers that environments have started on this machine."""
        try:
            # Only machines with Docker environments have its package.
            from environments.providers.docker.listing import containers as found

            rows = found()
        except ImportError:
            return ContainersView(
                problem="the Python package docker is not installed, so no environment has containers"
            )
        except EnvironmentBroken as error:
            return ContainersView(problem=str(error))
        same = ("name", "image", "state", "status", "ports", "episode")
        return ContainersView(
            problem="",
            rows=[
                ContainerView.model_validate({k: getattr(one, k) for k in same} | {"created_at": iso(one.created)})
                for one in rows
            ],
        )

    @router.get("/disk")
    def disk() -> list[DiskView]:
        """Returns the sizes of the runs and of what was played by hand, the largest first."""
        folders = [("run", name, service.runs.run(name)) for name in service.runs.names()]
        folders.append(("dashboard", "by hand", service.settings.rollouts))
        found = [_disk(kind, name, usage(folder)) for kind, name, folder in folders]
        return sorted(found, key=lambda one: -one.bytes)

    return router


def free_bytes(folder: Path) -> int:
    """Free disk space where a folder is."""
    return shutil.disk_usage(folder).free


def _disk(kind: str, name: str, found: Usage) -> DiskView:
    return DiskView(kind=kind, name=name, bytes=found.total, pictures=found.pictures, recordings=found.recordings)


def _playing(service: Service) -> set[str]:
    with service.database.read() as session:
        wanted = select(RolloutRow.id).where(RolloutRow.source == "hand", RolloutRow.completed_at.is_(None))
        return set(session.scalars(wanted.limit(10_000)))
