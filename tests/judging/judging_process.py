"""A process that judges episodes by a panel of two models, again until all are judged. The tests kill it."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from judged_episodes import Episodes

from agent.types import Trajectory
from agent.verdict import Verdict
from judging.config import JudgeConfig
from judging.in_order import in_order
from judging.opening import open_judges
from storage.verdicts import write_verdicts

MODELS = ("m-cheap", "m-strong")
CONCURRENCY = 4
PASSES = 40
"""Most times that the unjudged are tried again."""


def config_at(url: str) -> JudgeConfig:
    """A cheap judge and a strong one, each with four calls at once of at most a second."""
    own = {"base_url": url, "deadline_s": 1.0, "concurrency": CONCURRENCY}
    models = {name.removeprefix("m-"): own | {"model": name} for name in MODELS}
    panel = {"rule": "escalate", "members": list(models)}
    return JudgeConfig.model_validate({"chain": ["panel"], "models": models, "panel": panel})


def judge(folder: Path, url: str, count: int) -> None:
    """Judges `count` episodes; ends with status 0 when `folder` has a verdict of each, with 3 after `PASSES`."""
    sys.exit(asyncio.run(_judge(folder, url, count)))


async def _judge(folder: Path, url: str, count: int) -> int:
    episodes, config = Episodes(), config_at(url)
    many = [episodes.episode(name=f"t.1-m{n}", answer=f"The lamp {n} costs 42 EUR.") for n in range(count)]

    async def nobody(one: Trajectory, _: dict[str, Any]) -> Verdict:
        raise AssertionError("the chain has no verifier")

    for _ in range(PASSES):
        async with open_judges(config, nobody, episodes.read, folder) as judge:
            done = [one async for _, one in in_order(many, judge.judge, at_once=config.trajectories_at_once)]
        if all(verdict.reward is not None for verdict in done):
            write_verdicts(folder, done)
            return 0
    return 3
