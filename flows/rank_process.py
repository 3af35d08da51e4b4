"""The process that plays a shard on a worker of the pool, for `rollout.ranks: workers`: it carries out the loop's orders.

    runs/<name>/ranks/01/order.json ──> `RankProcess` ──> `ShardWorkers` of this process ──> episodes
                        /answer.json <──┘

It ends when it is closed, when another process has its place, and when the loop is gone. Prefect reads the signatures below
while the flow runs, so annotations must stay real objects here (no `__future__`).
"""

import asyncio
import logging
from pathlib import Path

from prefect import flow
from prefect.states import Crashed, State

from flows.flow_log import log_with_ids
from flows.loop_tether import LoopGone, ending_with_loop
from flows.settings.run_folder import RunFolder
from flows.stages.rollout import ShardKey, play_shard
from flows.stages.stage_inputs import stage_inputs
from flows.tracking.spans import part_of, traced_process
from rollouts.ranks.orders import Answer, BeginEarly, Carry, Close, EndEarly, Hold, Ordered, Play, RankFiles, Serve
from rollouts.shard_workers import ShardWorkers
from storage.heartbeat import beating
from storage.stages import Stage, StageKey

logger = logging.getLogger(__name__)

POLL_S = 0.25
"""Seconds between two looks for an order."""


@flow(name="play-shard", flow_run_name="shard {shard}")
async def play_shard_flow(root: str, shard: int, rank: str) -> State[None] | None:
    """Play a shard of a run as long as the loop has orders for it. Started by the loop.

    Args:
        root: The run folder.
        shard: Number of the shard.
        rank: Name that the loop gave to this process.
    """
    folder = RunFolder.open(Path(root))
    log_with_ids()
    files = RankFiles(folder.rank_dir(shard))
    # A folder of its own: the process before may still beat.
    with traced_process(folder, "rl-loop-rank"), beating(files.directory / rank):
        try:
            async with ending_with_loop(folder.root), ShardWorkers(folder.inputs) as workers:
                replaced = await RankProcess(folder, shard, rank, files, workers).follow()
        except LoopGone as error:
            return Crashed(message=str(error))
    return Crashed(message=replaced) if replaced else None


class RankProcess:
    """Carries out orders one after another; a newer one ends the one before."""

    def __init__(self, folder: RunFolder, shard: int, name: str, files: RankFiles, workers: ShardWorkers) -> None:
        self._folder, self._shard, self._name = folder, shard, name
        self._files, self._workers = files, workers

    async def follow(self) -> str | None:
        """Returns when the rank is closed; the sentence that it was replaced, if it was. Raises what an order raises."""
        told = await self._newer(0)
        while told is not None and not isinstance(told.order, Close):
            newer = asyncio.create_task(self._newer(told.number), name="next order")
            doing = asyncio.create_task(self._carry_out(told), name=told.order.what)
            try:
                await asyncio.wait((newer, doing), return_when=asyncio.FIRST_COMPLETED)
                if doing.done():
                    self._files.answer(doing.result())
                    told = await newer
                else:
                    told = newer.result()
            finally:
                for task in (newer, doing):
                    task.cancel()
                await asyncio.gather(newer, doing, return_exceptions=True)
        return None if told else f"another process plays shard {self._shard}, so this one ends"

    async def _newer(self, number: int) -> Ordered | None:
        """The next order after this number; None when the orders are for another process."""
        while True:
            told = self._files.order()
            if told is not None and told.rank != self._name:
                return None
            if told is not None and told.number > number:
                return told
            await asyncio.sleep(POLL_S)

    async def _carry_out(self, told: Ordered) -> Answer:
        lost: str | None = None
        match told.order:
            case Play() as order:
                with part_of(StageKey(order.iteration, order.stage), told.traceparent):
                    lost = await self._play(order)
            case EndEarly():
                await self._workers.end_early()
            case Carry(iteration=iteration):
                with part_of(StageKey(iteration, Stage.ROLLOUT), told.traceparent):
                    await self._workers.carry(iteration)
            case BeginEarly(iteration=iteration):
                with part_of(StageKey(iteration, Stage.ROLLOUT), told.traceparent):
                    await self._workers.begin_early(iteration)
            case Hold(deadline_s=deadline_s):
                await self._workers.hold(deadline_s)
            case Serve(served=served):
                await self._workers.serve(served)
            case Close():
                pass
        return Answer(rank=told.rank, number=told.number, lost=lost, running=self._workers.under_way)

    async def _play(self, order: Play) -> str | None:
        inputs = stage_inputs(self._folder, order.stage, order.served, order.browsers)
        key = ShardKey(order.iteration, order.stage, self._shard, order.round)
        logger.info("%s: shard %d, round %d begins", self._folder.name, self._shard, order.round)
        return await play_shard(self._workers, inputs, key)
