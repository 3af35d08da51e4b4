"""Rates over judged episodes only: what broke is counted, never scored; every rate has its denominator."""

from collections.abc import Sequence

import pytest

from agent.episode_facts import facts_of
from agent.metrics import MOST_GROUPS, policy_age, rollout_metrics, summarize
from agent.types import AgentAction, Answer, Completion, Failure, Side, Step, StopReason, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import Back, ClickId, Observation, Viewport

PAGE = Observation(url="http://a/", title="", viewport=Viewport())
PHASES = {"think": 1.0, "step": 0.5, "act": 0.1, "settle": 0.2, "marks": 0.05, "screenshot": 0.05, "total": 0.4}


def episode(
    name: str,
    domain: str = "link",
    *,
    actions: Sequence[AgentAction | None] = (),
    stop: StopReason = StopReason.DONE,
    side: Side | None = None,
    attempt: int = 1,
    difficulty: int = 1,
    version: int | None = None,
) -> Trajectory:
    said = Completion(
        text="click(1)", prompt_token_ids=(1,) * 10, token_ids=(7, 8), logprobs=(-1, -1), policy_version=version
    )
    steps = tuple(
        Step(index=index, observation=PAGE, completion=said, action=action, seconds=PHASES)
        for index, action in enumerate(actions)
    )
    return Trajectory(
        id=name,
        task=Task(
            id=f"{domain}.1" if domain.isalnum() else "t", environment="miniwob", domain=domain, difficulty=difficulty
        ),
        goal="",
        group=domain,
        member=0,
        iteration=1,
        steps=steps,
        stop=StopReason.FAILED if side else stop,
        failure=Failure(side=side, code="X", message="x", retryable=True) if side else None,
        attempt=attempt,
        seconds=2.0,
        phases={"allocate": 0.25, "navigate": 0.5},
    )


def verdicts(**rewards: float | None) -> dict[str, Verdict]:
    return {name: Verdict(trajectory_id=name, reward=reward, judge="test") for name, reward in rewards.items()}


def test_an_unjudged_episode_is_in_no_rate() -> None:
    episodes = [episode("a"), episode("b"), episode("c", "tab"), episode("d", "tab", side="infra", attempt=3)]
    metrics = rollout_metrics(episodes, verdicts(a=1, b=0, c=0.5, d=None))
    assert metrics["episodes"] == metrics["verdicts"] == 4
    assert metrics["judged"] == 3
    assert metrics["unjudged"] == 1
    assert metrics["failures_infra"] == 1
    assert metrics["retried"] == 1
    assert metrics["success_rate"] == 1 / 3
    assert metrics["reward_mean"] == 0.5
    assert metrics["success_rate_by_domain/link"] == 0.5
    assert metrics["judged_by_domain/link"] == 2
    assert metrics["success_rate_by_domain/tab"] == 0
    assert (metrics["judged_by_domain/tab"], metrics["episodes_by_domain/tab"]) == (1, 2)


def test_no_episodes_have_no_rate_but_denominators() -> None:
    metrics = rollout_metrics([], {})
    assert metrics["episodes"] == metrics["judged"] == metrics["steps"] == metrics["responses"] == 0
    assert not [name for name in metrics if "rate" in name or "mean" in name]


def test_steps_and_responses() -> None:
    episodes = [episode("a", actions=(ClickId(id=1), Back(), None, Answer(text="x"))), episode("b", difficulty=5)]
    metrics = rollout_metrics(episodes, verdicts(a=1, b=0))
    assert (metrics["steps"], metrics["go_back_rate"], metrics["format_error_rate"]) == (4, 0.25, 0.25)
    assert (metrics["responses"], metrics["characters_per_response"]) == (4, 8)
    assert (metrics["responses_sampled"], metrics["tokens_per_response"], metrics["prompt_tokens_mean"]) == (4, 2, 10)
    assert (metrics["steps_mean"], metrics["steps_mean_by_difficulty/5"], metrics["judged_by_difficulty/5"]) == (
        2,
        0,
        1,
    )


def test_seconds_by_phase() -> None:
    metrics = rollout_metrics([episode("a", actions=(Back(), Back())), episode("b")], {})
    phases = {name.removeprefix("phase_s_mean/"): value for name, value in metrics.items() if name.startswith("phase")}
    # Per episode, over both: two steps in one of them, a browser and a start page for each.
    expected = {
        "allocate": 0.25,
        "navigate": 0.5,
        "model": 1.0,
        "act": 0.1,
        "settle": 0.2,
        "observe": 0.1,
        "transport": 0.1,
    }
    assert phases == pytest.approx(expected)
    assert metrics["episode_s_mean"] == 2


def test_who_is_turned_away_is_not_judged() -> None:
    seen = {
        name: Verdict(trajectory_id=name, reward=float(not blocked), judge="t", blocked=blocked)
        for name, blocked in (("a", False), ("b", True))
    }
    metrics = rollout_metrics([episode("a"), episode("b")], seen)
    assert (metrics["judged"], metrics["success_rate"], metrics["blocked_rate"]) == (1, 1, 0.5)


CLICKS = (ClickId(id=1),) * 3


@pytest.mark.parametrize(
    ("actions", "stop", "blocked", "crashed"),
    [
        ((), StopReason.DONE, False, True),
        ((*CLICKS, None), StopReason.ANSWERED, False, True),
        ((*CLICKS, Answer(text="x")), StopReason.ANSWERED, False, False),
        (CLICKS, StopReason.FAILED, False, True),
        (CLICKS, StopReason.FAILED, True, False),
        (CLICKS * 4, StopReason.FAILED, False, False),
        # Short ends that WebGym does not have: the environment's own, and a budget of fewer than ten steps.
        (CLICKS, StopReason.DONE, False, False),
        (CLICKS, StopReason.MAX_STEPS, False, False),
    ],
)
def test_webgyms_rule_for_a_crash(
    actions: Sequence[AgentAction | None], stop: StopReason, blocked: bool, crashed: bool
) -> None:
    one = episode("a", actions=actions, stop=stop)
    metrics = rollout_metrics([one], {"a": Verdict(trajectory_id="a", reward=None, judge="t", blocked=blocked)})
    assert (metrics["crashed"], metrics["crashed_rate"]) == (crashed, crashed)
    assert (metrics["blocked"], metrics["blocked_rate_by_domain/link"]) == (blocked, blocked)


def test_the_age_of_the_policy_in_versions() -> None:
    episodes = [facts_of(episode(str(version), actions=CLICKS, version=version)) for version in (7, 5)]
    assert policy_age(episodes, 7) == {"policy_age_mean": 1, "policy_age_max": 2}
    assert policy_age([facts_of(episode("a", actions=CLICKS))], 7) == {}


def test_names_are_such_as_mlflow_takes_and_not_too_many() -> None:
    strange = [facts_of(episode(f"s{n}", f"a/b{'?' * n}")) for n in range(MOST_GROUPS + 9)]
    often = [facts_of(episode(f"o{n}", "Éducation & 'Reisen'")) for n in range(2)]
    metrics = summarize([*strange, *often], {})
    groups = [name for name in metrics if name.startswith("episodes_by_domain/")]
    assert len(groups) == MOST_GROUPS
    assert metrics["episodes_by_domain/Éducation _ _Reisen_"] == 2
    assert "episodes_by_domain/a_b" in groups
