"""The interface between admission and an instance: in this process, or behind the address of another.

Every call to another process has a deadline, and each failure is raised as an error of `errors.py`.
"""

from collections.abc import Callable
from typing import Protocol

import httpx
from pydantic import BaseModel

from browser_service.errors import Unreachable, error_of
from browser_service.leasing.leases import Grant
from browser_service.models import Lease
from browser_service.models.tiers import EndRequest, InstanceStatus
from browser_service.models.wire import from_another_version
from browser_service.session.sessions import Sessions
from browser_service.settings import Settings
from telemetry.propagation import id_headers

GLANCE_S = 2.0
"""Deadline of calls that only read or set a state, and of connecting for any call."""
TIER_HEADER = "x-tier-key"


class Absent(Unreachable):
    """No process listens at the instance's address: the instance is gone, not just slow."""


class Instance(Protocol):
    """A process with browsers."""

    async def admit(self, grant: Grant) -> Lease:
        """Opens a browser for the grant, the same for a repeated one. Raises as `Sessions.admit`, `Unreachable`."""
        ...

    async def end(self, lease_id: str) -> None:
        """Ends a lease, whoever holds it; a lease that is over is no error. Raises `Unreachable`."""
        ...

    async def status(self) -> InstanceStatus:
        """Its browser and its live leases. Raises `Unreachable`."""
        ...

    async def set_draining(self, draining: bool) -> None:
        """Sets the drain state: a draining instance takes no new leases. Raises `Unreachable`."""
        ...


class Local:
    """The sessions of this process."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def admit(self, grant: Grant) -> Lease:
        return await self._sessions.admit(grant)

    async def end(self, lease_id: str) -> None:
        await self._sessions.end(lease_id)

    async def status(self) -> InstanceStatus:
        return await self._sessions.instance_status()

    async def set_draining(self, draining: bool) -> None:
        await self._sessions.set_draining(draining)


class Remote:
    """An instance at an address. Raises `Absent` if nothing listens there, `Unreachable` if no answer comes in time."""

    def __init__(self, url: str, http: httpx.AsyncClient, *, launch_deadline_s: float) -> None:
        """`launch_deadline_s`: the instance's own setting, because an admission may have to start a Chromium."""
        self._url = url
        self._http = http
        self._admit_s = launch_deadline_s + GLANCE_S

    async def admit(self, grant: Grant) -> Lease:
        return from_another_version(Lease, await self._ask("POST", "/tier/admit", grant, self._admit_s))

    async def end(self, lease_id: str) -> None:
        await self._ask("POST", "/tier/end", EndRequest(lease_id=lease_id), GLANCE_S)

    async def status(self) -> InstanceStatus:
        return from_another_version(InstanceStatus, await self._ask("GET", "/tier/status", None, GLANCE_S))

    async def set_draining(self, draining: bool) -> None:
        await self._ask("POST", "/tier/drain" if draining else "/tier/undrain", None, GLANCE_S)

    async def _ask(self, method: str, path: str, body: BaseModel | None, deadline_s: float) -> bytes:
        content = body.model_dump_json() if body else None
        timeout = httpx.Timeout(deadline_s, connect=GLANCE_S)
        try:
            answer = await self._http.request(
                method, self._url + path, content=content, timeout=timeout, headers=id_headers()
            )
        except httpx.HTTPError as error:
            kind = Absent if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) else Unreachable
            reason = str(error) or type(error).__name__
            raise kind(f"no answer from the instance at {self._url}: {reason}") from error
        if not answer.is_success:
            raise error_of(answer.status_code, answer.content)
        return answer.content


def remote_instances(settings: Settings, http: httpx.AsyncClient) -> Callable[[str], Remote]:
    """Returns a function that makes the `Remote` of an address."""
    return lambda url: Remote(url, http, launch_deadline_s=settings.launch_deadline_s)


def tier_client(key: str) -> httpx.AsyncClient:
    """HTTP client for the calls of the tiers to one another."""
    return keep_alive_client({TIER_HEADER: key, "content-type": "application/json"})


def keep_alive_client(headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    """HTTP client that keeps connections open, for less long than our servers keep them (`serving.KEEP_ALIVE_S`)."""
    return httpx.AsyncClient(
        headers=headers,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=30),
        trust_env=False,
    )
