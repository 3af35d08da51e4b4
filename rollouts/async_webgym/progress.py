"""The files of the rollout, which report: progress and checkpoints to the caller, verdicts of a judge, rows at the end."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from agent.types import StopReason, Trajectory
from agent.verdict import Judge, Verdict
from rollouts.async_webgym.records import webgym_steps
from rollouts.async_webgym.tasks import Sampled
from rollouts.stage_files import StageFiles
from storage.atomic import write_atomically
from storage.run_layout import RunLayout
from storage.stages import Stage

Rows = list[list[dict[str, Any]] | None]
"""A trajectory in WebGym's fields for each sampled task, None while it is missing."""


class Blocklist(Protocol):
    """The part of WebGym's `BlocklistManager` that is used."""

    def record_blocked_website(self, url: str, task_id: str | None = None) -> None:
        """Records that a site has blocked the agent."""
        ...


class ReportingFiles(StageFiles):
    """Stage files whose `keep` also tells the caller. Belongs to an event loop."""

    def __init__(
        self,
        layout: RunLayout,
        iteration: int,
        stage: Stage,
        *,
        slots: int,
        tasks: Sequence[Sampled],
        judge: Judge | None,
        on_finished: Callable[[int], None],
    ) -> None:
        """`on_finished` gets the number of finished episodes after each."""
        super().__init__(layout, iteration, stage, shard=0, slots=slots)
        self._judge, self._on_finished = judge, on_finished
        self.index = {name: one.index for one in tasks for name in one.group.names()}
        self.rows: Rows = [None] * len(tasks)
        self.blocked: dict[str, Trajectory] = {}
        """Trajectories of sites that refused the visit, by id."""
        self._judging: set[asyncio.Task[None]] = set()

    def keep(self, trajectory: Trajectory, images: dict[str, bytes], reward: float | None) -> None:
        """As `StageFiles.keep`."""
        super().keep(trajectory, images, reward)
        self.report(trajectory)

    def report(self, trajectory: Trajectory) -> None:
        """Notes a stored trajectory, and lets it be judged."""
        self._note(trajectory, None)
        if self._judge is not None and trajectory.failure is None:
            task = asyncio.create_task(self._judged(self._judge, trajectory))
            self._judging.add(task)
            task.add_done_callback(self._judging.discard)
        self._on_finished(sum(row is not None for row in self.rows))

    async def until_judged(self) -> None:
        """Waits for the verdicts; raises the first error of the judge."""
        while self._judging:
            await asyncio.gather(*self._judging)

    async def _judged(self, judge: Judge, trajectory: Trajectory) -> None:
        self._note(trajectory, await judge.judge(trajectory))

    def _note(self, trajectory: Trajectory, verdict: Verdict | None) -> None:
        if trajectory.stop is StopReason.BLOCKED or (verdict is not None and verdict.blocked):
            self.blocked[trajectory.id] = trajectory
        index = self.index[trajectory.id]
        self.rows[index] = webgym_steps(trajectory, verdict, index=index, image_path=self._image_path)

    def _image_path(self, sha256: str, place: int) -> str | None:
        path = self.store.image_path(sha256)
        return str(path) if path.is_file() else None


def write_rows(path: Path, rows: Rows, metadata: Mapping[str, Any]) -> None:
    """Writes a line of JSON for each trajectory. Raises ValueError for metadata that is no JSON, and OSError."""
    lines = [
        json.dumps({"trajectory": row, "metadata": dict(metadata)}, ensure_ascii=False, allow_nan=False)
        for row in rows
        if row is not None
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())
