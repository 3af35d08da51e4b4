"""The asynchronous client: `async with pool.lease(owner="me") as browser: reply = await browser.step(ClickId(id=3))`.

Every call has a deadline. Only calls that can't act twice are retried automatically (`calls.py`). Every failure is an
error of `errors.py`. `sync.py` has the same for programs without an event loop.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Required, TypedDict, TypeVar, Unpack

from pydantic import BaseModel

from browser_service.client.browser import RELEASE_DEADLINE_S, Browser, give_back
from browser_service.client.calls import Call, Caller
from browser_service.errors import Unreachable
from browser_service.events import Event
from browser_service.models import (
    Batch,
    BatchRequest,
    Isolation,
    Lease,
    LeaseRequest,
    LoginState,
    PoolStatus,
    Recording,
    SessionStatus,
    Viewport,
)
from browser_service.models.tiers import Done, ReleaseRequest, Sessions
from browser_service.models.wire import Wire

M = TypeVar("M", bound=Wire)
RENEWALS_PER_TTL = 3


class LeaseOptions(TypedDict, total=False):
    """The options of a lease request, with the meanings and defaults of `LeaseRequest`."""

    owner: Required[str]
    ttl_s: float
    max_lifetime_s: float
    wait_s: float
    idempotency_key: str | None
    reuse: str | None
    viewport: Viewport
    share: str
    isolation: Isolation | None
    sites: Sequence[str]
    only_sites: bool
    blocked_hosts: Sequence[str]
    files: str | None
    downloads: bool
    dialogs: Literal["accept", "dismiss"]
    record: Recording
    login: LoginState | None
    locale: str | None
    timezone: str | None


class BrowserPool:
    """The service at one address or several. Enter it once and share it: connections are kept open."""

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        *,
        patience_s: float = 15.0,
        direct: bool = True,
        ca_file: Path | None = None,
    ) -> None:
        """`url`: of a master, or of several with commas: if one is dead, frozen or draining, the next is tried.
        `api_key`: None: the variable BROWSER_SERVICE_API_KEY, which the service reads too.
        `timeout_s`: default deadline of a call. `patience_s`: seconds that an unreachable service is retried, so that a
        restart goes unnoticed. `direct`: call the process that holds the browser, if the lease names it and it can be
        reached; other calls go through `url`. `ca_file`: authorities that may verify an https address, besides the
        system's; None: those in the file BROWSER_SERVICE_CA_FILE, if set. Raises ValueError when that file has none.
        """
        self._calls = Caller(url, api_key, patience_s=patience_s, direct=direct, ca_file=ca_file)
        self._timeout_s = timeout_s
        self._releasing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "BrowserPool":
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._releasing:
            await asyncio.wait(self._releasing, timeout=RELEASE_DEADLINE_S)
        await self._calls.close()

    @asynccontextmanager
    async def lease(self, *, keep_alive: bool = True, **options: Unpack[LeaseOptions]) -> AsyncGenerator[Browser, None]:
        """Leases a browser until the context is left; it is released then, also when the task is cancelled.

        `sites`: private addresses that pages of this lease may reach, such as `127.0.0.1:8000`; without them a browser reaches
        the public web and nothing else. `keep_alive` renews the lease as long as this process lives: a short `ttl_s` then frees
        the browser of a holder that died, and not that of a slow one.
        Raises `NoCapacity` when no slot was free for `wait_s` seconds, `RateLimited`, `Unreachable`, `BrowserCrashed`.
        """
        request = _request(options)
        lease = await self._granted("/get", request, lambda asked: asked, Lease)
        async with self._holding([lease], request.ttl_s, keep_alive=keep_alive) as (browser,):
            yield browser

    @asynccontextmanager
    async def batch(
        self, count: int, *, keep_alive: bool = True, **options: Unpack[LeaseOptions]
    ) -> AsyncGenerator[list[Browser], None]:
        """Leases `count` browsers at once or none, for a group that can't do with fewer. Otherwise as `lease`."""
        request = _request(options)
        batch = await self._granted("/batch_get", request, lambda asked: BatchRequest(count=count, lease=asked), Batch)
        async with self._holding(batch.leases, request.ttl_s, keep_alive=keep_alive) as browsers:
            yield browsers

    async def info(self) -> PoolStatus:
        """Capacity and leases. Raises `Unreachable`, `Unauthorized`."""
        return await self._ask("GET", "/info", PoolStatus)

    async def sessions(self) -> list[SessionStatus]:
        """Every live lease, without its secret. Raises the errors of `info`."""
        return (await self._ask("GET", "/sessions", Sessions)).sessions

    async def end(self, instance_id: str) -> None:
        """Ends a lease, whoever holds it. Raises `LeaseNotFound`, and the errors of `info`."""
        await self._ask("DELETE", f"/sessions/{instance_id}", Done)

    async def drain(self, node: str | None = None, *, master: str | None = None) -> None:
        """Stops new leases of the whole service, of one node or of one master; live leases go on.

        The order holds until `undrain`, also through restarts. Raises `UnknownNode`.
        """
        await self._ask("POST", "/drain", Done, _part(node, master))

    async def undrain(self, node: str | None = None, *, master: str | None = None) -> None:
        """Allows new leases again. Raises `UnknownNode`."""
        await self._ask("POST", "/undrain", Done, _part(node, master))

    async def events(self, *kinds: str) -> AsyncGenerator[Event, None]:
        """Events of the process at this address from now on, without end: `async for event in pool.events("crash")`.

        All kinds, if none is named. Raises `Unreachable` when the service goes away.
        """
        kind = ""
        async with aclosing(self._calls.lines("/events", {"kinds": ",".join(kinds)})) as lines:
            async for line in lines:
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    fields = json.loads(value)
                    yield Event(kind, fields, at=fields.pop("at"))

    async def _ask(self, method: str, path: str, answer: type[M], params: dict[str, str] | None = None) -> M:
        call = Call(method=method, path=path, deadline_s=self._timeout_s, params=params)
        return await self._calls.ask(call, answer)

    async def _granted(
        self, path: str, request: LeaseRequest, body: Callable[[LeaseRequest], BaseModel], answer: type[M]
    ) -> M:
        """The granted leases, after the wait in the queue. Each retry asks for the same and waits for less."""
        call = Call(
            method="POST",
            path=path,
            deadline_s=request.wait_s + self._timeout_s,
            wait_s=request.wait_s,
            body=lambda gone_s: body(request.model_copy(update={"wait_s": max(0.0, request.wait_s - gone_s)})),
        )
        try:
            return await self._calls.ask(call, answer)
        except (asyncio.CancelledError, Unreachable):
            # The service may have granted a lease that nobody will use. The caller hears of its absence without waiting for it.
            self._in_background(give_back(self._calls, ReleaseRequest(idempotency_key=request.idempotency_key)))
            raise

    @asynccontextmanager
    async def _holding(
        self, leases: Sequence[Lease], ttl_s: float, *, keep_alive: bool
    ) -> AsyncGenerator[list[Browser], None]:
        browsers = [Browser(self._calls, lease) for lease in leases]
        every_s = ttl_s / RENEWALS_PER_TTL
        keepers = [asyncio.create_task(browser.keep(every_s)) for browser in browsers] if keep_alive else []
        try:
            yield browsers
        finally:
            for keeper in keepers:
                keeper.cancel()
            await self._surely(*(browser.release() for browser in browsers))

    async def _surely(self, *releases: Coroutine[Any, Any, None]) -> None:
        """Runs the releases concurrently to their end, even if this task is cancelled again meanwhile."""
        await asyncio.shield(asyncio.gather(*map(self._in_background, releases)))

    def _in_background(self, release: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts a release; leaving the pool waits for its end, within its deadline."""
        task = asyncio.create_task(release)
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)
        return task


def _part(node: str | None, master: str | None) -> dict[str, str]:
    return {name: url for name, url in (("node", node), ("master", master)) if url}


def _request(options: LeaseOptions) -> LeaseRequest:
    """The request, with an idempotency key of its own if the caller gave none: only then may it be repeated."""
    request = LeaseRequest.model_validate(options)
    return request if request.idempotency_key else request.model_copy(update={"idempotency_key": uuid.uuid4().hex})
