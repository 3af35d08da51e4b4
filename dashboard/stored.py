"""A stored trajectory, read a step at a time: a page needs few of its steps, and it can have hundreds of megabytes."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from agent.types import Step, Trajectory
from browser_service.models import Observation
from storage.step_lines import step_lines
from storage.store import TRAJECTORY, CorruptTrajectory, TrajectoryStore


class Stored(NamedTuple):
    """A trajectory whose steps are read when they are asked for."""

    head: Trajectory
    """All but the steps."""
    count: int
    """Number of steps."""
    steps: Callable[[], Iterable[Step]]
    """Reads the steps in their order, one at a time. Raises `CorruptTrajectory`."""

    def step(self, index: int) -> Step | None:
        """The step with this index, None if there is none. Raises `CorruptTrajectory`."""
        return next((step for step in self.steps() if step.index == index), None)

    def bare(self) -> Trajectory:
        """The trajectory without marks, texts and tokens: its actions, their times and their pictures."""
        steps = tuple(
            step.model_copy(update={"observation": bare_page(step.observation), "completion": None})
            for step in self.steps()
        )
        return self.head.model_copy(update={"steps": steps})


def bare_page(seen: Observation) -> Observation:
    """A page without its marks and texts, which are nearly all of its size."""
    return seen.model_copy(update={"marks": [], "text": None, "ax_tree": None})


def whole(found: Trajectory) -> Stored:
    """A trajectory that is in memory."""
    return Stored(found, len(found.steps), lambda: found.steps)


def open_stored(stage_dir: Path, trajectory_id: str) -> Stored:
    """A trajectory of a stage folder. Raises `CorruptTrajectory`, and FileNotFoundError when there is none.

    One of an earlier version, and a packed one, is read as a whole.
    """
    path = stage_dir / trajectory_id / TRAJECTORY
    try:
        with step_lines(path) as lines:
            if lines is None:
                return whole(TrajectoryStore(stage_dir).read(trajectory_id))
            head, count = Trajectory.model_validate_json(lines.with_steps()), sum(1 for _ in lines.places())
    except ValidationError as error:
        raise _corrupt(path, error) from error
    return Stored(head, count, lambda: _steps(path))


def _steps(path: Path) -> Iterator[Step]:
    try:
        with step_lines(path) as lines:
            yield from map(Step.model_validate_json, lines or ())
    except ValidationError as error:
        raise _corrupt(path, error) from error


def _corrupt(path: Path, error: ValidationError) -> CorruptTrajectory:
    return CorruptTrajectory(f"{path}: {error.errors()[0]['msg']}; delete this folder to play the episode again")
