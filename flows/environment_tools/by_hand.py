"""A task of an environment for a person: its address, and the check's answer whenever something changed."""

import asyncio
from collections.abc import Callable

from agent.failures import EpisodeFailure
from agent.types import StopReason, Task, Trajectory
from environments.base import SeededEnvironment
from storage.errors import LoopError

LOOK_EVERY_S = 1.0


async def play_by_hand(
    environment: SeededEnvironment, task: Task, *, answer: str, seconds: float, tell: Callable[[str], None]
) -> None:
    """Serves the task until the time is over or the program is interrupted. Raises `LoopError`."""
    try:
        async with environment, environment.serve(task, trajectory_id="by-hand") as site:
            tell(f"goal: {task.goal or 'on the page'}\nopen: {site.start_url}")
            for cookie in site.login.cookies if site.login else ():
                tell(f"signed in with the cookie {cookie.name}={cookie.value} for the path {cookie.path}")
            told = ""
            until = asyncio.get_running_loop().time() + seconds
            while asyncio.get_running_loop().time() < until:
                state = await site.final_state()
                verdict = await environment.check(_so_far(task, answer, state), state)
                if (line := f"reward {verdict.reward}: {verdict.evidence}") != told:
                    tell(line)
                    told = line
                await asyncio.sleep(LOOK_EVERY_S)
    except EpisodeFailure as error:
        raise LoopError(str(error)) from error


def _so_far(task: Task, answer: str, state: dict[str, object]) -> Trajectory:
    return Trajectory(
        id="by-hand",
        task=task,
        goal=task.goal,
        group="by-hand",
        member=0,
        iteration=0,
        steps=(),
        stop=StopReason.ANSWERED,
        answer=answer or None,
        final_state=state,
    )
