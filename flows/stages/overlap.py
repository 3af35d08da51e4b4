"""Judging while a rollout or an evaluation goes on (`judge.overlap`): complete groups are judged as they appear.

    rollout   ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒|
    overlap        ▒▒▒▒▒ ▒▒▒▒▒▒▒▒ ▒▒▒▒▒▒▒|      judged.jsonl, overlap.jsonl in the folder of the verdicts
    judge                                |▒     finds those verdicts, asks for the rest

It only reads the stage folder, so it sees the episodes of all shards, whatever process plays them. The chain, and the
file of verdicts, are those of the judge stage, which looks every verdict up before it asks. Only complete groups are
judged, because an unfinished one may move to the next iteration.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Container
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from agent.models.vendors import ModelUnavailable
from agent.verdict import Judge
from environments.registry import make_environment
from flows.settings.run_folder import RunFolder
from judging.opening import open_judges
from judging.verdicts import CorruptVerdicts
from rollouts.evidence import episode_is_valid
from rollouts.measures.intervals import JUDGED, Interval, add_interval, read_intervals
from rollouts.pace import staying
from rollouts.plan import read_plan
from storage.stages import Stage
from storage.store import CorruptTrajectory, TrajectoryStore

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0


@asynccontextmanager
async def judging_meanwhile(
    folder: RunFolder, iteration: int, stage: Stage, *, look_every_s: float = LOOK_EVERY_S
) -> AsyncGenerator[None]:
    """Judges the complete groups of a stage as long as the context lasts, if `judge.overlap` is on.

    At the end nothing new is asked, and running calls are waited for: they are paid. A failure of judging never ends
    the stage: the judge stage meets it again, and reports it.
    """
    if not folder.config.judge.overlap:
        yield
        return
    over = asyncio.Event()
    judging = asyncio.create_task(_until(over, folder, iteration, stage, look_every_s), name="judge.overlap")
    try:
        yield
        over.set()
        await judging
    finally:
        judging.cancel()
        await asyncio.gather(judging, return_exceptions=True)


async def _until(over: asyncio.Event, folder: RunFolder, iteration: int, stage: Stage, look_every_s: float) -> None:
    config = folder.config.judge
    store = TrajectoryStore(folder.stage_dir(iteration, stage))
    directory = verdicts_dir(folder, iteration, stage)
    check = make_environment(folder.config.environment).check
    try:
        async with open_judges(config, check, store.image, directory, requests=store.requests) as judge:
            overlap = _Overlap(store, directory, judge, asyncio.Semaphore(config.trajectories_at_once))
            await overlap.run(over, partial(complete_groups, folder, iteration, stage), look_every_s)
    except (ModelUnavailable, CorruptVerdicts) as error:
        logger.warning("nothing is judged while the episodes go on: %s", error)
    except Exception:  # a bug of ours must not cost the episodes that are being played
        logger.exception("judging while the episodes go on failed; the judge stage goes on from there")


def complete_groups(folder: RunFolder, iteration: int, stage: Stage, *, without: Container[str] = ()) -> list[str]:
    """Ids of the trajectories of complete groups that stay. Others may move to the next iteration."""
    store = TrajectoryStore(folder.stage_dir(iteration, stage))
    planned = read_plan(folder, iteration, stage) or []
    if stage is Stage.ROLLOUT:
        planned = staying(folder.config.rollout, planned)
    groups = [group.names() for group in planned]
    new = [names for names in groups if not all(name in without for name in names)]
    return [name for names in new if all(map(store.has, names)) for name in names if name not in without]


def overlapped(directory: Path) -> dict[str, float]:
    """Metrics of a stage's verdicts: the trajectories judged while the episodes went on, and the seconds from the first
    to the last; nothing if there are none."""
    intervals = read_intervals(directory / JUDGED)
    if not intervals:
        return {}
    seconds = max(one.ended for one in intervals) - min(one.began for one in intervals)
    return {"judge_overlapped": float(len(intervals)), "judge_overlap_s": seconds}


def verdicts_dir(folder: RunFolder, iteration: int, stage: Stage) -> Path:
    """The folder with the verdicts on a stage's episodes."""
    return folder.stage_dir(iteration, Stage.JUDGE if stage is Stage.ROLLOUT else stage)


@dataclass
class _Overlap:
    store: TrajectoryStore
    directory: Path
    judge: Judge
    room: asyncio.Semaphore
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """The trajectories that were taken up by now."""

    async def run(self, over: asyncio.Event, complete: Callable[..., list[str]], look_every_s: float) -> None:
        """Takes up trajectories until `over`, and waits for the running ones."""
        try:
            while not over.is_set():
                for name in await asyncio.to_thread(complete, without=frozenset(self.tasks)):
                    self.tasks[name] = asyncio.create_task(self._one(name, over))
                try:
                    async with asyncio.timeout(look_every_s):
                        await over.wait()
                except TimeoutError:
                    continue
            await asyncio.gather(*self.tasks.values())
        finally:
            for task in self.tasks.values():
                task.cancel()
            await asyncio.gather(*self.tasks.values(), return_exceptions=True)

    async def _one(self, name: str, over: asyncio.Event) -> None:
        async with self.room:
            if over.is_set():
                return
            try:
                trajectory = await asyncio.to_thread(self.store.read, name)
            except (CorruptTrajectory, FileNotFoundError):  # it is played again
                return
            if not episode_is_valid(trajectory.failure):
                return
            began = time.time()
            await self.judge.judge(trajectory)
            interval = Interval(trajectory_id=name, began=began, ended=time.time())
            await asyncio.to_thread(add_interval, self.directory / JUDGED, interval)
