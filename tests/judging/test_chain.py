"""A chain of judges: who decides, who is asked, and what a disagreement leaves behind."""

from typing import Any

import pytest
from ended_episodes import ended, task

from agent.judging.verifier import Verifier
from agent.types import Trajectory
from agent.verdict import Verdict
from judging.chain import Chain
from judging.verifiers.answer_judge import AnswerJudge

EPISODE = ended(task(reference="42"), "42")


class Fixed:
    """A judge with one verdict, which counts its calls."""

    def __init__(self, name: str, reward: float | None, *, blocked: bool = False) -> None:
        self.name, self.reward, self.blocked, self.calls = name, reward, blocked, 0

    async def judge(self, trajectory: Trajectory) -> Verdict:
        self.calls += 1
        return Verdict(
            trajectory_id=trajectory.id, reward=self.reward, judge=self.name, blocked=self.blocked, evidence="so"
        )


async def test_the_first_that_can_decide_decides_and_no_further_one_is_asked() -> None:
    judges = [Fixed("a", None), Fixed("b", 0.0), Fixed("c", 1.0)]
    verdict = await Chain(judges).judge(EPISODE)
    assert (verdict.judge, verdict.reward, verdict.evidence) == ("b", 0.0, "so")
    assert [judge.calls for judge in judges] == [1, 1, 0]


async def test_a_blocked_episode_goes_to_no_further_judge() -> None:
    later = Fixed("b", 0.0)
    verdict = await Chain([Fixed("a", None, blocked=True), later]).judge(EPISODE)
    assert verdict.blocked and verdict.reward is None and later.calls == 0


async def test_asked_all_they_disagree_on_record_and_the_first_decides() -> None:
    asked = await Chain([Fixed("a", None), Fixed("b", 1.0), Fixed("c", 0.5)], ask_all=True).ask(EPISODE)
    assert asked.disagree and len(asked.verdicts) == 3
    assert asked.verdict.reward == 1 and asked.verdict.evidence == "so [disagreement: b: success, c: no success]"
    agreed = await Chain([Fixed("a", 0.0), Fixed("b", 0.5)], ask_all=True).ask(EPISODE)
    assert not agreed.disagree and agreed.verdict.evidence == "so"


async def test_nobody_decides() -> None:
    verdict = await Chain([Fixed("a", None), Fixed("b", None)]).judge(EPISODE)
    assert (verdict.judge, verdict.reward, verdict.evidence) == ("chain", None, "a: so; b: so")


@pytest.mark.parametrize("judges", [[], [Fixed("a", None), Fixed("a", None)]])
def test_a_chain_has_judges_with_different_names(judges: list[Fixed]) -> None:
    with pytest.raises(ValueError, match="different names"):
        Chain(judges)


async def test_the_answer_stands_in_for_an_environment_that_cannot_judge() -> None:
    async def cannot(one: Trajectory, _: dict[str, Any]) -> Verdict:
        return Verdict(trajectory_id=one.id, reward=None, judge="live")

    verdict = await Chain([Verifier(cannot), AnswerJudge()]).judge(EPISODE)
    assert (verdict.judge, verdict.reward) == ("answer", 1.0)
