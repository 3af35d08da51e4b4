"""Checks an environment: its scripts solve its tasks, and nothing that must not be rewarded is."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, play
from agent.model_config import ScriptedSolution
from agent.models.scripted import Scripted
from agent.types import AgentAction, Answer, Pictures, Policy, Split, Step, Task, Turn
from browser_service.client import BrowserPool
from browser_service.models import Observation, Observe
from environments.base import SEEDS, SeededEnvironment, Unsolvable
from environments.tasks.application import ApplicationEnvironment

ATTEMPTS = 2
"""Plays of an episode that something outside the task breaks."""


class Constant:
    """A policy that always does the same. Implements `agent.types.Policy`."""

    def __init__(self, action: AgentAction) -> None:
        self._action = action

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """The action."""
        return Turn(completion=None, action=self._action)


class Misled:
    """A policy that solves another task. Implements `agent.types.Policy`."""

    def __init__(self, environment: SeededEnvironment, other: Task) -> None:
        self._environment, self._other = environment, other

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """The other task's next action; it gives up where its script does not know the page."""
        try:
            action = self._environment.solve(self._other, self._other.goal, observation, step=len(history))
        except Unsolvable:
            action = Answer(text="done")
        return Turn(completion=None, action=action)


class Checked(NamedTuple):
    """The rewards of one task. Example: `Checked("add-to-cart.7", 1.0, 0.0, 0.0, 0.0, "")`."""

    task: str
    solved: float | None
    """By the script."""
    nothing: float | None
    """By doing nothing."""
    claimed: float | None
    """By claiming success at once."""
    misled: float | None
    """By the script of another task of the family; 0 if there is none."""
    reason: str
    """The verifier's reason for the script's reward; if an episode broke, its failure."""

    @property
    def is_sound(self) -> bool:
        """True if the script is rewarded, and nothing else is."""
        return self.solved == 1.0 and self.nothing == self.claimed == self.misled == 0.0


def tasks_of(environment: SeededEnvironment, per_family: int, families: Sequence[str] = ()) -> list[Task]:
    """The first tasks of each family, or of the named ones, in its split. Raises `UnknownTask`."""
    splits: tuple[Split, ...] = ("train", "heldout")
    if unknown := set(families) - set(environment.domains()):
        environment.task_from_id(f"{min(unknown)}.0")
    seen: set[str] = set()
    tasks = []
    for split in splits:
        for family in environment.domains(split):
            if family not in seen and (not families or family in families):
                seen.add(family)
                first = SEEDS[split].start
                tasks += [environment.task(family, first + number, split) for number in range(per_family)]
    return tasks


async def check_tasks(
    environment: SeededEnvironment,
    tasks: Sequence[Task],
    *,
    browsers: str,
    at_once: int,
    tell: Callable[[Checked], None],
) -> list[Checked]:
    """Plays every task four times, `at_once` of them at the same time; `tell` gets each when it is done.

    Raises what the environment and the browser service raise when they can't be used.
    """
    room = asyncio.Semaphore(at_once)
    async with environment, BrowserPool(browsers) as pool:

        async def check(task: Task) -> Checked:
            async with room:
                short = task.model_copy(update={"max_steps": 1})
                plays: list[tuple[Task, Policy]] = [
                    (task, Scripted(environment.solve)),
                    (short, Constant(Observe())),
                    (task, Constant(Answer(text="The task is done."))),
                ]
                other = environment.misplay(task) if isinstance(environment, ApplicationEnvironment) else None
                if other is not None:
                    plays.append((task, Misled(environment, other)))
                found = [await _reward(environment, played, policy, pool) for played, policy in plays]
            rewards = [reward for reward, _ in found] + ([] if other is not None else [0.0])
            broken = [reason for reward, reason in found if reward is None]
            checked = Checked(task.id, *rewards, "; ".join(broken) or found[0][1])
            tell(checked)
            return checked

        return await asyncio.gather(*(check(task) for task in tasks))


async def _reward(
    environment: SeededEnvironment, task: Task, policy: Policy, pool: BrowserPool
) -> tuple[float | None, str]:
    """Reward and reason of one episode. One that breaks is played again, as in a rollout."""
    for _ in range(ATTEMPTS - 1):
        reward, reason = await _played(environment, task, policy, pool)
        if reward is not None:
            return reward, reason
    return await _played(environment, task, policy, pool)


async def _played(
    environment: SeededEnvironment, task: Task, policy: Policy, pool: BrowserPool
) -> tuple[float | None, str]:
    played = await play(
        EpisodeKey(task, f"check-{task.id}", group=task.id, member=0, iteration=0),
        EpisodeSetup(
            policy=policy,
            pool=pool,
            serve=environment.serve,
            viewport=environment.viewport,
            config=AgentConfig(model=ScriptedSolution(), interaction_mode="set_of_marks", draw_marks=False),
        ),
    )
    trajectory = played.trajectory
    verdict = await environment.check(trajectory, trajectory.final_state)
    failure = trajectory.failure
    return verdict.reward, verdict.evidence if failure is None else f"{failure.side} failed: {failure.message}"
