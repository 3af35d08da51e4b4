"""The Gymnasium environment of a configuration: `make_env("configs/demo.yaml")`, or `gymnasium.make` with its id.

    gymnasium.make("flows.gym_env:rl_loop/Web-v0", config="configs/demo.yaml", browsers="http://127.0.0.1:7000")

Gymnasium has not searched entry points since 1.0: an id is known only once its module is imported, which the part
before the colon does.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import gymnasium
import numpy as np

from agent.gym.environment import WebEnv
from agent.judging.verifier import Check
from agent.types import Split, Task
from environments.catalogs import Draw
from environments.config import FROM_FILES, EnvironmentConfig
from environments.drawing import draw_tasks, find_task
from environments.history import TaskHistory
from environments.registry import make_environment
from flows.services.services import address_of
from flows.services.specs import BROWSER
from flows.settings.loop_config import ConfigError, load_config
from storage.store import TrajectoryStore

ENV_ID = "rl_loop/Web-v0"
ITERATIONS = range(1_000_000, 2_000_000)
"""Training iterations to draw from: any block of training seeds, beyond every curriculum's last step."""


def make_env(
    config: str | Path,
    *,
    browsers: str | None = None,
    api_key: str | None = None,
    overrides: Sequence[str] = (),
    split: Split = "train",
    check: Check | None = None,
    render_mode: str | None = None,
    store: str | Path | None = None,
) -> WebEnv:
    """The environment named in a configuration's section `environment`, with the deadlines of its section `agent`.

    `browsers` is the address of a browser service; None: the one that `rl-loop up` started. `overrides` are as on the
    command line, `["agent.episode_deadline_s=3600"]`. `check` replaces the environment's verifier. `store` is a folder
    that keeps every episode as a rollout does, with its videos and traces (`agent.record`).
    Raises `ConfigError`, and `ServicesError` when no service runs.
    """
    loop = load_config(Path(config), overrides)
    if any(part.name in FROM_FILES for part in loop.environment.members) and check is None:
        raise ConfigError("environment.name: tasks of files have no verifier to give rewards; pass check=")
    if loop.agent.record.is_on and store is None:
        raise ConfigError("agent.record: videos and traces need a folder to be kept in; pass store=, or set it to none")
    return WebEnv(
        make_environment(loop.environment),
        tasks=ConfiguredTasks(loop.environment, split),
        browsers=browsers or address_of(loop.services.state_dir, BROWSER),
        api_key=api_key,
        config=loop.agent,
        check=check,
        reuse=loop.environment.name if loop.rollout.reuse_contexts else None,
        render_mode=render_mode,
        store=TrajectoryStore(Path(store)) if store is not None else None,
    )


class ConfiguredTasks:
    """The tasks of one split, drawn as a rollout draws them. Implements `agent.gym.environment.Tasks`."""

    def __init__(self, config: EnvironmentConfig, split: Split) -> None:
        self._config, self._split = config, split

    def draw(self, rng: np.random.Generator) -> Task:
        """Draws one task from a random training iteration."""
        iteration = int(rng.integers(ITERATIONS.start, ITERATIONS.stop))
        wanted = Draw(self._split, iteration, seed=iteration)
        (task,) = draw_tasks(self._config, wanted, 1, history=TaskHistory(), now=datetime.now(UTC))
        return task

    def find(self, task_id: str) -> Task:
        """The task with this id, with the step budget that the configuration gives it."""
        return find_task(self._config, self._split, task_id, iteration=ITERATIONS.start)


gymnasium.register(ENV_ID, entry_point="flows.gym_env:make_env", nondeterministic=True)
