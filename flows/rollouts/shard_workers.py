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
from flows.rollouts.model_queue import ModelQueue
from flows.rollouts.shard_worker import ShardWorker
from flows.rollouts.shared_bounds import SharedBounds
from flows.rollouts.stage_files import StageFiles
from flows.rollouts.who_acts import agent_of, served_tokenizer
from flows.services.load import ask_model
from flows.services.specs import socket_path
from flows.settings.run_folder import RunFolder, Stage


@asynccontextmanager
async def open_worker(
    folder: RunFolder, stage: Stage, shard: int, served: Served, browsers: str
) -> AsyncGenerator[ShardWorker, None]:
    """A rank with its environment, browsers and policy. Episodes still running at the end are abandoned."""
    config = folder.config
    agent = agent_of(config, stage)
    async with AsyncExitStack() as stack:
        environment = await stack.enter_async_context(make_environment(config.environment))
        socket = socket_path(config.services.state_dir)
        pool = await stack.enter_async_context(BrowserPool(browsers))
        policy = await stack.enter_async_context(
            # Only environments that make their own tasks know solutions (environments.base.SeededEnvironment).
            open_model(
                agent,
                served=served,
                uds=socket,
                solve=getattr(environment, "solve", None),
                tokenizer=served_tokenizer(config),
            )
        )
        rank = ShardWorker(
            folder,
            shard,
            agent=agent,
            environment=environment,
            pool=pool,
            policy=policy,
            served=served,
            bounds=stack.enter_context(bounds_of(folder, shard)),
            # An evaluation shares the browsers with carried-over episodes; two rollouts of a shard never overlap.
            slots_in_use=(lambda: _carried(folder, shard)) if stage is not Stage.ROLLOUT else lambda: 0,
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
def bounds_of(folder: RunFolder, shard: int) -> Generator[SharedBounds]:
    """The bounds of a run in this process, shared while a rank of it is open; with `ranks: workers` one per shard."""
    config, state_dir = folder.config.rollout, folder.config.services.state_dir
    # A worker's shard has its own part of the limits; the ranks of one process share the whole.
    key = (folder.root, shard if config.ranks == "workers" else 0)
    if key not in _BOUNDS:
        queue = ModelQueue(config.model_queue, lambda: asyncio.to_thread(ask_model, state_dir))
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

    def __init__(self, browsers: str) -> None:
        self.browsers = browsers
        self._stop = asyncio.Event()
        self._opened: asyncio.Future[ShardWorker] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    async def open(self, folder: RunFolder, shard: int, served: Served) -> ShardWorker:
        """Opens the rank. Raises what `open_worker` raises."""
        self._task = asyncio.create_task(self._own(folder, shard, served), name=f"rank {shard} of {folder.name}")
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

    async def _own(self, folder: RunFolder, shard: int, served: Served) -> None:
        # The task that enters the rank's contexts must also exit them, so this one holds the rank open.
        try:
            async with open_worker(folder, Stage.ROLLOUT, shard, served, self.browsers) as rank:
                self._opened.set_result(rank)
                await self._stop.wait()
        except BaseException as error:
            # The future is used up once the rank is open: a later error reaches `close` through the task.
            if self._opened.done():
                raise
            self._opened.set_exception(error)


_KEPT: dict[tuple[Path, int], _Kept] = {}


async def kept_worker(folder: RunFolder, shard: int, served: Served, browsers: str) -> ShardWorker:
    """The shard's rank for rollouts in this process, opened unless an earlier stage left one."""
    key = (folder.root, shard)
    if (kept := _KEPT.get(key)) and kept.browsers != browsers:  # episodes on another service are lost anyway
        await _KEPT.pop(key).close()
        kept = None
    if kept:
        kept.rank.serve(served)
        return kept.rank
    kept = _Kept(browsers)
    rank = await kept.open(folder, shard, served)
    _KEPT[key] = kept
    return rank


def carry(folder: RunFolder, iteration: int) -> None:
    """Moves the running episodes of this process to the rollout of `iteration`."""
    config = folder.config.rollout
    for kept in _of(folder):
        if kept.rank.under_way:
            shard = kept.rank.shard
            kept.rank.carry_to(StageFiles(folder, iteration, Stage.ROLLOUT, shard=shard, slots=config.slots_of(shard)))


async def hold(folder: RunFolder) -> None:
    """Lets no turn of the run's episodes in this process begin, and waits for running ones as `TurnGate.hold` does."""
    deadline_s = folder.config.agent.completion_deadline_s
    await asyncio.gather(*(kept.rank.gate.hold(deadline_s) for kept in _of(folder)))


def serve(folder: RunFolder, served: Served) -> None:
    """Continues the kept ranks with the policy that is proved to be served."""
    for kept in _of(folder):
        kept.rank.serve(served)


def _carried(folder: RunFolder, shard: int) -> int:
    kept = _KEPT.get((folder.root, shard))
    return len(kept.rank.under_way) if kept else 0


async def close_idle(folder: RunFolder) -> None:
    """Ends the ranks without running episodes."""
    await _close(
        folder, [shard for (root, shard), kept in _KEPT.items() if root == folder.root and not kept.rank.under_way]
    )


async def close_all(folder: RunFolder) -> None:
    """Ends all ranks of a run; running episodes are abandoned."""
    await _close(folder, [shard for root, shard in _KEPT if root == folder.root])


async def _close(folder: RunFolder, shards: list[int]) -> None:
    await asyncio.gather(*(_KEPT.pop((folder.root, shard)).close() for shard in shards))


def _of(folder: RunFolder) -> list[_Kept]:
    return [kept for (root, _), kept in _KEPT.items() if root == folder.root]
