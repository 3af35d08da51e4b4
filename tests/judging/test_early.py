"""Verdicts of the rollout are taken over by the judge stage: computed once, and anew when anything changed."""

from functools import partial
from pathlib import Path

import pytest
from judged_episodes import Episodes
from judged_runs import GROUPS, MEMBERS, played

from agent.types import Trajectory
from agent.verdict import Verdict
from flows.stages.judge import judge_stage
from flows.stages.stage_inputs import noting_judge
from judging.by_task import ByTask
from judging.config import JudgeConfig
from judging.early import EARLY, Noting, Taking, may_be_taken
from storage.stages import Stage
from storage.store import TrajectoryStore

ANSWER = JudgeConfig(chain=["answer"])


class Counted:
    """A judge that decides and counts."""

    name = "answer"

    def __init__(self, reward: float | None = 1.0) -> None:
        self.asked: list[str] = []
        self._reward = reward

    async def judge(self, trajectory: Trajectory) -> Verdict:
        self.asked.append(trajectory.id)
        return Verdict(trajectory_id=trajectory.id, reward=self._reward, judge=self.name)


async def test_a_noted_verdict_is_taken_over_and_a_changed_episode_is_judged_anew(
    tmp_path: Path, episodes: Episodes
) -> None:
    one = episodes.episode()
    first, second = Counted(0.0), Counted(1.0)
    assert (await Noting(first, ANSWER, lambda _: tmp_path).judge(one)).reward == 0.0
    with (tmp_path / EARLY).open("ab") as file:
        file.write(b'{"basis": "torn')

    taking = Taking(second, ANSWER, lambda _: tmp_path)
    assert (await taking.judge(one)).reward == 0.0 and second.asked == []
    assert (await taking.judge(one.model_copy(update={"answer": "another"}))).reward == 1.0
    other = JudgeConfig(chain=["verifier", "answer"])
    assert (await Taking(second, other, lambda _: tmp_path).judge(one)).reward == 1.0
    assert len(second.asked) == 2


async def test_an_undecided_verdict_is_not_noted_and_a_lost_disk_costs_no_verdict(
    tmp_path: Path, episodes: Episodes
) -> None:
    await Noting(Counted(None), ANSWER, lambda _: tmp_path).judge(episodes.episode())
    assert not (tmp_path / EARLY).exists()
    assert (await Noting(Counted(), ANSWER, lambda _: tmp_path / "gone").judge(episodes.episode())).reward == 1.0


@pytest.mark.parametrize(
    ("task", "ask_all", "taken"),
    [
        ({}, False, True),
        ({}, True, False),
        ({"canary": True}, False, False),
        ({"judge": ("answer", "rubric")}, False, True),
        ({"judge": ("rubric", "answer")}, False, False),
    ],
)
def test_only_a_decision_that_is_the_chains_is_taken_over(
    task: dict[str, object], ask_all: bool, taken: bool, episodes: Episodes
) -> None:
    one = episodes.episode()
    one = one.model_copy(update={"task": one.task.model_copy(update=task)})
    assert may_be_taken(JudgeConfig(chain=["verifier", "answer"], ask_all=ask_all), one) is taken


async def test_the_judge_stage_asks_only_about_what_the_rollout_did_not_judge(
    tmp_path: Path, episodes: Episodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(episodes, "episode", partial(episodes.episode, reference="42 EUR", answer="42 EUR"))
    folder = played(tmp_path, {"chain": ["answer"]}, episodes)
    first, *others = list(TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT)))
    quick = noting_judge(folder, Stage.ROLLOUT, _no_check)
    assert [(await quick.judge(one)).reward for one in others] == [1.0] * len(others)

    asked: list[str] = []
    judge = ByTask.judge

    async def counted(chain: ByTask, trajectory: Trajectory) -> Verdict:
        asked.append(trajectory.id)
        return await judge(chain, trajectory)

    monkeypatch.setattr(ByTask, "judge", counted)
    report = await judge_stage(folder, 1)
    assert asked == [first.id] and report.counts == {"verdicts": GROUPS * MEMBERS, "unjudged": 0}
    assert report.metrics["success_rate"] == 1.0


async def _no_check(trajectory: Trajectory, evidence: dict[str, object]) -> Verdict:
    raise AssertionError("the chain has no verifier")
