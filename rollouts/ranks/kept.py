"""A shard's worker that outlives its stage: in this process, or in another one that takes orders (`orders.py`).

stage i      play ─ end_early ─ carry(i + 1) ─ begin_early(i + 1)
update       hold ─ serve(the new policy)
stage i + 1  play ..                                                     close, when no episode goes on
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from agent.models.openai_chat import Served
from rollouts.inputs import StageInputs
from rollouts.pace import pace_of
from rollouts.plan import Why, assigned, planned_groups
from rollouts.shard_worker import ShardWorker
from rollouts.stage_files import StageFiles
from storage.stages import Stage


class KeptRank(Protocol):
    """The part of a shard's worker that the loop's stages use between two rollouts."""

    @property
    def under_way(self) -> int:
        """Number of the running episodes."""
        ...

    async def end_early(self) -> None:
        """Begins no further episode of the stage that was begun early."""
        ...

    async def carry(self, iteration: int) -> None:
        """Moves the running episodes to the rollout of `iteration`."""
        ...

    async def begin_early(self, iteration: int) -> None:
        """Begins the rollout of `iteration`, which is planned, before its stage."""
        ...

    async def hold(self, deadline_s: float) -> None:
        """Lets no turn begin, and waits for running ones as `TurnGate.hold` does."""
        ...

    async def serve(self, served: Served) -> None:
        """Continues with the policy that is proved to be served."""
        ...

    async def close(self) -> None:
        """Ends the worker; running episodes are abandoned."""
        ...


class KeptHere:
    """A worker of this process, and the task that it lives in: the stage's task ends before the worker's episodes do."""

    def __init__(
        self, inputs: StageInputs, shard: int, opened: Callable[[], AbstractAsyncContextManager[ShardWorker]]
    ) -> None:
        """`opened` opens the worker for the time of a context."""
        self.browsers = inputs.browsers
        self._run, self._shard, self._context = inputs.run, shard, opened
        self._stop = asyncio.Event()
        self._opened: asyncio.Future[ShardWorker] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> ShardWorker:
        """Opens the worker. Raises what `opened` raises."""
        self._task = asyncio.create_task(self._own(), name=f"shard {self._shard} of {self._run.layout.name}")
        return await self._opened

    @property
    def worker(self) -> ShardWorker:
        """The worker; only after `open`."""
        return self._opened.result()

    @property
    def under_way(self) -> int:
        """Number of the running episodes."""
        return len(self.worker.under_way)

    async def end_early(self) -> None:
        """As `KeptRank`."""
        await self.worker.end_early()

    async def carry(self, iteration: int) -> None:
        """As `KeptRank`."""
        if self.under_way:
            self.worker.carry_to(self._files(iteration))

    async def begin_early(self, iteration: int) -> None:
        """As `KeptRank`. Raises as `planned_groups`."""
        run = self._run
        config, last = run.rollout, run.settings.iterations
        groups = planned_groups(run, iteration, Stage.ROLLOUT)
        pace = pace_of(config, groups, iteration=iteration, last=last, is_early=True)
        mine = assigned(groups, config.weights())[self._shard]
        extends: tuple[Why, ...] = ("ahead",) if iteration < last else ()
        await self.worker.begin_early(self._files(iteration), mine, extends=extends, pace=pace)

    async def hold(self, deadline_s: float) -> None:
        """As `KeptRank`."""
        await self.worker.gate.hold(deadline_s)

    async def serve(self, served: Served) -> None:
        """As `KeptRank`."""
        self.worker.serve(served)

    async def close(self) -> None:
        """As `KeptRank`."""
        self._stop.set()
        if self._task:
            await self._task

    def _files(self, iteration: int) -> StageFiles:
        slots = self._run.rollout.slots_of(self._shard)
        return StageFiles(self._run.layout, iteration, Stage.ROLLOUT, shard=self._shard, slots=slots)

    async def _own(self) -> None:
        # The task that enters the worker's contexts must also exit them, so this one holds the worker open.
        try:
            async with self._context() as worker:
                self._opened.set_result(worker)
                await self._stop.wait()
        except BaseException as error:
            # The future is used up once the worker is open: a later error reaches `close` through the task.
            if self._opened.done():
                raise
            self._opened.set_exception(error)
