"""The form of `trajectory.json`: a line per step, and a last line with everything else, all of it one JSON value.

    {"steps":[
    {"index":0, ..},
    {"index":1, ..}
    ],"id":"i0001-click-test.7-m00", ..}

So a reader finds one of 500 steps without parsing the others. Files of earlier versions are one line.
"""

import mmap
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.types import Trajectory

FIRST_LINE = b'{"steps":[\n'
"""A file of this form begins with it."""


class StepLines:
    """The parts of an open file of this form, as JSON."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._last = data.rfind(b"\n")
        """The newline after the last step."""

    def __iter__(self) -> Iterator[bytes]:
        """Each step. A newline in a JSON string is escaped, so every newline ends a step."""
        return (self._data[begin:end] for begin, end in self.places())

    def places(self) -> Iterator[tuple[int, int]]:
        """Begin and end of each step in the file."""
        begin = len(FIRST_LINE)
        while begin < self._last:
            end = self._data.find(b"\n", begin)
            yield begin, end - (end < self._last)  # without the comma
            begin = end + 1

    def with_steps(self, *places: tuple[int, int]) -> bytes:
        """The trajectory with the steps at these places alone."""
        steps = b",".join(self._data[begin:end] for begin, end in places)
        return b'{"steps":[' + steps + self._data[self._last + 1 :]


def by_lines(trajectory: Trajectory) -> bytes:
    """A trajectory in this form."""
    steps = b",\n".join(step.model_dump_json().encode() for step in trajectory.steps)
    rest = trajectory.model_dump_json(exclude={"steps"}).encode()
    return FIRST_LINE + steps + b"\n]," + rest.removeprefix(b"{")


@contextmanager
def step_lines(path: Path) -> Generator[StepLines | None]:
    """A trajectory's file, without reading it whole; None if there is none or it has another form."""
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
            yield StepLines(data)
