"""The environment of a configuration, for programs that drive its episodes from outside."""

from collections.abc import Sequence
from pathlib import Path

from agent.gym.hosted import EpisodeHost
from agent.types import Split
from environments.registry import make_environment
from flows.gym_env import ConfiguredTasks
from flows.services.services import address_of
from flows.services.specs import BROWSER
from flows.settings.loop_config import ConfigError, load_config


def make_host(
    config: str | Path,
    *,
    browsers: str | None = None,
    api_key: str | None = None,
    overrides: Sequence[str] = (),
    split: Split = "train",
) -> EpisodeHost:
    """The host of a configuration's environment, not yet entered. The arguments are those of `flows.gym_env.make_env`.

    Raises `ConfigError`, also for an environment that gives no reward by itself, and `ServicesError` when no service runs.
    """
    loop = load_config(Path(config), overrides)
    environment = make_environment(loop.environment)
    if not environment.judges:
        raise ConfigError(f"environment.name: {loop.environment.name} has no verifier to give rewards")
    return EpisodeHost(
        environment,
        tasks=ConfiguredTasks(loop.environment, split),
        browsers=browsers or address_of(loop.services.state_dir, BROWSER),
        api_key=api_key,
        config=loop.agent,
        reuse=loop.environment.name if loop.rollout.reuse_contexts else None,
    )
