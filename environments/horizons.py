"""Step budget of a task: its own, one by difficulty, and a limit that grows over the iterations.

WebGym's is `by_difficulty: {1-3: 10, 4-6: 20, 7-: 30}` with `heldout_by_difficulty: {1-3: 30, 4-6: 50, 7-: 70}`. Short
horizons first made training both cheaper and better there.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent.types import Task
from environments.bands import Name, band_of, check_apart

Steps = Annotated[int, Field(ge=1, le=1_000)]


class HorizonConfig(BaseModel):
    """Section `environment.horizon`. By default each task keeps its own `max_steps`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    by_difficulty: dict[Name, Steps] = {}
    """Steps of a training task, by band of difficulty. A difficulty in no band keeps the task's own."""
    heldout_by_difficulty: dict[Name, Steps] = {}
    """Steps of an evaluation task, by band of difficulty."""
    curriculum: dict[Annotated[int, Field(ge=0)], Steps] = {}
    """Largest number of steps in training from an iteration on. Example: `{1: 10, 20: 20, 40: 30}`."""

    @model_validator(mode="after")
    def _bands_are_apart(self) -> Self:
        check_apart(self.by_difficulty)
        check_apart(self.heldout_by_difficulty)
        return self


def with_horizon(task: Task, config: HorizonConfig, *, iteration: int) -> Task:
    """Returns the task with its step budget in an iteration; held-out tasks have no curriculum."""
    bands = config.by_difficulty if task.split == "train" else config.heldout_by_difficulty
    band = band_of(task.difficulty, bands)
    steps = task.max_steps if band is None else bands[band]
    begun = [start for start in config.curriculum if start <= iteration]
    if task.split == "train" and begun:
        steps = min(steps, config.curriculum[max(begun)])
    return task if steps == task.max_steps else task.model_copy(update={"max_steps": steps})
