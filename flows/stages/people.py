"""People's verdicts on the trajectories of a run: where they are kept, and what they still change."""

from pathlib import Path
from typing import NamedTuple

from flows.settings.hints import on_run
from flows.settings.run_folder import RunFolder
from storage.errors import LoopError
from storage.human_verdicts import HUMAN
from storage.stages import Stage, StageKey
from storage.store import TrajectoryStore


class Place(NamedTuple):
    """The stage whose verdicts decide about a trajectory. Example: `Place(StageKey(3, Stage.JUDGE), ..)`."""

    key: StageKey
    directory: Path
    """The folder of the stage's verdicts."""

    @property
    def file(self) -> Path:
        """The file of people's verdicts."""
        return self.directory / HUMAN


def place_of(folder: RunFolder, trajectory_id: str) -> Place:
    """The place of a stored trajectory's verdicts. Raises `LoopError` if the run has no such trajectory."""
    stored = {Stage.ROLLOUT: Stage.JUDGE, Stage.EVALUATE: Stage.EVALUATE}
    for iteration in range(folder.config.iterations + 1):
        for stage, judged in stored.items():
            directory = folder.stage_dir(iteration, stage)
            if directory.is_dir() and trajectory_id in TrajectoryStore(directory).ids():
                return Place(StageKey(iteration, judged), folder.stage_dir(iteration, judged))
    raise LoopError(
        f"run {folder.name} has no trajectory {trajectory_id[:200]!r}; the monitor and the dashboard show the ids"
    )


def effect_of(folder: RunFolder, place: Place) -> str:
    """A sentence about what a person's verdict at this place still changes."""
    iteration = place.key.iteration
    if not folder.is_done(*place.key):
        return f"{place.key} is not finished and will use it"
    if place.key.stage is Stage.JUDGE and not folder.is_done(iteration, Stage.POLICY_UPDATE):
        return f"the policy update of iteration {iteration} will use it; the success rate of {place.key} stays as it is"
    again = on_run("rejudge", folder.root, "--set", "NAME")
    return f"{place.key} is finished and stays as it is; {again} uses it"
