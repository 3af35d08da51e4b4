"""Failures of others give the policy no reward: a broken check, an invalid reward, a first prompt that cannot fit."""

import math
from typing import Any

import pytest
from episode_record import TASK
from one_page import Pool, serve

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, play
from agent.judging.verifier import Verifier
from agent.models.openai_chat import OpenAIChat, Served
from agent.types import Failure, StopReason, Trajectory
from agent.verdict import Verdict
from browser_service.models import Viewport

EPISODE = Trajectory(id="e1", task=TASK, goal="Go.", group="g", member=0, iteration=1, steps=(), stop=StopReason.DONE)


def giving(reward: float) -> Verifier:
    """A check that passes on what a page said, without any check of its own."""

    async def check(trajectory: Trajectory, _: dict[str, Any]) -> Verdict:
        return Verdict.model_construct(trajectory_id=trajectory.id, reward=reward, judge="page")

    return Verifier(check)


@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf, 1.0000001, -0.5, 7])
async def test_a_reward_out_of_range_is_named_and_not_bent_into_it(reward: float) -> None:
    verdict = await giving(reward).judge(EPISODE)
    assert verdict.reward is None and repr(reward) in verdict.evidence


@pytest.mark.parametrize("reward", [0.0, 0.25, 1.0])
async def test_a_reward_in_range_is_kept(reward: float) -> None:
    assert (await giving(reward).judge(EPISODE)).reward == reward


async def test_a_check_that_breaks_leaves_the_episode_unjudged() -> None:
    async def check(trajectory: Trajectory, evidence: dict[str, Any]) -> Verdict:
        return Verdict(trajectory_id=trajectory.id, reward=evidence["reward"], judge="page")

    verdict = await Verifier(check).judge(EPISODE)
    assert verdict.reward is None and "check failed: KeyError: 'reward'" in verdict.evidence
    worse = EPISODE.model_copy(update={"final_state": {"reward": "much"}})
    assert (await Verifier(check).judge(worse)).reward is None


@pytest.mark.parametrize("goal", ["long " * 5_000, "9" * 20_000])
async def test_a_first_prompt_that_cannot_fit_is_the_configurations_fault_and_unjudged(goal: str) -> None:
    config = AgentConfig(prompt_tokens=2_000)
    async with OpenAIChat(config, Served("m", None, 0), base_url="http://127.0.0.1:9") as chat:
        played = await play(
            EpisodeKey(TASK.model_copy(update={"goal": goal}), "e1", group="g", member=0, iteration=1),
            EpisodeSetup(
                policy=chat,
                pool=Pool(),  # ty: ignore[invalid-argument-type]
                serve=serve,
                viewport=Viewport(),
                config=config,
            ),
        )
    failure = played.trajectory.failure
    assert isinstance(failure, Failure)
    assert (failure.side, failure.code, failure.retryable) == ("infra", "FIRST_PROMPT_TOO_LONG", False)
    assert (await giving(0.0).judge(played.trajectory)).reward is None
