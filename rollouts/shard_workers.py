"""The ranks of this process: opened for a stage, and kept beyond it while they have running episodes.

A kept rank lives in a task of its own, because the stage's task, and Prefect's with it, ends before its episodes do.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

from agent.models.openai_chat import Served
from agent.models.opening import open_model
from browser_service.client import BrowserPool
from environments.registry import make_environment
from rollouts.inputs import PolicyServer, RunInputs, StageInputs
from rollouts.model_queue import ModelQueue
from rollouts.shard_worker import ShardWorker
from rollouts.shared_bounds import SharedBounds
from rollouts.stage_files import StageFiles
from storage.run_layout import RunLayout
from storage.stages import Stage


@asynccontextmanager
async def open_worker(inputs: StageInputs, shard: int) -> AsyncGenerator[ShardWorker, None]:
    """A rank with its environment, browsers and policy. Episodes still running at the end are abandoned."""
    run, server = inputs.run, inputs.policy_server
    async with AsyncExitStack() as stack:
        environment = await stack.enter_async_context(make_environment(run.settings.environment))
        pool = await stack.enter_async_context(BrowserPool(inputs.browsers))
        policy = await stack.enter_async_context(
            # Only environments that make their own tasks know solutions (environments.base.SeededEnvironment).
            open_model(
                inputs.agent,
                served=inputs.served,
                uds=server.socket,
                solve=getattr(environment, "solve", None),
                tokenizer=server.tokenizer,
            )
        )
        rank = ShardWorker(
            run,
            shard,
            agent=inputs.agent,
            environment=environment,
            pool=pool,
            policy=policy,
            served=inputs.served,
            judge=inputs.judge(environment.check),
            bounds=stack.enter_context(bounds_of(run, shard, server)),
            # An evaluation shares the browsers with carried-over episodes; two rollouts of a shard never overlap.
            slots_in_use=(lambda: _carried(run, shard)) if inputs.stage is not Stage.ROLLOUT else lambda: 0,
        )
        # Registered last, so it runs first: episodes end before the pool, the policy and the environment are closed.
        stack.push_async_callback(rank.stop)
        yield rank


class _Bounds(NamedTuple):
    shared: SharedBounds
    shards: list[int]
    """The shards of the open ranks; an evaluation has its own beside those of a carried-over rollout."""


_BOUNDS: dict[tuple[Path, int], _Bounds] = {}


@contextmanager
def bounds_of(run: RunInputs, shard: int, server: PolicyServer) -> Generator[SharedBounds]:
    """The bounds of a run in this process, shared while a rank of it is open; with `ranks: workers` one per shard."""
    config = run.rollout
    # A worker's shard has its own part of the limits; the ranks of one process share the whole.
    key = (run.layout.root, shard if config.ranks == "workers" else 0)
    if key not in _BOUNDS:
        queue = ModelQueue(config.model_queue, lambda: asyncio.to_thread(server.waiting))
        _BOUNDS[key] = _Bounds(SharedBounds(config, shard, queue), [])
    bounds = _BOUNDS[key]
    bounds.shards.append(shard)
    try:
        yield bounds.shared
    finally:
        bounds.shards.remove(shard)
        if not bounds.shards:
            del _BOUNDS[key]


class _Kept:
    """A rank and the task that it lives in."""

    def __init__(self, inputs: StageInputs, shard: int) -> None:
        self.browsers = inputs.browsers
        self._inputs, self._shard = inputs, shard
        self._stop = asyncio.Event()
        self._opened: asyncio.Future[ShardWorker] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> ShardWorker:
        """Opens the rank. Raises what `open_worker` raises."""
        name = f"rank {self._shard} of {self._inputs.run.layout.name}"
        self._task = asyncio.create_task(self._own(), name=name)
        return await self._opened

    @property
    def rank(self) -> ShardWorker:
        """The rank; only after `open`."""
        return self._opened.result()

    async def close(self) -> None:
        """Ends the rank and its running episodes."""
        self._stop.set()
        if self._task:
            await self._task

    async def _own(self) -> None:
        # The task that enters the rank's contexts must also exit them, so this one holds the rank open.
        try:
            async with open_worker(self._inputs, self._shard) as rank:
                self._opened.set_result(rank)
                await self._stop.wait()
        except BaseException as error:
            # The future is used up once the rank is open: a later error reaches `close` through the task.
            if self._opened.done():
                raise
            self._opened.set_exception(error)


_KEPT: dict[tuple[Path, int], _Kept] = {}


async def kept_worker(inputs: StageInputs, shard: int) -> ShardWorker:
    """The shard's rank for rollouts in this process, opened unless an earlier stage left one."""
    key = (inputs.run.layout.root, shard)
    if (kept := _KEPT.get(key)) and kept.browsers != inputs.browsers:  # episodes on another service are lost anyway
        await _KEPT.pop(key).close()
        kept = None
    if kept:
        kept.rank.serve(inputs.served)
        return kept.rank
    kept = _Kept(inputs, shard)
    rank = await kept.open()
    _KEPT[key] = kept
    return rank


def carry(run: RunInputs, iteration: int) -> None:
    """Moves the running episodes of this process to the rollout of `iteration`."""
    for kept in _of(run.layout):
        if kept.rank.under_way:
            shard = kept.rank.shard
            kept.rank.carry_to(
                StageFiles(run.layout, iteration, Stage.ROLLOUT, shard=shard, slots=run.rollout.slots_of(shard))
            )


async def hold(layout: RunLayout, deadline_s: float) -> None:
    """Lets no turn of the run's episodes in this process begin, and waits for running ones as `TurnGate.hold` does."""
    await asyncio.gather(*(kept.rank.gate.hold(deadline_s) for kept in _of(layout)))


def serve(layout: RunLayout, served: Served) -> None:
    """Continues the kept ranks with the policy that is proved to be served."""
    for kept in _of(layout):
        kept.rank.serve(served)


def _carried(run: RunInputs, shard: int) -> int:
    kept = _KEPT.get((run.layout.root, shard))
    return len(kept.rank.under_way) if kept else 0


async def close_idle(layout: RunLayout) -> None:
    """Ends the ranks without running episodes."""
    await _close(
        layout, [shard for (root, shard), kept in _KEPT.items() if root == layout.root and not kept.rank.under_way]
    )


async def close_all(layout: RunLayout) -> None:
    """Ends all ranks of a run; running episodes are abandoned."""
    await _close(layout, [shard for root, shard in _KEPT if root == layout.root])


async def _close(layout: RunLayout, shards: list[int]) -> None:
    await asyncio.gather(*(_KEPT.pop((layout.root, shard)).close() for shard in shards))


def _of(layout: RunLayout) -> list[_Kept]:
    return [kept for (root, _), kept in _KEPT.items() if root == layout.root]
