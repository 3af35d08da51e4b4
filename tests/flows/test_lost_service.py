"""Failures that mean a lost service, for which the stage waits, and failures of a single episode."""

from typing import Any

import pytest
from game import ended, files_of, rank_for, running_game, use

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played
from agent.model_config import ChatModel, ModelConfig, OpenAIComputer, TrainedPolicy
from agent.types import Trajectory
from benchmarks import virtual_clock
from rollouts.plan import assigned, planned_groups
from storage.stages import Stage

OTHERS: list[ModelConfig] = [ChatModel(model="m", base_url="http://a"), OpenAIComputer(model="m")]
OF_THE_MODEL = ["MODEL_UNREACHABLE", "MODEL_GONE", "POLICY_CHANGED"]


def played(monkeypatch: pytest.MonkeyPatch, model: ModelConfig, code: str) -> tuple[str | None, int, list[Trajectory]]:
    """The lost service, the begun and the stored episodes of a rank whose episodes all break with `code`."""
    begun: list[str] = []

    async def play(slot: EpisodeKey, setup: EpisodeSetup, **with_what: Any) -> Played:
        begun.append(slot.trajectory_id)
        return Played(ended(slot, code), {})

    use(monkeypatch, play)
    with running_game(groups_per_iteration=1, group_size=2, concurrency=1, max_attempts=3) as folder:
        files = files_of(folder, 1)
        groups = assigned(planned_groups(folder.inputs, 1, Stage.ROLLOUT), [1.0])[0]
        lost = virtual_clock.run(rank_for(folder, agent=AgentConfig(model=model)).play(files, groups, threshold=1.0))
        return lost, len(begun), list(files.store)


@pytest.mark.parametrize("code", [*OF_THE_MODEL, "UNREACHABLE", "DRAINING"])
def test_without_our_server_or_the_browsers_the_stage_waits(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    lost, begun, stored = played(monkeypatch, TrainedPolicy(), code)
    assert (lost, begun, stored) == (f"{code}: on purpose", 1, [])


@pytest.mark.parametrize("model", OTHERS, ids=lambda model: model.kind)
def test_whoever_acts_the_stage_waits_for_the_browsers(monkeypatch: pytest.MonkeyPatch, model: ModelConfig) -> None:
    lost, begun, stored = played(monkeypatch, model, "DRAINING")
    assert (lost, begun, stored) == ("DRAINING: on purpose", 1, [])


@pytest.mark.parametrize("code", OF_THE_MODEL)
@pytest.mark.parametrize("model", OTHERS, ids=lambda model: model.kind)
def test_another_model_that_is_away_is_tried_again_and_then_given_up(
    monkeypatch: pytest.MonkeyPatch, model: ModelConfig, code: str
) -> None:
    lost, begun, stored = played(monkeypatch, model, code)
    assert (lost, begun, len(stored)) == (None, 6, 2)  # healing the loop's vLLM could not help


def test_a_turn_that_took_too_long_takes_no_other_episode_along(monkeypatch: pytest.MonkeyPatch) -> None:
    lost, begun, stored = played(monkeypatch, TrainedPolicy(), "MODEL_TIMEOUT")
    assert (lost, begun, len(stored)) == (None, 6, 2)
