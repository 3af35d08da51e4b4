"""The client's calls to the service: address, retries and deadlines.

    connection lost or refused  -> retried after a growing pause, at the next address, for `patience_s` seconds
    silent, also when probed    -> the same: the process is frozen, and not just slow
    refused for now (429, 503)  -> retried as Retry-After says, as long as the call may wait
    direct address unreachable  -> the same call through the master or node
    all else                    -> the typed error of `errors.py`

Every call here may be sent twice: a lease request has an idempotency key, a step has its number, and the other calls
read or are idempotent. A retry library would hide that each repetition has another address and less time left.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from anyio import Path as AsyncPath
from pydantic import BaseModel, ValidationError

from browser_service.client.refusals import BAD_GATEWAYS, NotOurs, pause, refusal, silence
from browser_service.client.trust import trust
from browser_service.errors import BrowserServiceError, Draining, MasterStopping, RegistryDown, Unreachable
from browser_service.models.wire import Wire, from_another_version
from browser_service.settings import stays_here
from telemetry.propagation import id_headers
from telemetry.spans import Span, span

M = TypeVar("M", bound=Wire)

CONNECT_S = 3.0
PROBE_EVERY_S, PROBE_S = 1.0, 2.0
"""Seconds without an answer after which a process is probed, and deadline of the probe."""
PROBES = 2
"""Failed probes in a row after which a process is given up: a busy one answers the second."""
AVOID_S = 10.0
"""Seconds that an unreachable direct address is not tried."""
KEEP_CONNECTION_S = 60.0
"""Idle connections are closed before the service closes them, after 75 s."""
WORDS = frozenset(
    {"", "get", "batch_get", "step", "renew", "release", "blob", "sessions", "artifacts", "info", "drain", "undrain"}
)
"""The parts of paths that are the same in each call; others are ids."""
SILENCE_S = 30.0
"""A stream sends data at least every 10 s; after this long without any, its service is gone."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call to the service. Example: `Call(method="GET", path="/info", deadline_s=5)`."""

    method: str
    path: str
    deadline_s: float
    """Of the whole call, retries included."""
    body: Callable[[float], BaseModel] | None = None
    """Makes the request body, given the seconds since the call began."""
    params: dict[str, str] | None = None
    token: str | None = None
    """Of the lease, for a call without a body. It is sent as a header: addresses end up in logs."""
    wait_s: float | None = None
    """Seconds of retries after a temporary refusal; None: `patience_s`."""
    patience_s: float | None = None
    """Seconds of retries while the service is unreachable; None: the client's setting."""
    direct_url: str | None = None
    """Address to try first."""
    to: AsyncPath | None = None
    """File to write the response to; the answer is empty then."""
    tool: str | None = None
    """The kind of the action that the call carries out, for its span."""

    def span(self) -> Span:
        """The span of the call, retries included."""
        route = "/".join(part if part in WORDS else "{id}" for part in self.path.split("/"))
        name, operation = f"{self.method} {route}", None
        if self.tool is not None:
            name, operation = f"execute_tool {self.tool}", "execute_tool"
        return span(name, "CLIENT", method=self.method, route=route, operation=operation, tool=self.tool)


class Caller:
    """Sends calls to whichever address of the service answers, or directly to the instances that hold the leases."""

    def __init__(
        self, url: str, api_key: str | None, *, patience_s: float, direct: bool, ca_file: Path | None = None
    ) -> None:
        """`url`: of a master, or of several with commas. `ca_file`: see `trust`, also for what it raises."""
        api_key = api_key or os.environ.get("BROWSER_SERVICE_API_KEY")
        self._urls = [each.strip().rstrip("/") for each in url.split(",") if each.strip()]
        self._patience_s = patience_s
        self._direct = direct
        self._avoided: dict[str, float] = {}
        """Unreachable direct addresses, and the time until which they are not tried."""
        self._http = httpx.AsyncClient(
            headers={"content-type": "application/json"} | ({"x-api-key": api_key} if api_key else {}),
            timeout=httpx.Timeout(None, connect=CONNECT_S),  # the call's own deadline covers the rest
            limits=httpx.Limits(
                max_connections=None, max_keepalive_connections=256, keepalive_expiry=KEEP_CONNECTION_S
            ),
            trust_env=False,
            verify=trust(ca_file),
        )

    @property
    def url(self) -> str:
        """The address that is tried first."""
        return self._urls[0]

    @property
    def is_closed(self) -> bool:
        """True if no more calls can be made."""
        return self._http.is_closed

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    def usable(self, direct_url: str | None) -> str | None:
        """The direct address, if calls may go there: not from https to plain http with the key, and not to a loopback
        address of another machine, because that would reach another process on this one.
        """
        if direct_url is None or not self._direct:
            return None
        front, direct = urlsplit(self.url), urlsplit(direct_url)
        is_downgrade = front.scheme == "https" and direct.scheme != "https"
        is_elsewhere = stays_here(direct.hostname or "") and not stays_here(front.hostname or "")
        return None if is_downgrade or is_elsewhere else direct_url.rstrip("/")

    async def ask(self, call: Call, answer: type[M]) -> M:
        """The answer of a call that succeeded, after retries. Raises the errors of `errors.py`."""
        response = await self.send(call)
        try:
            return from_another_version(answer, response.content)
        except ValidationError as error:
            found = response.text[:200]
            raise BrowserServiceError(
                f"expected a {answer.__name__} from the browser service at {self.url}, found {found!r}"
            ) from error

    async def send(self, call: Call) -> httpx.Response:
        """As `ask`, for answers that are not JSON."""
        with call.span():
            try:
                async with asyncio.timeout(call.deadline_s):
                    return await self._repeated(call)
            except TimeoutError:
                raise Unreachable(
                    f"no answer from the browser service at {self.url} to {call.path} within {call.deadline_s:g} s"
                ) from None

    async def save(self, call: Call, to: Path) -> None:
        """As `send`, into a file that appears only when it is complete."""
        partial = AsyncPath(to.with_name(f"{to.name}.partial"))
        try:
            await self.send(replace(call, to=partial))
            await partial.replace(to)
        finally:
            await partial.unlink(missing_ok=True)

    async def lines(self, path: str, params: dict[str, str]) -> AsyncGenerator[str, None]:
        """The lines of an endless answer. Raises `Unreachable` when the service falls silent or goes away."""
        timeout = httpx.Timeout(None, connect=CONNECT_S, read=SILENCE_S)
        try:
            async with self._http.stream("GET", self.url + path, params=params, timeout=timeout) as response:
                if not response.is_success:
                    await response.aread()
                    raise refusal(response, is_front=True)
                async for line in response.aiter_lines():
                    yield line
        except httpx.HTTPError as error:
            raise silence(self.url, error) from error
        raise Unreachable(f"the browser service at {self.url} has ended its answer")

    async def _repeated(self, call: Call) -> httpx.Response:
        clock = asyncio.get_running_loop().time
        began, away_since, attempt = clock(), None, 0
        patience_s = self._patience_s if call.patience_s is None else call.patience_s
        while True:
            asked_at = clock()
            url = self._way(call, asked_at)
            try:
                return await self._once(url, call, asked_at - began)
            except BrowserServiceError as error:
                now = clock()
                if url == self.url and isinstance(error, Unreachable | Draining | MasterStopping | RegistryDown):
                    self._urls.append(self._urls.pop(0))  # tries another address first from now on
                if isinstance(error, NotOurs) and url == call.direct_url:
                    self._avoided[url] = now + AVOID_S
                    continue
                if not error.retryable or error.session_state == "lost":
                    raise
                if isinstance(error, Unreachable):
                    away_since = away_since or asked_at  # it may have been silent for as long as that
                    until = away_since + patience_s
                else:
                    away_since = None
                    until = began + (patience_s if call.wait_s is None else call.wait_s)
                has_untried = self._has_untried(attempt)
                pause_s = pause(None if has_untried else error.retry_after_s, attempt)
                if now + pause_s > until and not (has_untried and isinstance(error, Unreachable)):
                    raise
            attempt += 1
            await asyncio.sleep(pause_s)

    def _way(self, call: Call, now: float) -> str:
        direct = call.direct_url
        return self.url if direct is None or self._avoided.get(direct, 0.0) > now else direct

    async def _once(self, url: str, call: Call, elapsed_s: float) -> httpx.Response:
        content = call.body(elapsed_s).model_dump_json() if call.body else None
        headers = id_headers() | ({"x-lease-token": call.token} if call.token else {})
        request = self._http.build_request(
            call.method, url + call.path, params=call.params, headers=headers, content=content
        )
        try:
            response = await self._watched(url, call, self._sent(request, call.to))
        except httpx.HTTPError as error:
            raise silence(url, error) from error
        if response.is_success:
            return response
        raise refusal(response, is_front=url != call.direct_url)

    async def _sent(self, request: httpx.Request, to: AsyncPath | None) -> httpx.Response:
        response = await self._http.send(request, stream=to is not None)
        if to is not None:
            await _receive(response, to)
        return response

    async def _watched(self, url: str, call: Call, sending: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
        """The answer, however long it takes, as long as the process at the address answers probes.

        A call that has no other address and does not wait in the queue is waited for in any case.
        """
        if url not in self._urls or (len(self._urls) == 1 and call.wait_s is None):
            return await sending
        task, silent = asyncio.ensure_future(sending), 0
        try:
            while True:
                done, _ = await asyncio.wait({task}, timeout=PROBE_EVERY_S)
                if done:
                    return task.result()
                silent = 0 if await self._answers(url) else silent + 1
                if silent >= PROBES and not task.done():
                    raise NotOurs(f"the browser service at {url} has gone silent")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _answers(self, url: str) -> bool:
        try:
            async with asyncio.timeout(PROBE_S):
                return (await self._http.get(url + "/healthz")).status_code not in BAD_GATEWAYS
        except (httpx.HTTPError, TimeoutError):
            return False

    def _has_untried(self, attempt: int) -> bool:
        """True if the next attempt is the first at its address."""
        return attempt + 1 < len(self._urls)


async def _receive(response: httpx.Response, to: AsyncPath) -> None:
    """Writes a response to the file; an error response is read into memory instead."""
    try:
        if not response.is_success:
            await response.aread()
            return
        async with await to.open("wb") as file:
            async for chunk in response.aiter_bytes():
                await file.write(chunk)
    finally:
        await response.aclose()
