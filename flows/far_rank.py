"""A shard that another process plays: the loop's side, which gives orders and waits for the answers.

    task "rank" ── order.json ──> flow run of play-shard/rank on a worker of the pool (`rank_process.py`)
                <── answer.json, or the process's end as `far_shard.end_of` finds it

A process that ends, or does not answer in time, is lost: its running episodes are played again, by another one, when the
shard is played next. It is told to end whatever it does, should it live on. `hold` and `serve` are not needed for correctness: a
turn is proved after it, whatever the rank was told.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any
from uuid import uuid4

from agent.models.openai_chat import Served
from flows.stages.rollout import ShardKey
from rollouts.inputs import StageInputs
from rollouts.ranks.orders import (
    Answer,
    BeginEarly,
    Carry,
    Close,
    EndEarly,
    Hold,
    Order,
    Ordered,
    Play,
    RankFiles,
    Serve,
)
from rollouts.shard_workers import ShardWorkers
from storage.stages import Stage
from telemetry.propagation import traceparent

logger = logging.getLogger(__name__)

POLL_S = 0.25
"""Seconds between two looks for an answer."""
ANSWER_S = 60.0
"""Seconds in which a rank carries out an order, beside the time that the order itself allows."""
CLOSE_S = 30.0
"""Seconds in which a rank that is closed ends its process; one that does not is cancelled."""

Process = Callable[[str], Coroutine[Any, Any, str | None]]
"""Starts the rank of this name and waits for its end: how it failed, None if it ended well. Cancelled, it cancels the rank."""


class RankLost(Exception):
    """The process of a rank has ended, or does not answer. The message continues "shard 1 .."."""


async def play_elsewhere(workers: ShardWorkers, inputs: StageInputs, key: ShardKey, process: Process) -> str | None:
    """As `play_shard`, in the process that plays the shard since an earlier stage, or else in a new one."""
    iteration, stage, shard, number = key
    order = Play(iteration=iteration, stage=stage, round=number, served=inputs.served, browsers=inputs.browsers)
    far = workers.elsewhere.get(shard)
    if isinstance(far, FarRank) and not far.has_ended:
        return await far.play(order)
    far = workers.elsewhere[shard] = FarRank(RankFiles(inputs.run.layout.rank_dir(shard)), shard, process)
    lost = await far.play(order)
    if stage is not Stage.ROLLOUT:  # an evaluation leaves no episode that the process must stay for
        await far.close()
        workers.elsewhere.pop(shard, None)
    return lost


class FarRank:
    """The process that plays a shard. Implements `rollouts.ranks.kept.KeptRank`; belongs to an event loop."""

    def __init__(self, files: RankFiles, shard: int, process: Process) -> None:
        self.name = uuid4().hex
        self.shard = shard
        self._under_way = 0
        self._files, self._process = files, process
        self._number = 0
        self._ended: asyncio.Task[str | None] | None = None
        self._is_closed = False

    @property
    def under_way(self) -> int:
        """Running episodes, as of the last answer."""
        return 0 if self.has_ended else self._under_way

    @property
    def has_ended(self) -> bool:
        """True if the process has ended, or was given up."""
        return self._ended is not None and self._ended.done()

    async def play(self, order: Play) -> str | None:
        """Plays the shard, in a process that is started for the first order. Returns the lost service, which may be the
        process itself."""
        try:
            return (await self._carried_out(order, deadline_s=None)).lost
        except RankLost as error:
            return f"shard {self.shard} {error}"

    async def end_early(self) -> None:
        """As `KeptRank`; a lost rank begins nothing more."""
        await self._pass_on(EndEarly())

    async def carry(self, iteration: int) -> None:
        """As `KeptRank`; the episodes of a lost rank are played again."""
        await self._pass_on(Carry(iteration=iteration))

    async def begin_early(self, iteration: int) -> None:
        """As `KeptRank`; what a lost rank does not begin is begun by the stage."""
        await self._pass_on(BeginEarly(iteration=iteration))

    async def hold(self, deadline_s: float) -> None:
        """As `KeptRank`."""
        await self._pass_on(Hold(deadline_s=deadline_s), ANSWER_S + deadline_s)

    async def serve(self, served: Served) -> None:
        """As `KeptRank`."""
        await self._pass_on(Serve(served=served))

    async def close(self) -> None:
        """As `KeptRank`; waits for the end of the process, and cancels it after `CLOSE_S` seconds."""
        if self._ended is None:
            return
        self._end()
        await asyncio.wait({self._ended}, timeout=CLOSE_S)
        await self._give_up()

    async def _pass_on(self, order: Order, deadline_s: float = ANSWER_S) -> None:
        if self._ended is None or self.has_ended:
            return
        try:
            await self._carried_out(order, deadline_s)
        except RankLost as error:
            logger.warning("shard %d %s; its episodes are played again by another one", self.shard, error)
            await self._give_up()

    async def _carried_out(self, order: Order, deadline_s: float | None) -> Answer:
        """Gives an order and waits for the answer. Raises `RankLost`."""
        number = self._tell(order)
        if self._ended is None:
            self._ended = asyncio.create_task(self._process(self.name), name=f"rank of shard {self.shard}")
            self._ended.add_done_callback(self._when_ended)
        try:
            async with asyncio.timeout(deadline_s):
                while (answer := self._files.answered(self.name, number)) is None:
                    if self._ended.done():
                        raise RankLost(_how_it_ended(self._ended))
                    await asyncio.wait({self._ended}, timeout=POLL_S)
        except TimeoutError:
            raise RankLost(f"has not carried out {order.what} within {deadline_s:g} s on its worker") from None
        self._under_way = answer.running
        return answer

    def _tell(self, order: Order) -> int:
        self._number += 1
        self._files.tell(Ordered(rank=self.name, number=self._number, order=order, traceparent=traceparent()))
        return self._number

    def _end(self) -> None:
        """Tells the process to end, for good; also one that lives on although it counts as lost."""
        self._is_closed = True
        with suppress(OSError):  # a full disk may be the reason
            self._tell(Close())

    def _when_ended(self, ended: asyncio.Task[str | None]) -> None:
        if not self._is_closed:
            logger.warning("shard %d %s", self.shard, _how_it_ended(ended))
            self._end()

    async def _give_up(self) -> None:
        self._end()
        if self._ended is not None:
            self._ended.cancel()
            await asyncio.gather(self._ended, return_exceptions=True)


def _how_it_ended(ended: asyncio.Task[str | None]) -> str:
    if ended.cancelled():
        return "was given up"
    if error := ended.exception():
        return f"can't be followed on its worker ({type(error).__name__}: {error})"
    return f"{ended.result() or 'ended without an answer'} on its worker"
