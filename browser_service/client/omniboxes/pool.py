"""`OmniBoxesPool`: leases and steps on any OmniBoxes master, for callers of `BrowserPool.lease`.

    lease   POST /get, asked again until a browser is free or the wait is over; GET /metadata
    step    POST /execute {command}; GET /screenshot, POST /execute {get_screenshot_info}, {get_page_metadata}
    end     POST /reset

The wire format has no limits on what a browser may reach, no log-in state and no recordings: a lease that needs them is
refused, not granted without. Blocked hosts are refused where the agent names them; links can still lead there.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Unpack
from urllib.parse import urlsplit

import httpx

from browser_service.client.browser import EVERYTHING, RELEASE_DEADLINE_S, Browser
from browser_service.client.calls import Caller
from browser_service.client.omniboxes.calls import OmniBoxesCalls, json_object
from browser_service.client.omniboxes.commands import command_of
from browser_service.client.omniboxes.looking import encoded, marks_of, page_of
from browser_service.client.pool import BrowserPool, LeaseOptions
from browser_service.client.trust import trust
from browser_service.errors import BadRequest, BrowserServiceError, DeadlineExceeded
from browser_service.models import (
    Action,
    ActionError,
    Artifact,
    Lease,
    LeaseRequest,
    Observation,
    Observe,
    ObserveRequest,
    Sleep,
    StepReply,
    Viewport,
    VisitPage,
)
from browser_service.models.tiers import OldLease

OPEN_DEADLINE_S = 60.0


class OmniBoxesPool(BrowserPool):
    """The browsers of an OmniBoxes master. Only `lease` is there; the master has no equal to the other calls."""

    def __init__(
        self, url: str, api_key: str | None = None, *, lifetime_mins: float = 45.0, ca_file: Path | None = None
    ) -> None:
        """`lifetime_mins`: sent with each request for a browser; masters of OmniBoxes accept at most 60."""
        super().__init__(url, api_key, ca_file=ca_file)
        self._lifetime_mins = lifetime_mins
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            headers={"x-api-key": api_key} if api_key else {},
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=256),
            trust_env=False,
            verify=trust(ca_file),
        )
        self._wire = OmniBoxesCalls(self._http)

    async def __aexit__(self, *exc: object) -> None:
        await super().__aexit__(*exc)
        await self._http.aclose()

    @asynccontextmanager
    async def lease(self, *, keep_alive: bool = True, **options: Unpack[LeaseOptions]) -> AsyncGenerator[Browser, None]:
        """As `BrowserPool.lease`. Raises `BadRequest` for options that OmniBoxes can't grant."""
        request = LeaseRequest.model_validate(options)
        _check(request)
        old = await self._wire.get(self._lifetime_mins, request.wait_s)
        try:
            size = json_object(await self._wire.ask("/metadata", old, OPEN_DEADLINE_S))
            yield OmniBoxesBrowser(self._calls, self._wire, old, _viewport(size), request.blocked_hosts)
        finally:
            await self._surely(self.reset(old))

    async def reset(self, old: OldLease) -> None:
        """Gives a browser back. Never raises: OmniBoxes ends no lease by itself, but a dead master can't be told."""
        with suppress(BrowserServiceError):
            await self._wire.reset(old, RELEASE_DEADLINE_S)


class OmniBoxesBrowser(Browser):
    """One leased browser of an OmniBoxes master."""

    def __init__(
        self, calls: Caller, wire: OmniBoxesCalls, old: OldLease, viewport: Viewport, blocked: Sequence[str]
    ) -> None:
        lease = Lease(
            instance_id=old.instance_id, node=old.node, generation=0, token="", expires_in_s=0.0, viewport=viewport
        )
        super().__init__(calls, lease)
        self._wire, self._old, self._blocked = wire, old, tuple(blocked)

    async def step(self, action: Action, observe: ObserveRequest = EVERYTHING, *, deadline_s: float = 30) -> StepReply:
        """Acts, then observes, in several calls. The picture's `data` is always filled.

        Raises `BrowserCrashed`, `LeaseNotFound`, `Unreachable`, and `DeadlineExceeded`, after which the action may have
        happened or not.
        """
        async with self._turn:
            number, began = self._next_step, monotonic()
            self._next_step += 1
            try:
                async with asyncio.timeout(deadline_s):
                    error = await self._act(action, deadline_s)
                    acted = monotonic()
                    observation = await self._look(observe, deadline_s)
            except TimeoutError:
                raise DeadlineExceeded(f"{action.kind} and a look took more than {deadline_s:g} s") from None
            timings = {"act": 1_000 * (acted - began), "total": 1_000 * (monotonic() - began)}
            return StepReply(step_id=number, observation=observation, error=error, timings_ms=timings)

    async def _act(self, action: Action, deadline_s: float) -> ActionError | None:
        if isinstance(action, Observe):
            return None
        if isinstance(action, Sleep):
            await asyncio.sleep(action.duration)
            return None
        if isinstance(action, VisitPage) and (host := _blocked(action.url, self._blocked)):
            return ActionError(code="NAV_BLOCKED", message=f"the host {host} is blocked", fault="policy")
        command = command_of(action)
        if isinstance(command, ActionError):
            return command
        return await self._wire.act(self._old, command.name, command.arguments, deadline_s)

    async def _look(self, observe: ObserveRequest, deadline_s: float) -> Observation:
        wire, old = self._wire, self._old
        seen: dict[str, object] = {}
        if observe.marks or observe.draw_marks:
            marked = (await wire.ask("/screenshot", old, deadline_s, interaction_mode="set_of_marks")).content
            marks, partial = marks_of(await wire.look(old, "get_screenshot_info", deadline_s))
            seen |= {"marks": marks, "partial": partial}
        if observe.screenshot:
            # Numbers are valid for the last picture with marks, and a plain picture does not change them.
            shot = (
                marked
                if observe.draw_marks
                else (await wire.ask("/screenshot", old, deadline_s, interaction_mode="coordinates")).content
            )
            seen["screenshot"] = await asyncio.to_thread(encoded, shot, observe)
        text = await wire.look(old, "get_webpage_text", deadline_s) if observe.text else None
        page = page_of(self.lease.viewport, await wire.look(old, "get_page_metadata", deadline_s), text)
        return page.model_copy(update=seen)

    async def artifacts(self, *, deadline_s: float = 30) -> list[Artifact]:
        """Always empty: OmniBoxes keeps none."""
        return []

    async def renew(self, *, deadline_s: float = 10) -> None:
        """Does nothing: leases of OmniBoxes do not expire by silence."""

    async def keep(self, every_s: float) -> None:
        """Does nothing, as `renew`."""


def _check(request: LeaseRequest) -> None:
    lacks = {
        "only_sites": request.only_sites,
        "login": request.login is not None,
        "record": request.record.is_on,
        "files": request.files is not None,
    }
    if missing := [name for name, is_wanted in lacks.items() if is_wanted]:
        raise BadRequest(f"an OmniBoxes master can't grant {', '.join(missing)}; use a browser service of this project")


def _viewport(size: dict[str, object]) -> Viewport:
    try:
        return Viewport.model_validate({name: size[name] for name in ("width", "height")})
    except (KeyError, ValueError):
        raise BrowserServiceError(f"expected width and height from /metadata, found {str(size)[:200]}") from None


def _blocked(url: str, blocked: Sequence[str]) -> str:
    try:
        host = (urlsplit(url).hostname or "").lower().rstrip(".")
    except ValueError:
        return ""
    return host if any(host == one or host.endswith(f".{one}") for one in blocked) else ""
