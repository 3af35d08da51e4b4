"""Publishing before play: makes sure that the policy that should play the episodes is proved to be served.

checkpoint v0003 wanted ── the server says "demo:3" ──> go
                        ── it says something else ────> publish, prove, go
                        ── the proof fails ───────────> the earlier policy is served again, and the stage fails
                        ── neither can be proved ─────> vLLM is started again with the earlier policy, and the stage fails
                        ── it does not answer ────────> wait for the supervisor to start it again, then publish

docs/publishing.md has the states, the deadlines, and what happens when.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import httpx

from agent.models.openai_chat import Served
from flows.policy.ownership import policy_owned
from flows.services import health
from flows.services.restarting import restart
from flows.services.services import address_of, is_running
from flows.services.specs import BROWSER, HEALTH, VLLM, socket_path
from flows.settings.hints import on_run
from flows.settings.run_folder import RunFolder
from rollouts.shard_workers import ShardWorkers
from storage.errors import LoopError, ServicesError
from storage.stages import Stage
from training.checkpointing.checkpoints import CheckpointError, checkpoint_path, versions
from training.publishing.prepared_policy import manifest_digest, prepare
from training.publishing.publish import PolicyLost, prepare_earlier, publish
from training.publishing.served_record import read_record
from training.publishing.serving import PolicyServer, PublishError, ServerUnavailable

logger = logging.getLogger(__name__)

ASK_S = 5.0
"""Seconds that one health check may take."""
POLL_S = 0.25
"""Seconds between two health checks of a service that is down."""
ENGINE_DEATH_S = 3.0
"""Seconds after which a server whose engine died has stopped answering."""
PUBLISH_TRIES = 3
"""Attempts in all at a publish during which the server is killed."""


class StageError(LoopError):
    """A stage could not be finished. The message is one sentence."""


def tag_of(folder: RunFolder, version: int) -> str:
    """The server's name for a policy of this run. Example: `demo:3`."""
    return f"{folder.name}:{version}"


def policy_version(folder: RunFolder, iteration: int) -> int:
    """The newest version after an iteration: iterations without learning signal have no version of their own.

    Raises `StageError` when the run has no version up to that iteration.
    """
    known = [version for version in versions(folder.policies) if version <= iteration]
    if not known:
        raise StageError(f"run {folder.name} has no policy from iteration {iteration} or before in {folder.policies}")
    return known[-1]


async def ensure_served(folder: RunFolder, version: int, workers: ShardWorkers | None = None) -> Served:
    """Make the server serve this version of the run's policy, with proof; returns how to address it.

    Episodes that `workers` carry over are paused while it is published, and go on with it.

    Raises `StageError` when the server stays down for `services.heal_s`, or a publish cannot be proved; `PolicyOwned`
    when another run owns the served policy.
    """
    config, tag = folder.config, tag_of(folder, version)
    workers = workers or ShardWorkers(folder.inputs)
    async with (
        policy_owned(folder),
        PolicyServer(socket_path(config.services.state_dir), config.serving) as server,
    ):
        last = ""
        for tried in range(1, PUBLISH_TRIES + 1):
            await wait_well(folder, "vLLM", server.is_healthy)
            try:
                if served := await _proved(server, folder, version):
                    workers.serve(served)
                    return served
                await workers.hold(config.agent.completion_deadline_s)
                await _publish(server, folder, version)
            except ServerUnavailable as error:
                last = f"vLLM was lost while {tag} was published (try {tried}): {error}"
            except PublishError as error:
                last = await _after_failure(server, folder, tag, error)
            else:
                continue  # it serves the wanted policy, or was restarted at this moment: ask it
            logger.warning("%s", last)
        if served := await _proved(server, folder, version):
            workers.serve(served)
            return served
        raise StageError(
            f"policy {tag} could not be served in {PUBLISH_TRIES} tries, last: {last}; {await _give_back(server, folder)}; "
            f"see the logs in {config.services.state_dir}"
        )


async def _proved(server: PolicyServer, folder: RunFolder, version: int) -> Served | None:
    """How to address a version if the server serves it; the name alone could be that of another run's policy."""
    tag, checkpoint = tag_of(folder, version), checkpoint_path(folder.policies, version)
    try:
        served = await server.served()
    except PublishError as error:
        raise ServerUnavailable(str(error)) from error
    record = await asyncio.to_thread(read_record, server.uds)
    if served.version != tag or record is None or (record.model, record.version) != (served.model, tag):
        return None
    try:
        same = await asyncio.to_thread(manifest_digest, checkpoint) == record.manifest_sha256
    except CheckpointError as error:
        raise StageError(f"policy {tag} cannot be served: {error}") from error
    return Served(model=served.model, tag=tag, version=version) if same else None


async def _publish(server: PolicyServer, folder: RunFolder, version: int) -> None:
    """Publish a version. Raises `PublishError` and `ServerUnavailable`; `StageError` when its files are damaged."""
    tag = tag_of(folder, version)
    pictures = folder.stage_dir(version, Stage.ROLLOUT)  # a version has the number of its iteration
    try:
        wanted = await asyncio.to_thread(prepare, checkpoint_path(folder.policies, version), tag, pictures=pictures)
        report = await publish(server, wanted, folder.config.serving)
    except CheckpointError as error:
        raise StageError(f"policy {tag} cannot be served, and the server was left as it was: {error}") from error
    logger.info("published %s in %.2f s: %s", tag, report.seconds["total"], report)
    if report.canary_skipped:
        logger.warning("the canaries of %s prove nothing: %s", tag, report.canary_skipped)


async def _after_failure(server: PolicyServer, folder: RunFolder, tag: str, error: PublishError) -> str:
    """Restore a served policy after a failed publish. Returns the reason of the failure if a retry makes sense.

    Otherwise raises `StageError`; the earlier policy is then served.
    """
    # A dying engine still answers, with errors, for about a second.
    await asyncio.sleep(ENGINE_DEATH_S)
    if not await server.is_healthy():
        return f"vLLM was lost while {tag} was published: {error}"
    if isinstance(error, PolicyLost):
        logger.warning("vLLM is started again, because no policy could be proved to be served: %s", error)
        await _restart(folder)
    if error.inherited:
        return f"what an interrupted publish had left was cleared up: {error}"
    served = f"; {await _give_back(server, folder)}" if isinstance(error, PolicyLost) else ""
    raise StageError(f"policy {tag} cannot be proved to be served, so the loop stops: {error}{served}") from error


async def _restart(folder: RunFolder) -> None:
    config = folder.config
    try:
        await restart(config.services.state_dir, VLLM, deadline_s=config.serving.start_deadline_s)
    except ServicesError as error:
        raise StageError(str(error)) from error


async def _give_back(server: PolicyServer, folder: RunFolder) -> str:
    """Serve the last proved policy again on a server that lost it. Returns a clause naming the policy served now."""
    record = await asyncio.to_thread(read_record, server.uds)
    if record is None:
        return "no policy was served before, and none is now"
    try:
        await wait_well(folder, "vLLM", server.is_healthy)
        await publish(server, await prepare_earlier(record), folder.config.serving)
    except (PublishError, CheckpointError, ServerUnavailable, StageError) as error:
        return f"{record.version} could not be served again either ({error}), so no policy is served now"
    return f"vLLM was started again and serves {record.version}"


async def ensure_browsers(folder: RunFolder) -> str:
    """Wait until the browser service is ready; returns its address. Raises `StageError` after `services.heal_s`."""
    url = address_of(folder.config.services.state_dir, BROWSER)

    async def is_ready() -> bool:
        async with health.client(ASK_S) as client:
            return await health.is_well(client, health.at_each(url, HEALTH[BROWSER]))

    await wait_well(folder, "the browser service", is_ready)
    return url


async def wait_well(folder: RunFolder, what: str, ask: Callable[[], Awaitable[bool]]) -> None:
    """Poll until a service is healthy; the supervisor restarts it meanwhile. Raises `StageError` naming the service."""
    services = folder.config.services
    began = time.monotonic()
    warned = False
    while True:
        try:
            if await ask():
                return
        except httpx.HTTPError:  # not listening: the supervisor is restarting it, or there is none
            pass
        if not is_running(services.state_dir):
            raise StageError(
                f"{what} is down and nothing supervises it ({services.state_dir}); {on_run('resume', folder.root)} starts it"
            )
        if time.monotonic() - began > services.heal_s:
            raise StageError(
                f"{what} was not healthy again within {services.heal_s:.0f} s (services.heal_s); see {services.state_dir / 'logs'}"
            )
        if not warned:
            logger.warning("%s does not answer: waiting for the supervisor to start it again", what)
            warned = True
        await asyncio.sleep(POLL_S)
