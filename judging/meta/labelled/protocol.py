"""The result of reading a labelled set: trajectories with a person's verdict, and the rows that it can't use."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from agent.types import Trajectory
from agent.verdict import Verdict

HUMAN = "human"
"""Judge of a label without an annotator's name."""


class Problem(NamedTuple):
    """A row that can't be used, or a part of one. Example: `Problem("annotations.csv", "row 7", "no trajectory_success")`."""

    file: str
    """Path below the set's folder."""
    row: str
    """Row of a table or step of a trajectory; empty for the whole file."""
    reason: str

    def __str__(self) -> str:
        return f"{self.file}{', ' if self.row else ''}{self.row}: {self.reason}"


class Example(NamedTuple):
    """One trajectory of a labelled set, with the bytes of its screenshots by sha256."""

    trajectory: Trajectory
    pictures: dict[str, bytes]


class LabelledSet(NamedTuple):
    """A labelled set: its labels are read, its trajectories are read one at a time."""

    labels: list[Verdict]
    """One per trajectory; `reward=None` where the annotators could not decide."""
    problems: list[Problem]
    """Rows of the tables of labels that can't be used."""
    examples: Callable[[Collection[str]], Iterator[Example | Problem]]
    """Reads the trajectories that have a label, but for those with these ids."""


class BadSet(ValueError):
    """A folder that is no labelled set of the format. The message says what is missing, and what to do."""


Read = Callable[[Path], LabelledSet]
"""Reads a folder. Raises `BadSet`."""
