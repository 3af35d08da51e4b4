"""The shard workers of one loop: opened for a stage, and kept beyond it while they have running episodes.

A kept worker lives in a task of its own, because the stage's task, and Prefect's with it, ends before its episodes do.
With `rollout.ranks: workers` it lives in another process, which has a `ShardWorkers` of its own; here is a `KeptRank` that
passes on what each stage asks of it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import NamedTuple, Self

from agent.models.openai_chat import Served
from agent.models.opening import open_model
from browser_service.client import BrowserPool
from environments.registry import make_environment
from rollouts.inputs import RunInputs, StageInputs
from rollouts.model_queue import ModelQueue
from rollouts.plan import planned_groups
from rollouts.ranks.kept import KeptHere, KeptRank
from rollouts.shard_worker import ShardWorker
from rollouts.shared_bounds import SharedBounds
from storage.stages import Stage

logger = logging.getLogger(__name__)


class ShardWorkers:
    """The workers of a run, and the limits that those in this process share. Use as a context; the end abandons episodes.

    The loop makes it and passes it to its stages: a rollout leaves unfinished episodes in it to the next one.
    Belongs to an event loop.
    """

    def __init__(self, run: RunInputs) -> None:
        self._run = run
        self._bounds: dict[int, _Bounds] = {}
        self._kept: dict[int, KeptHere] = {}
        """By shard."""
        self.elsewhere: dict[int, KeptRank] = {}
        """The workers of other processes, by shard."""
        self._pauses = 0
        """Open workers of evaluations, for which the kept ones begin nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close_all()

    @asynccontextmanager
    async def opened(self, inputs: StageInputs, shard: int) -> AsyncGenerator[ShardWorker]:
        """A worker for one stage. Episodes still running at the end are abandoned."""
        # An evaluation shares the browsers with carried-over episodes; two rollouts of a shard never overlap.
        is_guest = inputs.stage is not Stage.ROLLOUT
        in_use = (lambda: self._carried(shard)) if is_guest else lambda: 0
        with self.bounds(inputs, shard) as bounds, self._paused(is_guest):
            async with open_worker(inputs, shard, bounds, in_use) as worker:
                yield worker

    @contextmanager
    def _paused(self, is_guest: bool) -> Generator[None]:
        """Kept workers begin no episode while an evaluation is played: it gets each slot that becomes free."""
        self._pauses += is_guest
        self._pause()
        try:
            yield
        finally:
            self._pauses -= is_guest
            self._pause()

    def _pause(self) -> None:
        for kept in self._kept.values():
            kept.worker.pause(is_paused=self._pauses > 0)

    async def kept(self, inputs: StageInputs, shard: int) -> ShardWorker:
        """The shard's worker for rollouts, opened unless an earlier stage left one."""
        kept = self._kept.get(shard)
        if kept and kept.browsers != inputs.browsers:  # episodes on another service are lost anyway
            await self._kept.pop(shard).close()
            kept = None
        if kept:
            await kept.serve(inputs.served)
            return kept.worker
        kept = KeptHere(inputs, shard, lambda: self.opened(inputs, shard))
        worker = await kept.open()
        self._kept[shard] = kept
        return worker

    @contextmanager
    def bounds(self, inputs: StageInputs, shard: int) -> Generator[SharedBounds]:
        """The limits of a shard, shared while a worker of them is open; with `ranks: workers` each shard has its own."""
        config = self._run.rollout
        # A worker's shard has its own part of the limits; the shards of one process share the whole.
        key = shard if config.ranks == "workers" else 0
        if key not in self._bounds:
            queue = ModelQueue(config.model_queue, lambda: asyncio.to_thread(inputs.policy_server.waiting))
            self._bounds[key] = _Bounds(SharedBounds(config, shard, queue, self._run.settings.environment.blocking), [])
        bounds = self._bounds[key]
        bounds.shards.append(shard)
        try:
            yield bounds.shared
        finally:
            bounds.shards.remove(shard)
            if not bounds.shards:
                del self._bounds[key]

    @property
    def under_way(self) -> int:
        """Episodes that go on in the kept workers."""
        return sum(rank.under_way for rank in self._ranks())

    async def end_early(self) -> None:
        """Begins no further episode of a rollout that was begun before its stage, so that its plan stays as it is."""
        await asyncio.gather(*(rank.end_early() for rank in self._ranks()))

    async def carry(self, iteration: int) -> None:
        """Moves the running episodes to the rollout of `iteration`."""
        await asyncio.gather(*(rank.carry(iteration) for rank in self._ranks()))

    async def begin_early(self, iteration: int) -> None:
        """Begins the rollout of `iteration` in the kept workers, before its stage, as far as `rollout.overlap` allows."""
        ranks = self._ranks()
        if not self._run.rollout.lag or not ranks:
            return
        try:
            planned_groups(self._run, iteration, Stage.ROLLOUT)
        except ValueError as error:  # UnknownTask, TaskFileError or too few tasks: the stage itself reports it
            logger.warning("iteration %d is not begun before its stage: %s", iteration, error)
            return
        await asyncio.gather(*(rank.begin_early(iteration) for rank in ranks))

    async def hold(self, deadline_s: float) -> None:
        """Lets no turn of the kept episodes begin, and waits for running ones as `TurnGate.hold` does."""
        await asyncio.gather(*(rank.hold(deadline_s) for rank in self._ranks()))

    async def serve(self, served: Served) -> None:
        """Continues the kept workers with the policy that is proved to be served."""
        await asyncio.gather(*(rank.serve(served) for rank in self._ranks()))

    async def close_idle(self) -> None:
        """Ends the kept workers without running episodes."""
        await self._close(lambda rank: not rank.under_way)

    async def close_all(self) -> None:
        """Ends all kept workers; running episodes are abandoned."""
        await self._close(lambda rank: True)

    def _ranks(self) -> list[KeptRank]:
        return [*self._kept.values(), *self.elsewhere.values()]

    async def _close(self, ends: Callable[[KeptRank], bool]) -> None:
        here = [self._kept.pop(shard) for shard, rank in tuple(self._kept.items()) if ends(rank)]
        far = [self.elsewhere.pop(shard) for shard, rank in tuple(self.elsewhere.items()) if ends(rank)]
        await asyncio.gather(*(rank.close() for rank in (*here, *far)))

    def _carried(self, shard: int) -> int:
        kept = self._kept.get(shard)
        return kept.under_way if kept else 0


@asynccontextmanager
async def open_worker(
    inputs: StageInputs, shard: int, bounds: SharedBounds, slots_in_use: Callable[[], int] = lambda: 0
) -> AsyncGenerator[ShardWorker]:
    """A worker with its environment, browsers and policy. Episodes still running at the end are abandoned."""
    run, server = inputs.run, inputs.policy_server
    async with AsyncExitStack() as stack:
        environment = await stack.enter_async_context(make_environment(run.settings.environment))
        pool = await stack.enter_async_context(BrowserPool(inputs.browsers))
        policy = await stack.enter_async_context(
            # Only environments that make their own tasks know solutions (environments.base.SeededEnvironment).
            open_model(
                inputs.agent,
                served=inputs.served,
                uds=server.sockets[0],
                others=server.sockets[1:],
                solve=getattr(environment, "solve", None),
                tokenizer=server.tokenizer,
            )
        )
        worker = ShardWorker(
            run,
            shard,
            agent=inputs.agent,
            environment=environment,
            pool=pool,
            policy=policy,
            served=inputs.served,
            judge=inputs.judge(environment.check),
            detect=inputs.detect,
            bounds=bounds,
            slots_in_use=slots_in_use,
        )
        # Registered last, so it runs first: episodes end before the pool, the policy and the environment are closed.
        stack.push_async_callback(worker.stop)
        yield worker


class _Bounds(NamedTuple):
    shared: SharedBounds
    shards: list[int]
    """The shards of the open workers; an evaluation has its own beside those of a carried-over rollout."""
