"""Plays the scripted solution of every template of an installed application and keeps the changes that it made.

The tests of the checks read the file, so that they need no installation: python -m scripts.record_changes misago
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, play
from agent.model_config import ScriptedSolution
from agent.models.scripted import Scripted
from agent.types import Task
from browser_service.client import BrowserPool
from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.applications.installed import INSTALLED
from environments.web import serving
from flows.environment_tools.check import tasks_of

FOLDER = Path(__file__).parents[1] / "tests" / "environments" / "recorded"
AT_ONCE = 3
LONGEST = 200
"""Characters of a change that are shown."""


async def record(name: str, families: list[str]) -> list[dict[str, Any]]:
    """Task, answer and changes of the first task of each family, as JSON; without those that got no reward."""
    environment = INSTALLED[name].make()
    settings, room = Settings(slots=AT_ONCE, egress_sites=("127.0.0.1:*",)), asyncio.Semaphore(AT_ONCE)
    async with (
        running_service(settings) as service,
        serving(create_app(settings, service)) as url,
        environment,
        BrowserPool(url) as pool,
    ):

        async def one(task: Task) -> dict[str, Any]:
            async with room:
                played = await play(
                    EpisodeKey(task, f"record-{task.id}", group=task.id, member=0, iteration=0),
                    EpisodeSetup(
                        policy=Scripted(environment.solve),
                        pool=pool,
                        serve=environment.serve,
                        viewport=environment.viewport,
                        config=AgentConfig(model=ScriptedSolution(), interaction_mode="set_of_marks", draw_marks=False),
                    ),
                )
            found = played.trajectory
            verdict = await environment.check(found, found.final_state)
            why = "" if verdict.reward == 1 else f" {found.failure or verdict.evidence}"
            sys.stdout.write(f"{task.id} {verdict.reward}{why}\n")
            for change in found.final_state.get("changes", []) if why else []:
                sys.stdout.write(f"    {str(change)[:LONGEST]}\n")
            row = {"task": task.id, "answer": found.answer or "", "changes": found.final_state.get("changes")}
            return row if verdict.reward == 1 else {}

        rows = await asyncio.gather(*(one(task) for task in tasks_of(environment, 1, families)))
        return [row for row in rows if row]


def main() -> None:
    """Writes the file of an application."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("application", choices=sorted(INSTALLED))
    parser.add_argument("families", nargs="*", help="only these; by default all")
    given = parser.parse_args()
    rows = asyncio.run(record(given.application, given.families))
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{given.application}.json"
    kept = {row["task"]: row for row in json.loads(path.read_text())} if path.exists() and given.families else {}
    kept |= {row["task"]: row for row in rows}
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in kept.values()) + "\n]\n")


if __name__ == "__main__":
    main()
