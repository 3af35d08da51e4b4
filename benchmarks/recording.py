"""Cost of films and traces per episode: the same MiniWoB++ tasks with each rule in turn, so under the same load.

python -m benchmarks.recording
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from agent.config import AgentConfig, RecordConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, play
from agent.types import Pictures, Step, Task, Turn
from browser_service.client import BrowserPool
from browser_service.models import Observation
from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.miniwob import MiniWob
from environments.web import serving
from storage.store import TrajectoryStore

RULES = {
    "off": RecordConfig(),
    "video": RecordConfig(video="all"),
    "trace": RecordConfig(trace="all"),
    "both": RecordConfig(video="all", trace="all"),
}
EPISODES, WARM_UP = 24, 2


class Solves:
    """Plays the scripted solutions, without a model's time."""

    def __init__(self, world: MiniWob) -> None:
        self._world = world

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """The solution's next action."""
        return Turn(completion=None, action=self._world.solve(task, goal, observation, step=len(history)))


async def measure(store: TrajectoryStore) -> dict[str, list[tuple[float, int]]]:
    """Seconds and recorded bytes of each episode, by rule."""
    settings, found = Settings(slots=1), {name: list[tuple[float, int]]() for name in RULES}
    async with (
        running_service(settings) as service,
        serving(create_app(settings, service)) as url,
        MiniWob() as world,
        BrowserPool(url) as pool,
    ):
        for number in range(EPISODES + WARM_UP):
            for name, rules in RULES.items():
                slot = EpisodeKey(world.task("enter-text", number, "train"), "e", group="g", member=0, iteration=1)
                began = time.monotonic()
                played = await play(
                    slot,
                    EpisodeSetup(
                        policy=Solves(world),
                        pool=pool,
                        serve=world.serve,
                        viewport=world.viewport,
                        config=AgentConfig(record=rules),
                        reuse="benchmark",
                    ),
                    recording=store.begin("e"),
                )
                seconds, recorded = time.monotonic() - began, played.trajectory.recorded
                if played.trajectory.failure or any(one.problem for one in recorded):
                    raise SystemExit(f"an episode of {name} was not as it should be: {played.trajectory}")
                if number >= WARM_UP:
                    found[name].append((seconds, sum(one.size for one in recorded)))
    return found


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(TrajectoryStore(Path(folder))))
    off = statistics.median(seconds for seconds, _ in found["off"])
    print("rule    median s   ratio   KB per episode")
    for name, episodes in found.items():
        median = statistics.median(seconds for seconds, _ in episodes)
        size = statistics.fmean(size for _, size in episodes) / 1_000
        print(f"{name:6} {median:9.3f} {median / off:7.2f} {size:16.1f}")


if __name__ == "__main__":
    main()
