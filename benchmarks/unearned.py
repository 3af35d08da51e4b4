"""Rewards that nobody earned: success of a random policy, of one that does nothing, and of one that claims success.

python -m benchmarks.unearned shop misago
"""

import argparse
import asyncio
from collections.abc import Sequence

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, play
from agent.models.random import Random
from agent.types import Answer, Policy, Task
from browser_service.client import BrowserPool
from browser_service.models import Observe
from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.base import SeededEnvironment
from environments.bundled import KNOWN, application_environment
from environments.web import serving
from flows.environment_tools.check import Constant, tasks_of

MOST_STEPS = 12
"""Steps of the random policy: a longer walk takes longer and earns no more."""


async def successes(
    environment: SeededEnvironment, tasks: Sequence[Task], policy: Policy, pool: BrowserPool, at_once: int
) -> tuple[int, int]:
    """Episodes with a reward above 0, and judged episodes."""
    room = asyncio.Semaphore(at_once)

    async def one(task: Task) -> float | None:
        async with room:
            played = await play(
                EpisodeKey(task, f"e-{task.id}", group=task.id, member=0, iteration=0),
                EpisodeSetup(
                    policy=policy,
                    pool=pool,
                    serve=environment.serve,
                    viewport=environment.viewport,
                    config=AgentConfig(interaction_mode="set_of_marks", draw_marks=False),
                ),
            )
        trajectory = played.trajectory
        return (await environment.check(trajectory, trajectory.final_state)).reward

    rewards = [reward for reward in await asyncio.gather(*(one(task) for task in tasks)) if reward is not None]
    return sum(reward > 0 for reward in rewards), len(rewards)


async def measure(name: str, per_family: int, at_once: int) -> dict[str, tuple[int, int]]:
    """Successes and judged episodes of each policy."""
    environment, settings = application_environment(name), Settings(slots=at_once, egress_sites=("127.0.0.1:*",))
    tasks = tasks_of(environment, per_family)
    once = [task.model_copy(update={"max_steps": 1}) for task in tasks]
    some = [task.model_copy(update={"max_steps": min(task.max_steps, MOST_STEPS)}) for task in tasks]
    async with (
        running_service(settings) as service,
        serving(create_app(settings, service)) as url,
        environment,
        BrowserPool(url) as pool,
    ):
        claim = Constant(Answer(text="The task is done."))
        return {
            "does nothing": await successes(environment, once, Constant(Observe()), pool, at_once),
            "claims success": await successes(environment, once, claim, pool, at_once),
            "random clicks": await successes(environment, some, Random(0), pool, at_once),
        }


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("applications", nargs="+", choices=sorted(KNOWN))
    parser.add_argument("--tasks", type=int, default=3, help="tasks of each family")
    parser.add_argument("--at-once", type=int, default=2, help="browsers")
    given = parser.parse_args()
    print("| application | policy | episodes | rewarded |\n|---|---|---|---|")
    for name in given.applications:
        for policy, (won, judged) in asyncio.run(measure(name, given.tasks, given.at_once)).items():
            print(f"| {name} | {policy} | {judged} | {won} ({100 * won / max(1, judged):.1f} %) |")


if __name__ == "__main__":
    main()
