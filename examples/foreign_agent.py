"""An agent from outside this project plays tasks in real browsers, through Gymnasium alone.

    python -m examples.foreign_agent                                       # ten demo tasks, its own browser service
    python -m examples.foreign_agent --agent random --episodes 50 --seed 7
    python -m examples.foreign_agent --browsers http://127.0.0.1:7000      # with a running service

Replace `Matching` by your own agent: it is called with an observation and returns an action as JSON. An episode that
the infrastructure broke has no reward: it is listed, and not counted.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from socket import socket
from statistics import fmean as mean
from typing import Any, NamedTuple

import gymnasium
import httpx

from agent.failures import EpisodeFailure
from flows.services.processes import tethered
from storage.errors import LoopError

ROOT = Path(__file__).parents[1]
START_S, STOP_S = 60.0, 30.0
"""Seconds that the browser service may take to be ready, and to stop."""

Agent = Callable[[dict[str, Any]], str]


class Row(NamedTuple):
    """Result of one episode. Example: `Row("click-button.7", 1.0, steps=1, seconds=0.4)`."""

    task: str
    reward: float | None
    steps: int
    seconds: float
    broke: str = ""

    def __str__(self) -> str:
        reward = "-" if self.reward is None else f"{self.reward:.2f}"
        return f"{self.task:<32} {reward:>6} {self.steps:>6} {self.seconds:>8.2f}  {self.broke}".rstrip()


class Matching:
    """Clicks elements that the goal names: quoted ones first, longer names first, unclicked ones before others."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._clicked: set[str] = set()

    def __call__(self, seen: dict[str, Any]) -> str:
        """Returns the next click."""
        marks = json.loads(seen["marks"])
        if not marks:
            return json.dumps({"kind": "observe"})
        chosen = max(marks, key=lambda mark: (*self._merits(mark["name"].strip(), seen["goal"]), self._rng.random()))
        self._clicked.add(chosen["name"].strip())
        return json.dumps({"kind": "click_id", "id": chosen["id"]})

    def _merits(self, name: str, goal: str) -> tuple[bool, bool, bool, int]:
        is_named = bool(name) and name.casefold() in goal.casefold()
        return name not in self._clicked, f'"{name}"' in goal, is_named, len(name) if is_named else 0


def play(env: gymnasium.Env, agent: Agent, seed: int) -> Row:
    """Plays one episode of the task that the seed draws."""
    began, steps, task = time.monotonic(), 0, f"seed {seed}"
    try:
        seen, info = env.reset(seed=seed)
        task, over, reward = info["task"], False, 0.0
        while not over:
            seen, step_reward, terminated, truncated, info = env.step(agent(seen))
            steps, reward, over = steps + 1, reward + float(step_reward), terminated or truncated
    except EpisodeFailure as broken:
        return Row(task, None, steps, time.monotonic() - began, str(broken))
    return Row(task, reward, steps, time.monotonic() - began)


@contextmanager
def browser_service() -> Generator[str]:
    """Runs a browser service during the block; yields its address. Raises `LoopError` if it does not start."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "browser_service.cli", "up", "--port", str(port)]
    # Tethered: it ends with this process, however that ends.
    process = subprocess.Popen(tethered([*command, "--slots", "1", "--log-level", "warning"]))
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(process, url)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    """Waits until the service can lease browsers. Raises `LoopError` if it ends or takes longer than `START_S`."""
    deadline = time.monotonic() + START_S
    with httpx.Client(trust_env=False, timeout=5) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise LoopError(f"the browser service ended with status {process.returncode}; its reason is above")
            try:
                if client.get(f"{url}/readyz").is_success:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
    raise LoopError(f"the browser service was not ready within {START_S:g} s")


def summary(rows: list[Row]) -> str:
    """The last line: results of the episodes that count."""
    whole = [(row, row.reward) for row in rows if row.reward is not None]
    broke = f"{len(rows) - len(whole)} of {len(rows)} episodes broke"
    if not whole:
        return f"{broke}; nothing to tell"
    success = mean(reward >= 1 for _, reward in whole)
    return (
        f"success {success:.0%}, mean reward {mean(reward for _, reward in whole):.2f} over {len(whole)} episodes of "
        f"{mean(row.steps for row, _ in whole):.1f} steps and {mean(row.seconds for row, _ in whole):.2f} s; {broke}"
    )


def arguments() -> argparse.Namespace:
    """Parses the command line."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(ROOT / "configs/demo.yaml"), help="names the tasks (configs/demo.yaml)")
    parser.add_argument("--browsers", help="address of a browser service; started and stopped here if not given")
    parser.add_argument("--agent", choices=["matching", "random"], default="matching")
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the first episode; the others follow")
    return parser.parse_args()


def main() -> int:
    """Plays, and prints a row per episode as it ends. Returns 1 if no episode could be played."""
    asked = arguments()
    rows: list[Row] = []
    try:
        with nullcontext(asked.browsers) if asked.browsers else browser_service() as url:
            env = gymnasium.make("flows.gym_env:rl_loop/Web-v0", config=asked.config, browsers=url)
            print(f"{'task':<32} {'reward':>6} {'steps':>6} {'seconds':>8}")
            with env:
                env.action_space.seed(asked.seed)
                for seed in range(asked.seed, asked.seed + asked.episodes):
                    agent = Matching(random.Random(seed)) if asked.agent == "matching" else _random(env)
                    rows.append(play(env, agent, seed))
                    print(rows[-1], flush=True)
    except LoopError as error:
        print(f"foreign_agent: {error}", file=sys.stderr)
        return 1
    print(summary(rows))
    return int(all(row.reward is None for row in rows))


def _random(env: gymnasium.Env) -> Agent:
    return lambda seen: env.action_space.sample()


if __name__ == "__main__":
    sys.exit(main())
