"""Ranks of `rollout.ranks: workers` without Prefect: each is a task of the test, with workers of its own as a process has."""

import asyncio

from flows.far_rank import play_elsewhere
from flows.rank_process import RankProcess
from flows.settings.run_folder import RunFolder
from flows.stages.rollout import ShardKey
from rollouts.inputs import StageInputs
from rollouts.ranks.orders import RankFiles
from rollouts.shard_workers import ShardWorkers


class RanksElsewhere:
    """Call it as `PlayShards`; remembers each rank that it started, by shard."""

    def __init__(self) -> None:
        self.started: dict[int, list[asyncio.Task[str | None]]] = {}

    async def __call__(self, workers: ShardWorkers, inputs: StageInputs, keys: list[ShardKey]) -> list[str | None]:
        root = inputs.run.layout.root

        async def one(key: ShardKey) -> str | None:
            async def process(name: str) -> str | None:
                task = asyncio.create_task(rank(RunFolder.open(root), key.shard, name))
                self.started.setdefault(key.shard, []).append(task)
                return await task

            return await play_elsewhere(workers, inputs, key, process)

        return await asyncio.gather(*(one(key) for key in keys))


async def rank(folder: RunFolder, shard: int, name: str) -> str | None:
    """The part of a rank's flow that follows the loop."""
    async with ShardWorkers(folder.inputs) as workers:
        files = RankFiles(folder.rank_dir(shard))
        return await RankProcess(folder, shard, name, files, workers).follow()
