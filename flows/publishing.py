"""Before episodes are played, the policy that should play them must be proved to be served; this is where that is seen to.

checkpoint v0003 wanted ── the server says "demo:3" ──> go
                        ── it says something else ────> publish, prove, go
                        ── it does not answer ────────> wait for the supervisor to start it again, then publish
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import httpx

from agent.models.openai_chat import Served
from agent.store import TrajectoryStore
from flows import ranks
from flows.errors import LoopError
from flows.hints import on_run
from flows.run_folder import RunFolder, Stage
from flows.service_specs import BROWSER, socket_path
from flows.services import address_of, is_running
from training.checkpoints import CheckpointError, checkpoint_path, read_checkpoint, versions
from training.serving import PolicyServer, PublishError, ServerUnavailable

logger = logging.getLogger(__name__)

ASK_S = 5.0
"""Seconds that one health question may take."""
POLL_S = 0.25
"""Seconds between two health questions to a service that is away."""
ENGINE_DEATH_S = 3.0
"""Seconds after which a server whose engine died has stopped answering."""
PUBLISH_TRIES = 3
"""A server that is killed in the middle of a publish gets so many tries in all."""


class StageError(LoopError):
    """A stage could not be finished. The message is one sentence."""


def tag_of(folder: RunFolder, version: int) -> str:
    """What the server calls a policy of this run. Example: `demo:3`."""
    return f"{folder.name}:{version}"


def policy_version(folder: RunFolder, iteration: int) -> int:
    """The newest version after an iteration: iterations that gave nothing to learn from have none of their own.

    Raises `StageError` when the run has no policy that old.
    """
    known = [version for version in versions(folder.policies) if version <= iteration]
    if not known:
        raise StageError(f"run {folder.name} has no policy from iteration {iteration} or before in {folder.policies}")
    return known[-1]


async def ensure_served(folder: RunFolder, version: int) -> Served:
    """Make the server serve this version of the run's policy, proved, and say how to ask for it.

    Raises `StageError` when the server stays away for `services.heal_s`, or a publish cannot be proved.
    """
    config, tag = folder.config, tag_of(folder, version)
    async with PolicyServer(socket_path(config.services.state_dir), config.serving) as server:
        for tried in range(1, PUBLISH_TRIES + 1):
            await wait_well(folder, "vLLM", server.is_healthy)
            try:
                served = await server.served()
                if served.version != tag:
                    await ranks.hold(folder)
                    await _publish(server, folder, version)
                    served = await server.served()
            except ServerUnavailable as error:
                logger.warning("vLLM was lost while %s was published (try %d): %s", tag, tried, error)
                continue
            if served.version == tag:
                proved = Served(model=served.model, tag=tag, version=version)
                ranks.serve(folder, proved)
                return proved
    raise StageError(
        f"vLLM was lost {PUBLISH_TRIES} times while {tag} was published; see its log in {config.services.state_dir}"
    )


async def _publish(server: PolicyServer, folder: RunFolder, version: int) -> None:
    """Publish a version. Raises `ServerUnavailable` when the server broke, `StageError` when the proof did."""
    tag = tag_of(folder, version)
    pictures = TrajectoryStore(folder.stage_dir(version, Stage.ROLLOUT))  # a version is named by its iteration
    try:
        checkpoint = await asyncio.to_thread(read_checkpoint, checkpoint_path(folder.policies, version))
        report = await server.publish(checkpoint, tag, image=pictures.image)
    except (PublishError, CheckpointError) as error:
        # A dying engine still answers, with errors; a second later it is gone.
        await asyncio.sleep(ENGINE_DEATH_S)
        if not await server.is_healthy():
            raise ServerUnavailable(str(error)) from error
        raise StageError(f"policy {tag} cannot be proved to be served, so the loop stops: {error}") from error
    logger.info("published %s in %.2f s: %s", tag, report.seconds["total"], report)


async def ensure_browsers(folder: RunFolder) -> str:
    """Wait until the browser service is ready; returns its address. Raises `StageError` after `services.heal_s`."""
    url = address_of(folder.config.services.state_dir, BROWSER)

    async def is_ready() -> bool:
        async with httpx.AsyncClient(timeout=ASK_S, trust_env=False) as client:
            return (await client.get(f"{url}/readyz")).status_code == 200

    await wait_well(folder, "the browser service", is_ready)
    return url


async def wait_well(folder: RunFolder, what: str, ask: Callable[[], Awaitable[bool]]) -> None:
    """Ask until a service is well; the supervisor restarts it meanwhile. Raises `StageError` naming the service."""
    services = folder.config.services
    began = time.monotonic()
    told = False
    while True:
        try:
            if await ask():
                return
        except httpx.HTTPError:  # not listening: the supervisor is at work, or there is none
            pass
        if not is_running(services.state_dir):
            raise StageError(
                f"{what} is down and nothing supervises it ({services.state_dir}); {on_run('resume', folder.root)} starts it"
            )
        if time.monotonic() - began > services.heal_s:
            raise StageError(
                f"{what} was not well again within {services.heal_s:.0f} s (services.heal_s); see {services.state_dir / 'logs'}"
            )
        if not told:
            logger.warning("%s does not answer: waiting for the supervisor to start it again", what)
            told = True
        await asyncio.sleep(POLL_S)
