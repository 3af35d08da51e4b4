"""The part of a run's configuration that the scheduler reads. `flows` builds it; nothing here knows the whole configuration."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.config import AgentConfig
from agent.episodes.watch import Detect
from agent.judging.verifier import Check
from agent.models.openai_chat import Served
from agent.verdict import Judge
from environments.config import EnvironmentConfig
from rollouts.config import EvaluateConfig, RolloutConfig
from storage.run_layout import RunLayout
from storage.stages import Stage


@dataclass(frozen=True)
class RolloutSettings:
    """The settings by which episodes are drawn, dealt to shards and tried again."""

    seed: int
    """Seed of the training tasks."""
    iterations: int
    """Number of the last iteration, which leaves no group to a next one."""
    environment: EnvironmentConfig
    rollout: RolloutConfig
    evaluate: EvaluateConfig


@dataclass(frozen=True)
class RunInputs:
    """One run for the scheduler: its folder and its settings."""

    layout: RunLayout
    settings: RolloutSettings

    @property
    def rollout(self) -> RolloutConfig:
        """Section `rollout` of the configuration."""
        return self.settings.rollout


@dataclass(frozen=True)
class PolicyServer:
    """The model server of the trained policy, or several with the same policy."""

    sockets: tuple[Path, ...]
    """UNIX sockets of vLLM, or of doors to it."""
    tokenizer: Path
    """Directory of the tokenizer that the server uses."""
    waiting: Callable[[], int | None]
    """Returns the number of turns that wait in all servers, None when none answers. Blocks for 1.5 s at most."""


@dataclass(frozen=True)
class StageInputs:
    """All that a shard worker is opened with, for one stage of one run."""

    run: RunInputs
    stage: Stage
    agent: AgentConfig
    """Settings of the acting model in this stage."""
    served: Served
    """The policy that is served now."""
    browsers: str
    """URL of the browser service."""
    policy_server: PolicyServer
    judge: Callable[[Check], Judge | None]
    """Makes the judge that answers while the rollout goes on, None if the chain has none."""
    detect: Detect | None = None
    """Tells a page that refuses the visit, which ends its episode; None: no page does."""
