"""Which trajectories and steps teach."""

from stored_rollouts import make_trajectory

from agent.types import Completion, Failure, SafetyDecision, Trajectory
from agent.verdict import Verdict
from training.config import UpdateConfig
from training.sampling.filters import select, trainable
from training.sampling.shaping import format_errors

COMPLETION = Completion(text="x", prompt_token_ids=(1,), token_ids=(2, 3), logprobs=(-1.0, -1.0), policy_version=0)


def verdict(trajectory: str, reward: float | None, *, blocked: bool = False) -> Verdict:
    return Verdict(trajectory_id=trajectory, reward=reward, judge="test", blocked=blocked)


def group(name: str, rewards: dict[str, float | None]) -> tuple[list[Trajectory], dict[str, Verdict]]:
    trajectories = [make_trajectory(f"{name}-{one}", [COMPLETION], group=name) for one in rewards]
    return trajectories, {f"{name}-{one}": verdict(f"{name}-{one}", reward) for one, reward in rewards.items()}


def test_groups_without_spread_are_dropped_and_counted() -> None:
    good, good_verdicts = group("good", {"a": 1.0, "b": 0.0})
    flat, flat_verdicts = group("flat", {"a": 1.0, "b": 1.0, "c": 1.0})
    selection = select(flat + good, good_verdicts | flat_verdicts, UpdateConfig(advantage_scale="none"))
    assert [(member.trajectory.id, member.advantage) for member in selection.members] == [
        ("good-a", 0.5),
        ("good-b", -0.5),
    ]
    assert selection.counts == {
        "trajectories": 5,
        "judged": 5,
        "groups": 2,
        "groups_zero_signal": 1,
        "groups_too_small": 0,
        "groups_used": 1,
    }
    assert selection.excluded == {}


def test_failures_and_unjudged_count_in_neither_mean_nor_loss() -> None:
    trajectories, verdicts = group("g", {"a": 1.0, "b": 0.0, "c": None, "d": 0.0})
    failure = Failure(side="infra", code="BROWSER_CRASHED", message="gone", retryable=True)
    trajectories.append(make_trajectory("g-e", [COMPLETION], group="g", failure=failure))
    verdicts["g-e"] = verdict("g-e", 0.0)
    verdicts["g-d"] = verdict("g-d", 0.0, blocked=True)
    trajectories.append(make_trajectory("g-f", [COMPLETION], group="g"))
    selection = select(trajectories, verdicts, UpdateConfig(advantage_scale="none"))
    assert {member.trajectory.id: member.advantage for member in selection.members} == {"g-a": 0.5, "g-b": -0.5}
    assert selection.excluded == {"unjudged": 2, "blocked": 1, "failed_infra": 1}
    assert selection.counts["judged"] == 2


def test_a_group_with_one_judged_trajectory_is_too_small() -> None:
    trajectories, verdicts = group("g", {"a": 1.0, "b": None})
    selection = select(trajectories, verdicts, UpdateConfig())
    assert selection.members == []
    assert selection.counts["groups_too_small"] == 1


def test_a_penalty_can_give_a_group_its_signal() -> None:
    trajectories, verdicts = group("g", {"a": 1.0, "b": 1.0})
    unparsed = trajectories[0].steps[0].model_copy(update={"action": None})
    trajectories[0] = trajectories[0].model_copy(update={"steps": (unparsed,)})
    assert select(trajectories, verdicts, UpdateConfig()).members == []
    selection = select(trajectories, verdicts, UpdateConfig(format_penalty=0.1))
    assert [member.reward for member in selection.members] == [0.9, 1.0]
    assert selection.rewards == [1.0, 1.0] and [one.format for one in selection.shaping] == [0.1, 0.0]
    assert selection.members[0].advantage < 0 < selection.members[1].advantage
    steps = trajectories[1].steps * 3
    trajectories[1] = trajectories[1].model_copy(update={"steps": steps})
    long = select(trajectories, verdicts, UpdateConfig(length_penalty=0.5))
    assert [one.length for one in long.shaping] == [0.05, 0.15], "1 and 3 of 10 steps"
    unconfirmed = unparsed.model_copy(update={"safety": SafetyDecision(asked="?", decision="denied", by="person")})
    assert format_errors(trajectories[0].model_copy(update={"steps": (unconfirmed,)})) == 0


def test_steps_that_were_cut_off_or_have_no_tokens_are_masked() -> None:
    cut = COMPLETION.model_copy(update={"finish_reason": "length"})
    steps = make_trajectory("t", [COMPLETION, cut, Completion(text="scripted")]).steps
    assert [trainable(step)[1] for step in steps] == ["", "truncated", "no_tokens"]
    assert trainable(steps[0])[0] == COMPLETION
    failed_call = steps[0].model_copy(update={"completion": None})
    assert trainable(failed_call) == (None, "no_tokens")
