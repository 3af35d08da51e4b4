"""Protocols of the store that keeps an episode while it is played; `storage.store` implements them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from agent.config import RecordConfig
from agent.types import Step, Trajectory
from agent.verdict import Verdict


class Recording(Protocol):
    """An episode that is being played: each finished step is written at once, so that it can be viewed meanwhile."""

    bytes: int
    """Bytes of its pictures so far."""

    def add(self, step: Step, images: Mapping[str, bytes]) -> None:
        """Stores a step and its new pictures, encoded, by sha256. Blocks: call it in a thread."""
        ...

    def partial(self) -> Path:
        """A temporary path for a recording until it is complete; `add_file` renames it."""
        ...

    def add_file(self, partial: Path, name: str) -> int:
        """Stores a complete recording under its name; returns its size in bytes. Blocks like `add`."""
        ...


class EpisodeStore(Protocol):
    """Keeps the episodes of an environment that another program plays (`agent.gym.environment`)."""

    def begin(self, trajectory_id: str) -> Recording:
        """Begins an episode: removes the steps and recordings of an earlier attempt."""
        ...

    def write(self, trajectory: Trajectory, images: Mapping[str, bytes]) -> None:
        """Stores a complete trajectory and its pictures. Raises OSError when the disk is full."""
        ...

    def forget(self, trajectory_id: str) -> None:
        """Deletes an episode, finished or not."""
        ...

    def keep_by_rule(self, rules: RecordConfig, trajectory: Trajectory, verdict: Verdict) -> None:
        """Removes the recordings of a judged trajectory that the rules do not keep."""
        ...
