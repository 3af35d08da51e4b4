"""Calls to an OmniBoxes master. Each has a deadline; a call that acts is sent once, because nothing tells repetitions apart.

Errors: its node answers 500 to every command that fails, and its master 200 with words instead of a picture; so texts are
read as well as statuses. A master of this project says more (`code`, `fault`), which goes before.
"""

import asyncio
import json
from typing import Any

import httpx
from pydantic import ValidationError

from browser_service.client.refusals import silence
from browser_service.errors import (
    BY_CODE,
    BrowserCrashed,
    BrowserServiceError,
    DeadlineExceeded,
    LeaseNotFound,
    NoCapacity,
    Unauthorized,
    UnknownNode,
)
from browser_service.models import ActionError
from browser_service.models.tiers import OldLease
from browser_service.models.wire import from_another_version

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0
"""Pauses between requests for a browser."""
HOLD_S = 75.0
"""A master of this project holds a request for a browser for a minute."""
CLOSED = ("has been closed", "crashed", "target closed", "connection closed", "not ready")
GONE = ("not in use", "already released", "invalid instance", "not found or expired")
SHOWN = 300


class OmniBoxesCalls:
    """The routes of a master that one pool uses. Raises the errors of `browser_service.errors`."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def get(self, lifetime_mins: float, wait_s: float) -> OldLease:
        """A browser, waited for at most `wait_s` seconds; the master has no queue, so it is asked again and again."""
        clock, pause_s = asyncio.get_running_loop().time, FIRST_PAUSE_S
        until = clock() + wait_s
        while True:
            answer = await self._send("POST", "/get", wait_s + HOLD_S, params={"lifetime_mins": f"{lifetime_mins:g}"})
            if answer.is_success:
                return self._parsed(answer)
            if answer.status_code not in (429, 503):
                raise self._error(answer)
            if clock() + pause_s > until:
                raise NoCapacity(f"{self._http.base_url} had no free browser for {wait_s:g} s: {_words(answer)}")
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)

    async def ask(self, path: str, lease: OldLease, deadline_s: float, **params: str) -> httpx.Response:
        """The answer to a request that reads."""
        answer = await self._send("GET", path, deadline_s, params=lease.model_dump() | params)
        if not answer.is_success:
            raise self._error(answer)
        return answer

    async def look(self, lease: OldLease, command: str, deadline_s: float) -> dict[str, Any]:
        """The answer to a command that reads."""
        answer = await self._execute(lease, command, {}, deadline_s)
        if not answer.is_success:
            raise self._error(answer)
        return json_object(answer)

    async def act(
        self, lease: OldLease, command: str, arguments: dict[str, Any], deadline_s: float
    ) -> ActionError | None:
        """Carries out a command; the reason why it had no effect, None if it had one."""
        answer = await self._execute(lease, command, arguments, deadline_s)
        if answer.is_success:
            return None
        error = self._error(answer)
        if type(error) is not BrowserServiceError:
            raise error
        said = _fields(answer)
        is_site = said.get("fault") == "site" or "net::" in error.detail
        code = said.get("code")
        return ActionError(
            code=code if isinstance(code, str) and code else "NAV_FAILED" if is_site else "FAILED",
            message=error.detail,
            fault="site" if is_site else "policy",
        )

    async def reset(self, lease: OldLease, deadline_s: float) -> None:
        """Gives a browser back. Raises `LeaseNotFound` if it is released already."""
        answer = await self._send("POST", "/reset", deadline_s, params=lease.model_dump())
        if not answer.is_success:
            raise self._error(answer)

    async def _execute(
        self, lease: OldLease, command: str, arguments: dict[str, Any], deadline_s: float
    ) -> httpx.Response:
        # Its clients send the command first.
        return await self._send("POST", "/execute", deadline_s, json={command: arguments} | lease.model_dump())

    async def _send(self, method: str, path: str, deadline_s: float, **content: Any) -> httpx.Response:
        try:
            async with asyncio.timeout(deadline_s):
                return await self._http.request(method, path, timeout=httpx.Timeout(None, connect=5.0), **content)
        except TimeoutError:
            raise DeadlineExceeded(f"no answer from {self._http.base_url} to {path} within {deadline_s:g} s") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise silence(str(self._http.base_url), error) from error
        except (
            httpx.HTTPError
        ) as error:  # the connection broke after it was made: this call is lost, and not the service
            raise BrowserCrashed(f"{self._http.base_url} broke off {path}: {type(error).__name__}") from error

    def _parsed(self, answer: httpx.Response) -> OldLease:
        try:
            return from_another_version(OldLease, answer.content)
        except ValidationError as error:
            raise BrowserServiceError(
                f"expected instance_id and node from {self._http.base_url}/get, found {answer.text[:SHOWN]!r}"
            ) from error

    def _error(self, answer: httpx.Response) -> BrowserServiceError:
        """The error in a refusal: the plain root of the tree if only a command had no effect."""
        words = _words(answer)
        lower = words.lower()
        kind: type[BrowserServiceError] = BrowserServiceError
        if (code := _fields(answer).get("code")) in BY_CODE:
            kind = BY_CODE[code]
        elif answer.status_code == Unauthorized.status:
            kind = Unauthorized
        elif any(part in lower for part in GONE):
            kind = LeaseNotFound
        elif any(part in lower for part in CLOSED):
            kind = BrowserCrashed
        elif lower.startswith("node ") and "not found" in lower:
            kind = UnknownNode
        return kind(words)


def json_object(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer. Raises `BrowserServiceError` for anything else."""
    try:
        found = json.loads(answer.content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BrowserServiceError(f"expected a JSON object from {answer.url.path}, found {answer.text[:SHOWN]!r}")
    return found


def _fields(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = json.loads(answer.content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _words(answer: httpx.Response) -> str:
    said = _fields(answer)
    text = next((said[name] for name in ("message", "detail") if isinstance(said.get(name), str)), "")
    return (text or f"HTTP {answer.status_code}: {answer.text}")[:SHOWN]
