"""One model server of a run: makes sure that it serves a version, or serves the earlier one again.

checkpoint v0003 wanted ── the server says "demo:3" ──> done
                        ── it says something else ────> publish, prove, done
                        ── the proof fails ───────────> the earlier policy is served again, and the stage fails
                        ── neither can be proved ─────> vLLM is started again with the earlier policy, and the stage fails
                        ── it does not answer ────────> wait for the supervisor to start it again, then publish

`publishing.py` does this with every server. docs/publishing.md has the states, the deadlines, and what happens when.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from agent.models.openai_chat import Served
from flows.policy.waiting import StageError, wait_well
from flows.services.model_servers import ModelServer, model_servers
from flows.services.restarting import restart
from flows.settings.run_folder import RunFolder
from flows.settings.services_config import LOCAL
from storage.errors import ServicesError
from storage.stages import Stage
from telemetry.spans import span
from training.checkpointing.checkpoints import CheckpointError, checkpoint_path
from training.checkpointing.weight_digests import read_weights
from training.publishing.adapters import publish_adapter
from training.publishing.prepared_policy import Prepared, manifest_digest, prepare
from training.publishing.publish import PolicyLost, PublishReport, prepare_earlier, publish
from training.publishing.served_record import ServedRecord, read_record
from training.publishing.serving import PolicyServer, PublishError, ServerUnavailable

logger = logging.getLogger(__name__)

ENGINE_DEATH_S = 3.0
"""Seconds after which a server whose engine died has stopped answering."""
PUBLISH_TRIES = 3
"""Attempts in all at a publish during which the server is killed."""


def tag_of(folder: RunFolder, version: int) -> str:
    """The server's name for a policy of this run. Example: `demo:3`."""
    return f"{folder.name}:{version}"


class ServedBy:
    """One of the model servers of a run. `opened` opens all."""

    def __init__(self, folder: RunFolder, known: ModelServer, server: PolicyServer, *, number: int, of: int) -> None:
        self._folder, self._known, self._server = folder, known, server
        where = f" ({known.place})" if known.place != LOCAL else ""
        self.title = "vLLM" if of == 1 else f"vLLM {number} of {of}{where}"
        """The server in sentences. Example: `vLLM 2 of 3 (http://10.0.0.9:8200)`."""

    async def wait_well(self) -> None:
        """Waits until the server is healthy. Raises `StageError` after `services.heal_s`."""
        await wait_well(self._folder, self.title, self._server.is_healthy)

    async def record(self) -> ServedRecord | None:
        """The policy that was proved last to be served here."""
        return await asyncio.to_thread(read_record, self._server.uds)

    async def proved(self, version: int) -> Served | None:
        """How to address a version if the server serves it; the name alone could be that of another run's policy.

        Raises `ServerUnavailable`, and `StageError` when the version's manifest can't be read.
        """
        folder, tag = self._folder, tag_of(self._folder, version)
        try:
            served = await self._server.served()
        except PublishError as error:
            raise ServerUnavailable(str(error)) from error
        record = await self.record()
        if served.version != tag or record is None or (record.model, record.version) != (served.model, tag):
            return None
        try:
            checkpoint = checkpoint_path(folder.policies, version)
            same = await asyncio.to_thread(manifest_digest, checkpoint) == record.manifest_sha256
        except CheckpointError as error:
            raise StageError(f"policy {tag} cannot be served: {error}") from error
        return Served(model=record.adapter or served.model, tag=tag, version=version) if same else None

    async def proved_if_up(self, version: int) -> Served | None:
        """As `proved`; None also for a server that is away at this moment. Raises `StageError`."""
        try:
            return await self.proved(version)
        except ServerUnavailable:
            return None

    async def serve(self, version: int) -> Served:
        """Makes the server serve a version, with proof. Raises `StageError` when it can't be proved, or stays down."""
        last, tag = "", tag_of(self._folder, version)
        for tried in range(1, PUBLISH_TRIES + 1):
            await self.wait_well()
            try:
                if served := await self.proved(version):
                    return served
                await self._publish(version)
            except ServerUnavailable as error:
                last = f"{self.title} was lost while {tag} was published (try {tried}): {error}"
            except PublishError as error:
                last = await self._after_failure(tag, error)
            else:
                continue  # it serves the wanted policy, or was restarted at this moment: ask it
            logger.warning("%s", last)
        if served := await self.proved_if_up(version):  # after the last try it may be on its way up again
            return served
        raise StageError(
            f"policy {tag} could not be served in {PUBLISH_TRIES} tries, last: {last}; {await self._give_back()}; "
            f"see the logs in {self._folder.config.services.state_dir}"
        )

    async def return_to(self, record: ServedRecord) -> None:
        """Publishes an earlier policy again. Raises `PublishError`, `ServerUnavailable` and `CheckpointError`."""
        await self._put(await prepare_earlier(record))

    async def sleep(self) -> None:
        """Has the server give its GPU memory away until `wake_up`. Raises `StageError` when it can't."""
        try:
            await self._server.sleep()
        except (PublishError, ServerUnavailable) as error:
            raise StageError(f"{self.title} does not sleep for the update: {error}") from error

    async def wake_up(self) -> None:
        """Wakes the server if it sleeps, whatever version it says. Raises `StageError` when it does not wake.

        After an interrupted publish the server may be asleep, or only paused, which vLLM does not tell apart. It is woken in both cases:
        a reload into weights that lie in main memory breaks the engine, and what a server answers that was only paused has no
        proved version, which every client refuses. One that was killed while it slept is awake when its supervisor has
        started it again.
        """
        try:
            await self.wait_well()
            if await self._server.is_asleep():
                await self._server.wake_up()
        except (PublishError, ServerUnavailable) as error:
            raise StageError(f"{self.title} does not wake up after the update: {error}") from error

    async def _put(self, wanted: Prepared) -> PublishReport:
        """Publishes as an adapter where the configuration says so, else by a reload."""
        config, folder = self._folder.config.serving, self._folder
        if config.adapter_rank is None:
            return await publish(self._server, wanted, config)
        base = await asyncio.to_thread(read_weights, checkpoint_path(folder.policies, 0))
        return await publish_adapter(self._server, wanted, base, config)

    async def _publish(self, version: int) -> None:
        """Publish a version. Raises `PublishError` and `ServerUnavailable`; `StageError` when its files are damaged."""
        folder, tag = self._folder, tag_of(self._folder, version)
        pictures = folder.stage_dir(version, Stage.ROLLOUT)  # a version has the number of its iteration
        try:
            with span("publish", policy_version=version):
                checkpoint = checkpoint_path(folder.policies, version)
                wanted = await asyncio.to_thread(prepare, checkpoint, tag, pictures=pictures)
                report = await self._put(wanted)
        except CheckpointError as error:
            raise StageError(f"policy {tag} cannot be served, and the server was left as it was: {error}") from error
        logger.info("published %s to %s in %.2f s: %s", tag, self.title, report.seconds["total"], report)
        if report.canary_skipped:
            logger.warning("the canaries of %s prove nothing: %s", tag, report.canary_skipped)

    async def _after_failure(self, tag: str, error: PublishError) -> str:
        """Restore a served policy after a failed publish. Returns the reason of the failure if a retry makes sense.

        Otherwise raises `StageError`; the earlier policy is then served.
        """
        # A dying engine still answers, with errors, for about a second.
        await asyncio.sleep(ENGINE_DEATH_S)
        if not await self._server.is_healthy():
            return f"{self.title} was lost while {tag} was published: {error}"
        if isinstance(error, PolicyLost):
            logger.warning("%s is started again, because no policy could be proved to be served: %s", self.title, error)
            await self._restart()
        if error.inherited:
            return f"what an interrupted publish had left was cleared up: {error}"
        served = f"; {await self._give_back()}" if isinstance(error, PolicyLost) else ""
        raise StageError(f"policy {tag} cannot be proved to be served, so the loop stops: {error}{served}") from error

    async def _restart(self) -> None:
        config = self._folder.config
        try:
            await restart(config.services.state_dir, self._known.name, deadline_s=config.serving.start_deadline_s)
        except ServicesError as error:
            raise StageError(str(error)) from error

    async def _give_back(self) -> str:
        """Serve the last proved policy again on a server that lost it. Returns a clause naming the policy served now."""
        record = await self.record()
        if record is None:
            return "no policy was served before, and none is now"
        try:
            await self.wait_well()
            await self.return_to(record)
        except (PublishError, CheckpointError, ServerUnavailable, StageError) as error:
            return f"{record.version} could not be served again either ({error}), so no policy is served now"
        return f"{self.title} was started again and serves {record.version}"


@asynccontextmanager
async def opened(folder: RunFolder) -> AsyncGenerator[list[ServedBy]]:
    """The model servers of a run, in the order of `services.models`."""
    known = model_servers(folder.config.services)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(PolicyServer(one.socket, folder.config.serving)) for one in known]
        yield [
            ServedBy(folder, one, client, number=number, of=len(known))
            for number, (one, client) in enumerate(zip(known, clients, strict=True), 1)
        ]
