"""A stored trajectory, read a step at a time: a page needs few of its steps, and it can have hundreds of megabytes."""

import mmap
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from agent.types import Step, Trajectory
from storage.store import FIRST_LINE, TRAJECTORY, CorruptTrajectory, TrajectoryStore


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
        """The trajectory without marks, texts and tokens: what was done when, and with which picture."""
        return self.head.model_copy(update={"steps": tuple(bare_step(step) for step in self.steps())})


def bare_step(step: Step) -> Step:
    """A step without the large parts of its page, and without what the model said."""
    seen = step.observation.model_copy(update={"marks": [], "text": None, "ax_tree": None})
    return step.model_copy(update={"observation": seen, "completion": None})


def whole(found: Trajectory) -> Stored:
    """A trajectory that is in memory."""
    return Stored(found, len(found.steps), lambda: found.steps)


def open_stored(stage_dir: Path, trajectory_id: str) -> Stored:
    """A trajectory of a stage folder. Raises `CorruptTrajectory`, and FileNotFoundError when there is none.

    One of an earlier version, and a packed one, is read as a whole.
    """
    path = stage_dir / trajectory_id / TRAJECTORY
    try:
        with mapped(path) as data:
            if data is None:
                return whole(TrajectoryStore(stage_dir).read(trajectory_id))
            end = data.rfind(b"\n")
            head = Trajectory.model_validate_json(b'{"steps":[' + data[end + 1 :])
            count = sum(1 for _ in line_ends(data, end))
    except ValidationError as error:
        raise CorruptTrajectory(f"{path}: {error.errors()[0]['msg']}") from error
    return Stored(head, count, lambda: _steps(path))


def _steps(path: Path) -> Iterator[Step]:
    try:
        with mapped(path) as data:
            if data is not None:
                for begin, end in line_ends(data, data.rfind(b"\n")):
                    yield Step.model_validate_json(data[begin:end])
    except ValidationError as error:
        raise CorruptTrajectory(f"{path}: {error.errors()[0]['msg']}") from error


def line_ends(data: mmap.mmap, last: int) -> Iterator[tuple[int, int]]:
    """Begin and end of each step's JSON; `last`: the newline after the last one. A newline in a JSON string is escaped."""
    begin = len(FIRST_LINE)
    while begin < last:
        end = data.find(b"\n", begin)
        yield begin, end - (end < last)  # without the comma
        begin = end + 1


@contextmanager
def mapped(path: Path) -> Generator[mmap.mmap | None]:
    """The file's bytes without reading them all; None unless it has a line per step."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    with file:
        if file.read(len(FIRST_LINE)) != FIRST_LINE:
            yield None
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
