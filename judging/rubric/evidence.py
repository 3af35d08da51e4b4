"""The evidence of a trajectory: its record, and those of its pictures that can be read."""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from agent.types import Trajectory
from judging.endpoints.protocol import Picture
from judging.rubric.record import Record
from storage.store import CorruptTrajectory

ReadPicture = Callable[[str], bytes]
"""Reads a picture by its sha256, as `TrajectoryStore.image` does; raises FileNotFoundError or `CorruptTrajectory`."""


class Evidence(NamedTuple):
    """The evidence of a question: the episode, its record, and the pictures that can be read."""

    trajectory: Trajectory
    record: Record
    pictures: Mapping[str, Picture]
    """By sha256."""
    answer_limit: int
    """Largest number of characters of the answer; a longer one is cut."""
    text_limit: int
    """Largest number of characters of a page's text."""


async def read_pictures(trajectory: Trajectory, read: ReadPicture) -> dict[str, Picture]:
    """The pictures of the pages that can be read. A damaged or missing one is no evidence, and says nothing else."""
    return await asyncio.to_thread(_read_pictures, trajectory, read)


def _read_pictures(trajectory: Trajectory, read: ReadPicture) -> dict[str, Picture]:
    seen = [*(step.observation for step in trajectory.steps), trajectory.final_observation]
    shots = {one.screenshot.sha256: one.screenshot for one in seen if one is not None and one.screenshot is not None}
    found: dict[str, Picture] = {}
    for sha256, shot in shots.items():
        try:
            found[sha256] = Picture(shot.media_type, read(sha256))
        except (FileNotFoundError, CorruptTrajectory):
            continue
    return found
