"""Makes policies/tiny, the small Qwen3-VL that the demo improves, from scratch: `python -m scripts.make_tiny_policy`.

    words of MiniWoB++ -> tokenizer -> random weights
      -> supervised on synthetic pages (it learns to read)
      -> supervised on imperfect demonstrations from real pages (it learns to act, with room for improvement)

A demonstration does the right thing with probability 0.4 and otherwise clicks at random: the policy that imitates it is
about half right, and reinforcement learning can improve it. Takes about ten minutes on two cores.
"""

import argparse
import asyncio
import importlib.resources
import logging
import random
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played, play
from agent.models.random import Random
from agent.models.scripted import Scripted
from agent.prompting.prompts import compose
from agent.prompting.wording import render
from agent.types import Pictures, Policy, Step, Task, Turn
from browser_service.client import BrowserPool
from browser_service.models import Observation
from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.base import Unsolvable
from environments.miniwob import MiniWob
from environments.sampling import sample_tasks
from environments.web import serving
from scripts.synthetic_pages import batches, demonstration
from training.tiny_policy import build
from training.warm_start import Demonstration, warm_start

log = logging.getLogger("make_tiny_policy")

WARM_DOMAINS = (
    "click-button",
    "click-link",
    "click-dialog-2",
    "click-tab",
    "click-option",
    "click-widget",
    "focus-text-2",
)
"""Families in the demonstrations. The demo's other families are left to reinforcement learning."""
AGENT = AgentConfig(prompt="compact", star_named=True, draw_marks=False, image_format="png")
EXTRA_WORDS = ("ok", "okay", "yes", "no", "cancel", "submit", "next", "previous", "close", "one", "two", "tab", "menu")
BATCH = 48


class Imperfect:
    """Takes the right action with probability `right`, otherwise clicks at random."""

    def __init__(self, expert: Policy, *, right: float, seed: int) -> None:
        self._expert, self._anywhere, self._right = expert, Random(seed), right
        self._seed = seed

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """Returns one turn of the expert or of the random policy."""
        rng = random.Random(f"{self._seed}/{task.id}/{len(history)}/which")
        if rng.random() < self._right:
            with suppress(Unsolvable):  # an earlier wrong click may have closed the only way
                return await self._expert.act(task, goal, history, observation, pictures)
        return await self._anywhere.act(task, goal, history, observation, pictures)


def main() -> None:
    """Parses the command line and makes the policy."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("policies/tiny"), help="directory to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reading-steps", type=int, default=800, help="batches of made-up pages")
    parser.add_argument("--episodes", type=int, default=1_500, help="demonstrated episodes")
    parser.add_argument("--acting-steps", type=int, default=250, help="batches of demonstrations")
    parser.add_argument(
        "--right", type=float, default=0.4, help="probability that a demonstration does the right thing"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    words = vocabulary()
    with tempfile.TemporaryDirectory() as scratch:
        raw, reader = Path(scratch, "raw"), Path(scratch, "reader")
        parameters = build(raw, texts=tokenizer_texts(words, options.seed), seed=options.seed)
        log.info("a policy of %.2f M parameters", parameters / 1e6)
        pages = batches(words, BATCH, options.seed)
        warm_start(raw, reader, pages, steps=options.reading_steps, learning_rate=1.5e-3, warmup_steps=50)
        shown = asyncio.run(demonstrate(options.episodes, right=options.right, seed=options.seed))
        log.info("%d demonstrated actions", len(shown))
        drawn = draw(shown, options.seed)
        warm_start(reader, options.out, drawn, steps=options.acting_steps, learning_rate=5e-4, warmup_steps=20)
    log.info("written to %s", options.out)


def vocabulary() -> list[str]:
    """The words of MiniWoB++'s pages."""
    script = importlib.resources.files("miniwob").joinpath("html/common/ui_utils.js").read_text()

    def listed(name: str) -> list[str]:
        found = re.search(name + r"\s*=\s*\[(.*?)\];", script, re.DOTALL)
        if found is None:
            raise ValueError(
                f"the package miniwob has no list {name} in ui_utils.js; use the version of constraints.txt"
            )
        return re.findall(r"""["']([^"']+)["']""", found[1])

    words = {word.strip(",.") for word in listed("ui_utils.lorem_words")}
    return sorted(words | set(listed("ui_utils.FIFTY_NAMES")) | set(EXTRA_WORDS))


def tokenizer_texts(words: Sequence[str], seed: int) -> Iterator[str]:
    """Training texts of the tokenizer: synthetic pages with their replies, and every word several times."""
    rng = random.Random(seed)
    for _ in range(20_000):
        page = demonstration(words, rng)
        yield f"user\n{page.messages[0]['content'][-1]['text']}\nassistant\n{page.reply}"
    yield from (form for word in words for form in (word, word.capitalize()) for _ in range(3))


async def demonstrate(episodes: int, *, right: float, seed: int, at_once: int = 6) -> list[Demonstration]:
    """Plays episodes of the warm families in real browsers and returns every turn as a demonstration."""
    settings = Settings(slots=at_once)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(running_service(settings))
        url = await stack.enter_async_context(serving(create_app(settings, service), host="127.0.0.1", port=0))
        client = await stack.enter_async_context(BrowserPool(url))
        site = await stack.enter_async_context(MiniWob())
        policy = Imperfect(Scripted(site.solve), right=right, seed=seed)
        gate, shown = asyncio.Semaphore(at_once), list[Demonstration]()
        played_count = 0

        async def one(task: Task) -> None:
            async with gate:
                slot = EpisodeKey(task, f"d-{task.id}", group=task.id, member=0, iteration=0)
                played = await play(
                    slot,
                    EpisodeSetup(
                        policy=policy,
                        pool=client,
                        serve=site.serve,
                        viewport=site.viewport,
                        config=AGENT,
                        reuse=site.name,
                    ),
                )
                shown.extend(turns(played))
                nonlocal played_count
                played_count += 1
                if played_count % 50 == 0:
                    log.info("%d of %d episodes", played_count, episodes)

        # The seeds of an iteration that no loop reaches: demonstrations share no page with training.
        tasks = sample_tasks(site, WARM_DOMAINS, split="train", count=episodes, seed=seed, iteration=999)
        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(one(task))
    return shown


def turns(played: Played) -> Iterator[Demonstration]:
    """The prompt and the reply of each turn of an episode that did not fail."""
    trajectory = played.trajectory
    if trajectory.failure is not None:
        log.warning("%s: %s", trajectory.id, trajectory.failure.message)
        return
    for step in trajectory.steps:
        shot = step.observation.screenshot
        if shot is None or step.action is None:
            continue
        page = step.observation.model_copy(update={"screenshot": shot.model_copy(update={"data": ""})})
        prompt = compose(trajectory.goal, trajectory.steps[: step.index], page, AGENT).messages
        yield Demonstration(messages=prompt, reply=render(step.action), images=(played.images[shot.sha256],))


def draw(shown: Sequence[Demonstration], seed: int) -> Iterator[list[Demonstration]]:
    """Yields batches of demonstrations endlessly, in a new order for each epoch."""
    rng = random.Random(seed)
    while True:
        order = rng.sample(range(len(shown)), len(shown))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            yield [shown[index] for index in order[start : start + BATCH]]


if __name__ == "__main__":
    main()
