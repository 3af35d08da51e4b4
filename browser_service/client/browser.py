"""One leased browser as the client has it: steps, pictures, and the renewals that keep it."""

import asyncio
import base64
import hashlib
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from browser_service.client.calls import Call, Caller
from browser_service.errors import BrowserServiceError, LeaseNotFound
from browser_service.models import (
    Action,
    Artifact,
    Artifacts,
    Lease,
    ObserveRequest,
    Screenshot,
    StepReply,
    StepRequest,
)
from browser_service.models.tiers import LeaseReference, ReleaseRequest

EVERYTHING = ObserveRequest()
RELEASE_DEADLINE_S = 5.0
RELEASE_PATIENCE_S = 1.0
"""A lease that can't be given back expires."""
# On top of what the service itself was asked to take, for the way there and back.
TRANSFER_S = 10.0
PICTURES_KEPT = 4
"""Newest pictures of a lease that are not fetched again; each is some 100 KB."""


class Browser:
    """One lease. Calls wait for one another: it is one pair of hands."""

    def __init__(self, calls: Caller, lease: Lease) -> None:
        self.lease = lease
        self._calls = calls
        self._direct_url = calls.usable(lease.direct_url)
        self._turn = asyncio.Lock()
        self._next_step = 0
        self._used_at = asyncio.get_running_loop().time()
        self._pictures: OrderedDict[str, str] = OrderedDict()
        """Base64 by hash, the newest last."""

    async def step(self, action: Action, observe: ObserveRequest = EVERYTHING, *, deadline_s: float = 30) -> StepReply:
        """Acts and observes in one round trip. A lost connection is tried again and never acts twice.

        The picture's `data` is always filled, unless `observe.have_sha256` says that the caller keeps it, or
        `observe.by_reference` that it is fetched with `picture` where it is wanted.
        Raises `LeaseNotFound`, `BrowserCrashed`, `PageCrashed`, `DeadlineExceeded`, `Unreachable`; the error's
        `session_state` says whether the lease can still be used.
        """
        async with self._turn:
            asked = observe
            if observe.have_sha256 is None and self._pictures:
                asked = observe.model_copy(update={"have_sha256": next(reversed(self._pictures))})
            request = StepRequest(
                instance_id=self.lease.instance_id,
                token=self.lease.token,
                step_id=self._next_step,
                action=action,
                observe=asked,
                deadline_s=deadline_s,
            )
            self._next_step += 1
            call = Call(
                method="POST",
                path="/step",
                deadline_s=deadline_s + TRANSFER_S,
                body=lambda _: request,
                direct_url=self._direct_url,
            )
            reply = await self._calls.ask(call, StepReply)
            self._used_at = asyncio.get_running_loop().time()
            return self._with_picture(reply, observe)

    async def picture(self, shot: Screenshot, *, deadline_s: float = 30) -> bytes:
        """The encoded bytes of a picture of this lease, from memory where it is one of the newest. Raises what `blob` does."""
        encoded = shot.data or self._pictures.get(shot.sha256)
        if encoded is None:
            encoded = base64.b64encode(await self.blob(shot.sha256, deadline_s=deadline_s)).decode()
        self._keep(shot.sha256, encoded)
        return base64.b64decode(encoded)

    async def blob(self, sha256: str, *, deadline_s: float = 30) -> bytes:
        """What the service holds under a content hash: a picture, a download.

        Raises `NotKept` when it has none of that hash any more, and what `step` raises.
        """
        call = self._kept(f"/blob/{sha256}", deadline_s)
        content = (await self._calls.send(call)).content
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BrowserServiceError(f"the bytes that came for blob {sha256[:12]} have another hash; ask again")
        return content

    async def artifacts(self, *, deadline_s: float = 30) -> list[Artifact]:
        """What the service has kept of this lease, also after its end: downloads at once, film and trace a moment after it."""
        call = self._kept(f"/sessions/{self.lease.instance_id}/artifacts", deadline_s)
        return (await self._calls.ask(call, Artifacts)).artifacts

    async def download(self, artifact: Artifact, to: Path, *, deadline_s: float = 300) -> None:
        """Fetches one of the `artifacts` into a file. Raises `NotKept` when it is there no more, and what `step` raises."""
        path = f"/sessions/{self.lease.instance_id}/artifacts/{artifact.id}"
        await self._calls.save(self._kept(path, deadline_s), to)

    async def renew(self, *, deadline_s: float = 10) -> None:
        """Keeps the lease without using it; a context manager does so by itself. Raises what `step` does."""
        reference = LeaseReference(instance_id=self.lease.instance_id, token=self.lease.token)
        call = Call(
            method="POST",
            path="/renew",
            deadline_s=deadline_s,
            body=lambda _: reference,
            direct_url=self._direct_url,
        )
        await self._calls.ask(call, Lease)
        self._used_at = asyncio.get_running_loop().time()

    async def keep(self, every_s: float) -> None:
        """Renews whenever nothing was called for so long, until it is cancelled or the lease is over.

        What is wrong with the lease, the holder's next step says.
        """
        clock = asyncio.get_running_loop().time
        while True:
            if (left_s := self._used_at + every_s - clock()) > 0:
                await asyncio.sleep(left_s)
                continue
            try:
                await self.renew(deadline_s=every_s)
            except LeaseNotFound:
                return
            except BrowserServiceError as error:
                if error.session_state == "lost":
                    return
                await asyncio.sleep(every_s / 10)

    async def release(self) -> None:
        """Gives the browser back. Never raises: what could not be given back expires."""
        body = ReleaseRequest(instance_id=self.lease.instance_id, token=self.lease.token)
        await give_back(self._calls, body, self._direct_url)

    def _kept(self, path: str, deadline_s: float) -> Call:
        return Call(
            method="GET",
            path=path,
            deadline_s=deadline_s,
            params={"instance_id": self.lease.instance_id},
            token=self.lease.token,
            direct_url=self._direct_url,
        )

    def _with_picture(self, reply: StepReply, observe: ObserveRequest) -> StepReply:
        shot = reply.observation.screenshot
        if shot is None:
            return reply
        if shot.data is not None:
            self._keep(shot.sha256, shot.data)
            return reply
        if observe.by_reference or observe.have_sha256 is not None or shot.sha256 not in self._pictures:
            return reply
        filled = shot.model_copy(update={"data": self._pictures[shot.sha256]})
        observation = reply.observation.model_copy(update={"screenshot": filled})
        return reply.model_copy(update={"observation": observation})

    def _keep(self, sha256: str, encoded: str) -> None:
        self._pictures[sha256] = encoded
        self._pictures.move_to_end(sha256)
        while len(self._pictures) > PICTURES_KEPT:
            self._pictures.popitem(last=False)


async def give_back(calls: Caller, body: ReleaseRequest, direct_url: str | None = None) -> None:
    """Ends a lease, or what was asked for with a key. The service's expiry is the safety net."""
    if calls.is_closed:  # left behind by its owner
        return
    call = Call(
        method="POST",
        path="/release",
        deadline_s=RELEASE_DEADLINE_S,
        patience_s=RELEASE_PATIENCE_S,
        body=lambda _: body,
        direct_url=direct_url,
    )
    with suppress(BrowserServiceError):
        await calls.send(call)
