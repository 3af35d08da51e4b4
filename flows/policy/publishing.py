"""Publishing before play: makes sure that the policy that should play the episodes is proved to be served, by every server.

all servers healthy? ── no ──> wait for them; nothing is published meanwhile
       │ yes
one after another, or all at once: `served_by.py`
       │ one fails: it serves the earlier policy again
       ▼
the servers that had the new one serve the earlier one again, and the stage fails

There is no quorum: a policy is served by all servers or the loop does not go on, so that no turn depends on its server.
"""

import asyncio

from agent.models.openai_chat import Served
from flows.policy.ownership import policy_owned
from flows.policy.served_by import ServedBy, opened, tag_of
from flows.policy.waiting import StageError, wait_well
from flows.services import health
from flows.services.services import address_of
from flows.services.specs import BROWSER, HEALTH
from flows.settings.run_folder import RunFolder
from rollouts.shard_workers import ShardWorkers
from training.checkpointing.checkpoints import CheckpointError, versions
from training.publishing.serving import PublishError, ServerUnavailable

ASK_S = 5.0
"""Seconds that one health check may take."""


def policy_version(folder: RunFolder, iteration: int) -> int:
    """The newest version after an iteration: iterations without learning signal have no version of their own.

    Raises `StageError` when the run has no version up to that iteration.
    """
    known = [version for version in versions(folder.policies) if version <= iteration]
    if not known:
        raise StageError(f"run {folder.name} has no policy from iteration {iteration} or before in {folder.policies}")
    return known[-1]


async def ensure_served(folder: RunFolder, version: int, workers: ShardWorkers | None = None) -> Served:
    """Make every model server serve this version of the run's policy, with proof; returns how to address them.

    Episodes that `workers` carry over are paused while it is published, and go on with it.

    Raises `StageError` when a server stays down for `services.heal_s`, or a publish cannot be proved; `PolicyOwned`
    when another run owns the served policy.
    """
    workers = workers or ShardWorkers(folder.inputs)
    async with policy_owned(folder), opened(folder) as servers:
        await _all_well(servers, tag_of(folder, version))
        if folder.config.serving.sleep:  # a loop that was killed during an update has left them asleep
            await asyncio.gather(*(one.wake_up() for one in servers))
        found = [await one.proved_if_up(version) for one in servers]  # `serve` waits for one that is away
        if None in found:
            await workers.hold(folder.config.agent.completion_deadline_s)
            found = await _serve_everywhere(folder, servers, version)
        first, *others = (one for one in found if one is not None)
        served = first._replace(others=tuple(one.model for one in others))
        await workers.serve(served)
        return served


async def _all_well(servers: list[ServedBy], tag: str) -> None:
    """Waits for all servers. Raises `StageError` for the first that stays away; nothing was published then."""
    ended = await asyncio.gather(*(one.wait_well() for one in servers), return_exceptions=True)
    errors = [error for error in ended if error is not None]
    if not errors:
        return
    if len(servers) == 1 or not isinstance(errors[0], StageError):
        raise errors[0]
    records = [record for one in servers if (record := await one.record())]
    kept = f"; {records[0].version} is served as before" if records else ""
    raise StageError(f"{errors[0]}; {tag} was published to no server{kept}") from errors[0]


async def _serve_everywhere(folder: RunFolder, servers: list[ServedBy], version: int) -> list[Served | None]:
    """Publishes to all servers. Raises `StageError` when one fails; the others serve its earlier policy then too."""
    ended: list[Served | BaseException] = []
    if folder.config.serving.publish_order == "together":
        ended += await asyncio.gather(*(one.serve(version) for one in servers), return_exceptions=True)
    else:
        for one in servers:
            try:
                ended.append(await one.serve(version))
            except (StageError, ServerUnavailable) as error:
                ended.append(error)
                break
    errors = {number: error for number, error in enumerate(ended) if isinstance(error, BaseException)}
    if not errors:
        return [one for one in ended if isinstance(one, Served)]
    failed, error = next(iter(errors.items()))
    if len(servers) == 1 or not isinstance(error, (StageError, ServerUnavailable)):
        raise error
    rest = [one for number, one in enumerate(servers) if number not in errors]
    raise StageError(f"{servers[failed].title}: {error}{await _go_back(servers[failed], rest, version)}") from error


async def _go_back(failed: ServedBy, others: list[ServedBy], version: int) -> str:
    """Serve the policy of the server that failed on those that have the new one. Returns a clause, or nothing."""
    earlier, clauses = await failed.record(), []
    ahead = [one for one in others if await one.proved_if_up(version)]
    for one in ahead:
        try:
            if earlier is None:
                raise CheckpointError(f"{failed.title} never served a policy")
            await one.return_to(earlier)
        except (PublishError, ServerUnavailable, CheckpointError) as error:
            clauses.append(f"{one.title} could not go back to the earlier policy: {error}")
        else:
            clauses.append(f"{one.title} serves {earlier.version} again")
    return "".join(f"; {clause}" for clause in clauses)


async def ensure_browsers(folder: RunFolder) -> str:
    """Wait until the browser service is ready; returns its address. Raises `StageError` after `services.heal_s`."""
    url = address_of(folder.config.services.state_dir, BROWSER)

    async def is_ready() -> bool:
        async with health.client(ASK_S) as client:
            return await health.is_well(client, health.at_each(url, HEALTH[BROWSER]))

    await wait_well(folder, "the browser service", is_ready)
    return url
