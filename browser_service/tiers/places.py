"""Where browsers are, as admission sees it: in this process, or behind the address of another.

Every call to another process has a deadline, and what went wrong comes back as an error of `errors.py`.
"""

from typing import Protocol

import httpx
from pydantic import BaseModel

from browser_service.errors import Unreachable, error_of
from browser_service.leasing.leases import Grant
from browser_service.models import Lease
from browser_service.models.tiers import EndRequest, PlaceStatus
from browser_service.session.sessions import Sessions

GLANCE_S = 2.0
"""Deadline of calls that only read or switch something."""
ADMIT_S = 15.0
"""Deadline of an admission: a browser that stands ready takes milliseconds, a cold start of Chromium seconds."""
TIER_HEADER = "x-tier-key"


class Place(Protocol):
    """A process with browsers."""

    async def admit(self, grant: Grant) -> Lease:
        """A browser for the grant; the same grant again gets the same one. Raises what `Sessions.admit` does, `Unreachable`."""
        ...

    async def end(self, lease_id: str) -> None:
        """Ends a lease whoever holds it; one that is over is fine. Raises `Unreachable`."""
        ...

    async def status(self) -> PlaceStatus:
        """Its browser and its live leases. Raises `Unreachable`."""
        ...

    async def set_draining(self, draining: bool) -> None:
        """Whether it takes no new leases. Raises `Unreachable`."""
        ...


class Local:
    """The sessions of this process."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def admit(self, grant: Grant) -> Lease:
        return await self._sessions.admit(grant)

    async def end(self, lease_id: str) -> None:
        await self._sessions.end(lease_id)

    async def status(self) -> PlaceStatus:
        return await self._sessions.place_status()

    async def set_draining(self, draining: bool) -> None:
        await (self._sessions.drain() if draining else self._sessions.undrain())


class Remote:
    """An instance at an address."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self._url = url
        self._http = http

    async def admit(self, grant: Grant) -> Lease:
        return Lease.model_validate_json(await self._ask("POST", "/tier/admit", grant, ADMIT_S))

    async def end(self, lease_id: str) -> None:
        await self._ask("POST", "/tier/end", EndRequest(lease_id=lease_id), GLANCE_S)

    async def status(self) -> PlaceStatus:
        return PlaceStatus.model_validate_json(await self._ask("GET", "/tier/status", None, GLANCE_S))

    async def set_draining(self, draining: bool) -> None:
        await self._ask("POST", "/tier/drain" if draining else "/tier/undrain", None, GLANCE_S)

    async def _ask(self, method: str, path: str, body: BaseModel | None, timeout_s: float) -> bytes:
        content = body.model_dump_json() if body else None
        try:
            answer = await self._http.request(method, self._url + path, content=content, timeout=timeout_s)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"no answer from the instance at {self._url}: {reason}") from error
        if not answer.is_success:
            raise error_of(answer.status_code, answer.content)
        return answer.content


def tier_client(key: str) -> httpx.AsyncClient:
    """Connections from one tier to the next, for calls of the tiers themselves."""
    return keep_alive_client({TIER_HEADER: key, "content-type": "application/json"})


def keep_alive_client(headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    """Connections that are kept open, for less long than our servers keep them (`serving.KEEP_ALIVE_S`)."""
    return httpx.AsyncClient(
        headers=headers,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=30),
        trust_env=False,
    )
