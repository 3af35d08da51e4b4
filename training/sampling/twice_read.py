"""Trajectories that are read twice, so that an update never holds all of them: to form groups, and to make their samples.

    first   store ──> group, reward, penalties; the steps are dropped      until all groups are known
    then    store ──> the tokens of one trajectory after another           only of groups with a signal

A parsed step has some 20 kB and more, mostly numbers and the elements of its page; its sample has the tokens alone. Step credit
(GiGPO) compares the pages of a group's steps, and keeps them.
"""

from collections.abc import Iterator

from agent.types import Trajectory
from storage.store import CorruptTrajectory, TrajectoryStore


class TwiceRead:
    """The trajectories of one or several stages."""

    def __init__(self, *, keeps_steps: bool) -> None:
        """`keeps_steps`: nothing is dropped, and nothing read again."""
        self._keeps_steps = keeps_steps
        self._stores: dict[str, TrajectoryStore] = {}

    def first(self, store: TrajectoryStore) -> Iterator[Trajectory]:
        """All trajectories of a stage. Raises `CorruptTrajectory`."""
        for trajectory in store:
            self._stores[trajectory.id] = store
            yield trajectory

    def lean(self, trajectory: Trajectory) -> Trajectory:
        """The trajectory without its steps, which stays in memory until all groups are known."""
        if self._keeps_steps:
            return trajectory
        return trajectory.model_copy(update={"steps": (), "final_observation": None, "final_state": None})

    def again(self, trajectory: Trajectory) -> Trajectory:
        """The whole trajectory. Raises `CorruptTrajectory`, also for one that was deleted since."""
        if self._keeps_steps:
            return trajectory
        try:
            return self._stores[trajectory.id].read(trajectory.id)
        except FileNotFoundError as error:
            raise CorruptTrajectory(f"trajectory {trajectory.id} was deleted while the update read it") from error
