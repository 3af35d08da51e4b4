"""One leased browser on the client side: steps, pictures, and renewals of the lease."""

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
"""Seconds that a release is retried; a lease that can't be released expires."""
# Added to the time that the service itself was given, for the transfer in both directions.
TRANSFER_S = 10.0
PICTURES_KEPT = 4
"""Newest pictures of a lease that are cached; each is some 100 KB."""


class Browser:
    """One lease. Calls run one after the other."""

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
        """Acts and observes in one round trip. A lost connection is retried and never acts twice.

        The picture's `data` is always filled, unless `observe.have_sha256` says that the caller has it, or
        `observe.by_reference` that the caller will fetch it with `picture`.
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
                tool=action.kind,
            )
            reply = await self._calls.ask(call, StepReply)
            self._used_at = asyncio.get_running_loop().time()
            return self._with_picture(reply, observe)

    async def picture(self, shot: Screenshot, *, deadline_s: float = 30) -> bytes:
        """The encoded bytes of a picture of this lease, from the cache if it is one of the newest. Raises as `blob`."""
        encoded = shot.data or self._pictures.get(shot.sha256)
        if encoded is None:
            encoded = base64.b64encode(await self.blob(shot.sha256, deadline_s=deadline_s)).decode()
        self._keep(shot.sha256, encoded)
        return base64.b64decode(encoded)

    async def blob(self, sha256: str, *, deadline_s: float = 30) -> bytes:
        """The content of a hash in the artifact store: a picture, a download.

        Raises `NotKept` when the store no longer has it, and the errors of `step`.
        """
        call = self._kept(f"/blob/{sha256}", deadline_s)
        content = (await self._calls.send(call)).content
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BrowserServiceError(f"the bytes that came for blob {sha256[:12]} have another hash; ask again")
        return content

    async def artifacts(self, *, deadline_s: float = 30) -> list[Artifact]:
        """The lease's stored artifacts, also after its end: downloads at once, film and trace shortly after the end."""
        call = self._kept(f"/sessions/{self.lease.instance_id}/artifacts", deadline_s)
        return (await self._calls.ask(call, Artifacts)).artifacts

    async def download(self, artifact: Artifact, to: Path, *, deadline_s: float = 300) -> None:
        """Fetches one of the `artifacts` into a file. Raises `NotKept` when it is gone, and the errors of `step`."""
        path = f"/sessions/{self.lease.instance_id}/artifacts/{artifact.id}"
        await self._calls.save(self._kept(path, deadline_s), to)

    async def renew(self, *, deadline_s: float = 10) -> None:
        """Renews the lease without using it; a context manager does so by itself. Raises the errors of `step`."""
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
        """Renews after every `every_s` seconds without a call, until it is cancelled or the lease is over.

        Errors of the lease are left to the holder's next step.
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
        """Releases the browser. Never raises: a lease that could not be released expires."""
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
    """Ends a lease, or the leases of an idempotency key. If it fails, the service's expiry ends them."""
    if calls.is_closed:  # left open by its owner, who has gone
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
