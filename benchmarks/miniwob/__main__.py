"""How hard each MiniWoB++ family is: success of random clicks, and actions that its script needs.

python -m benchmarks.miniwob                           # all families, 20 tasks each: about 15 minutes on 2 cores
python -m benchmarks.miniwob --kept measured.jsonl     # in turns: what the file has is not measured again
python -m benchmarks.miniwob click-tab --tasks 40
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, play
from agent.model_config import ScriptedSolution
from agent.models.random import Random
from agent.models.scripted import Scripted
from agent.types import Policy, Task
from browser_service.client import BrowserPool
from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.base import SEEDS
from environments.miniwob import MiniWob
from environments.miniwob.families import FAMILIES
from environments.web import serving


class Played(NamedTuple):
    """One judged episode. Example: `Played(reward=1.0, actions=2)`."""

    reward: float
    actions: int


class Measured(NamedTuple):
    """Episodes of one family, on the same tasks."""

    family: str
    script: Sequence[Played]
    random: Sequence[Played]

    @property
    def row(self) -> str:
        """One row of the table."""
        needed = [played.actions for played in self.script if played.reward == 1]
        actions = f"{mean(needed):.1f} ({max(needed)})" if needed else "-"
        family = FAMILIES[self.family]
        rewards = [
            f"{100 * mean(one.reward for one in played):.0f} %" if played else "-"
            for played in (self.script, self.random)
        ]
        return (
            f"| `{self.family}` | {family.difficulty} | {family.max_steps} | {actions} | {rewards[0]} | {rewards[1]} |"
        )


class Bench:
    """Plays tasks in browsers, some at once."""

    def __init__(self, environment: MiniWob, pool: BrowserPool, at_once: int) -> None:
        self._environment, self._pool = environment, pool
        self._room = asyncio.Semaphore(at_once)

    async def measure(self, family: str, tasks: int) -> Measured:
        """Plays a family's first training tasks by its script and by random clicks within its step budget."""
        first = SEEDS["train"].start
        drawn = [self._environment.task(family, first + number, "train") for number in range(tasks)]
        script = await self._play(drawn, Scripted(self._environment.solve))
        return Measured(family, script, await self._play(drawn, Random(0)))

    async def _play(self, tasks: Sequence[Task], policy: Policy) -> list[Played]:
        found = await asyncio.gather(*(self._one(task, policy) for task in tasks))
        return [played for played in found if played is not None]

    async def _one(self, task: Task, policy: Policy) -> Played | None:
        """None for an episode that the infrastructure broke."""
        async with self._room:
            played = await play(
                EpisodeKey(task, f"d-{task.id}", group=task.id, member=0, iteration=0),
                EpisodeSetup(
                    policy=policy,
                    pool=self._pool,
                    serve=self._environment.serve,
                    viewport=self._environment.viewport,
                    config=AgentConfig(model=ScriptedSolution(), interaction_mode="set_of_marks", draw_marks=False),
                ),
            )
        trajectory = played.trajectory
        verdict = await self._environment.check(trajectory, trajectory.final_state)
        return None if verdict.reward is None else Played(verdict.reward, len(trajectory.steps))


def by_class(measured: Sequence[Measured]) -> list[str]:
    """Rows of the table by the difficulty that the families are given."""
    rows = []
    for difficulty in sorted({FAMILIES[one.family].difficulty for one in measured}):
        chosen = [one for one in measured if FAMILIES[one.family].difficulty == difficulty]
        script = [played.actions for one in chosen for played in one.script if played.reward == 1]
        rewards = [played.reward for one in chosen for played in one.random]
        rows.append(
            f"| {difficulty} | {len(chosen)} | {mean(script or [0]):.1f} | {100 * mean(rewards or [0]):.1f} % |"
        )
    return rows


def read(kept: Path | None) -> dict[str, Measured]:
    """The families that the file has, by name."""
    if kept is None or not kept.exists():
        return {}
    found = {}
    for line in kept.read_text().splitlines():
        row = json.loads(line)
        played = {name: [Played(*one) for one in row[name]] for name in ("script", "random")}
        found[row["family"]] = Measured(row["family"], played["script"], played["random"])
    return found


async def measure(families: Sequence[str], tasks: int, at_once: int, kept: Path | None) -> dict[str, Measured]:
    """Measures families one after another, and keeps each as soon as it is measured."""
    measured = read(kept)
    settings = Settings(slots=at_once, egress_sites=("127.0.0.1:*",))
    async with (
        running_service(settings) as service,
        serving(create_app(settings, service)) as url,
        MiniWob() as environment,
        BrowserPool(url) as pool,
    ):
        bench = Bench(environment, pool, at_once)
        for family in families:
            if family not in measured:
                found = measured[family] = await bench.measure(family, tasks)
                if kept is not None:
                    line = json.dumps({"family": family, "script": found.script, "random": found.random})
                    await asyncio.to_thread(append, kept, f"{line}\n")
    return {family: measured[family] for family in families}


def append(path: Path, text: str) -> None:
    """Adds text to a file."""
    with path.open("a") as file:
        file.write(text)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", choices=[[], *FAMILIES], help="by default all")
    parser.add_argument("--tasks", type=int, default=20, help="tasks of each family")
    parser.add_argument("--at-once", type=int, default=4, help="browsers")
    parser.add_argument("--kept", type=Path, help="file of JSON lines: what is in it is not measured again")
    given = parser.parse_args()
    families = given.families or list(FAMILIES)
    measured = asyncio.run(measure(families, given.tasks, given.at_once, given.kept)).values()
    print("| family | difficulty | budget | actions of the script, mean (most) | script | random clicks |")
    print("|---|---|---|---|---|---|")
    print("\n".join(one.row for one in measured))
    print("\n| difficulty | families | actions of the script | random clicks |\n|---|---|---|---|")
    print("\n".join(by_class(list(measured))))


if __name__ == "__main__":
    main()
