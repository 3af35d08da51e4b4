"""Canaries: tasks that nobody can do are played, never trained on, and stop a run whose judge believes in them."""

import logging
from pathlib import Path

import pytest
from judge_server import JudgeServer, Said, yes
from judged_episodes import Episodes
from judged_runs import GROUPS, MEMBERS, asking, config_file, in_group, played

from agent.episode_facts import facts_of
from agent.types import Task, Trajectory
from agent.verdict import Verdict
from environments.miniwob import MiniWob
from environments.miniwob.tasks import make_canary, task_from_id
from environments.taskfiles.reading import Reading, open_source, read_tasks
from environments.taskfiles.rows import Rejected
from environments.taskfiles.writing import TaskFormat, write_tasks
from flows.policy.waiting import StageError
from flows.settings.loop_config import LoopConfig, load_config
from flows.settings.run_folder import RunFolder
from flows.stages.judge import judge_stage, shuffled
from judging.chain import Chain
from rollouts.evidence import lack_of_verdicts
from rollouts.plan import Group, canary_groups, plan_file, planned_groups, read_plan, write_carried, write_plan
from storage.stages import Stage, StageKey
from storage.store import TrajectoryStore
from storage.verdicts import read_verdicts
from training.config import UpdateConfig
from training.sampling.filters import select

CANARY = "never-there"


class Says:
    """A judge with one verdict for everything."""

    def __init__(self, name: str, reward: float) -> None:
        self.name, self._reward = name, reward

    async def judge(self, trajectory: Trajectory) -> Verdict:
        return Verdict(trajectory_id=trajectory.id, reward=self._reward, judge=self.name)


def with_canary(tmp_path: Path, server: JudgeServer, episodes: Episodes, **judge: object) -> RunFolder:
    """The stored rollout of `played`, and one canary episode."""
    folder = played(tmp_path, asking(server) | judge, episodes)
    base = episodes.episode()
    task = base.task.model_copy(update={"id": CANARY, "canary": True})
    group = Group(group=f"i0001-{CANARY}", members=1, task=task)
    write_plan(folder, 1, Stage.ROLLOUT, [*(read_plan(folder, 1, Stage.ROLLOUT) or []), group])
    (key,) = group.slots(1)
    one = in_group(base, key.trajectory_id, group, key.member)
    TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT)).write(one, episodes.pictures)
    return folder


def disbelieving(server: JudgeServer) -> None:
    """The judge is right about the canary, and believes the others."""
    lies = ('"supported": true', '"supported": false')
    server.answer = lambda asked: Said(yes(asked).replace(*lies) if CANARY in asked.text else yes(asked))


async def test_a_judge_that_believes_in_a_canary_stops_the_run_before_it_trains(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    folder = with_canary(tmp_path, server, episodes)
    with pytest.raises(StageError) as stopped:
        await judge_stage(folder, 1)
    sentence = str(stopped.value)
    assert f"the judge rubric called the canary task {CANARY} a success, trajectory i0001-{CANARY}-m00" in sentence
    assert "judge.canary_alarm=warn" in sentence and not folder.is_done(1, Stage.JUDGE)

    server.questions.clear()
    warn = load_config(config_file(tmp_path, asking(server) | {"canary_alarm": "warn"}))
    resumed = folder.changed_to(warn.model_copy(update={"runs_dir": folder.config.runs_dir}))
    report = await judge_stage(resumed, 1)
    assert report.metrics["canary_success_rate"] == 1.0 and report.metrics["canary_episodes"] == 1
    assert server.questions == [], "what is decided is not paid for again"


async def test_a_judge_that_is_right_goes_on_and_the_canary_counts_nowhere_else(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    folder = with_canary(tmp_path, server, episodes)
    disbelieving(server)
    report = await judge_stage(folder, 1)
    metrics = report.metrics
    assert (metrics["canary_judged"], metrics["canary_successes"], metrics["canary_success_rate"]) == (1, 0, 0.0)
    assert (metrics["episodes"], metrics["success_rate"]) == (GROUPS * MEMBERS, 1.0)
    assert metrics["judge_success_rate/rubric"] == 1.0 and metrics["judge_decided/rubric"] == GROUPS * MEMBERS
    tasks = (folder.stage_dir(1, Stage.JUDGE) / "tasks.jsonl").read_text()
    assert CANARY not in tasks, "it says nothing about how hard the policy's tasks are"

    verdicts = {one.trajectory_id: one for one in read_verdicts(folder.stage_dir(1, Stage.JUDGE))}
    chosen = select(TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT)), verdicts, UpdateConfig())
    assert chosen.excluded == {"canary": 1} and chosen.counts["groups"] == GROUPS and len(chosen.rewards) == 6
    unjudged = [
        one.model_copy(update={"reward": None}) if CANARY in one.trajectory_id else one for one in verdicts.values()
    ]
    facts = [facts_of(one) for one in TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT))]
    assert lack_of_verdicts(folder.inputs, StageKey(1, Stage.JUDGE), unjudged, facts) is None
    mixed = shuffled(list(verdicts.values()), "seed", but={f"i0001-{CANARY}-m00"})
    assert {one.judge for one in mixed if CANARY in one.trajectory_id} == {"rubric"}


async def test_a_canary_measures_every_judge_of_a_chain(
    episodes: Episodes, caplog: pytest.LogCaptureFixture, tmp_path: Path, server: JudgeServer
) -> None:
    """The first judge is right and would spare the second, which is not; the alarm names the second."""
    one = episodes.episode()
    canary = one.model_copy(update={"task": one.task.model_copy(update={"canary": True})})
    chain = Chain([Says("right", 0.0), Says("wrong", 1.0)])
    assert (await chain.judge(one)).opinions == ()
    verdict = await chain.judge(canary)
    assert (verdict.judge, verdict.reward) == ("right", 0.0)
    assert [(each.judge, each.reward) for each in verdict.opinions] == [("right", 0.0), ("wrong", 1.0)]

    folder = with_canary(tmp_path, server, episodes, canary_alarm="warn")
    with caplog.at_level(logging.WARNING):
        await judge_stage(folder, 1)
    assert "the judge rubric called the canary task" in caplog.text


def miniwob(tmp_path: Path, **environment: object) -> LoopConfig:
    path = config_file(tmp_path, {})
    config = load_config(path, ["environment={name: miniwob, domains: [click-button, click-link], canary_tasks: 0.1}"])
    return config.model_copy(update={"environment": config.environment.model_copy(update=environment)})


def test_canaries_are_played_beside_an_iterations_own_tasks(tmp_path: Path) -> None:
    folder = RunFolder.create("a", miniwob(tmp_path))
    groups = planned_groups(folder.inputs, 1, Stage.ROLLOUT)
    canaries = [group for group in groups if group.task.canary]
    usual = folder.config.rollout.groups_per_iteration
    assert len(groups) - len(canaries) == usual and len(canaries) == 7, "a tenth of 64 episodes, rounded up"
    assert {group.members for group in canaries} == {1}
    assert {group.task.domain for group in canaries} == {"click-button", "click-link"}
    assert all(task_from_id(group.task.id) == group.task for group in canaries)
    assert len({group.task.id for group in groups}) == len(groups)
    assert not any(group.task.canary for group in planned_groups(folder.inputs, 0, Stage.EVALUATE))
    # What an iteration leaves to the next one takes the place of canaries and tasks there, each of its own kind.
    write_carried(folder, 1, [canaries[0], groups[0]])
    plan_file(folder, 2, Stage.ROLLOUT).unlink(missing_ok=True)
    later = planned_groups(folder.inputs, 2, Stage.ROLLOUT)
    assert sum(group.task.canary for group in later) == 7 and len(later) == usual + 7
    assert canary_groups(miniwob(tmp_path, canary_tasks=0.0).rollout_settings(), 1) == []


async def test_no_page_can_reward_a_canary(episodes: Episodes) -> None:
    """The page judges the goal that it states itself; a canary's goal is another one."""
    task = make_canary("click-button", 7)
    one = episodes.episode(answer=None, rubric=())
    ended = {"done": True, "raw_reward": 1.0, "utterance": 'Click on the "ok" button.'}
    own = one.model_copy(update={"task": task, "goal": task.goal, "final_state": ended})
    assert (await MiniWob().check(own, ended)).reward is None
    plain = MiniWob().task("click-button", 7, "train")
    done = own.model_copy(update={"task": plain, "goal": ended["utterance"]})
    assert (await MiniWob().check(done, ended)).reward == 1.0


@pytest.mark.parametrize("form", ["ours", "webgym", "dashboard"])
def test_a_task_file_marks_canaries_in_every_format(tmp_path: Path, form: TaskFormat) -> None:
    tasks = [
        Task(
            id=str(n),
            environment="live",
            goal="Find it",
            start_url="https://shop.example/",
            canary=n == 2,
            max_steps=30,
        )
        for n in range(4)
    ]
    path = tmp_path / "tasks.jsonl"
    write_tasks(path, tasks, form)
    read = list(read_tasks(open_source(str(path)), Reading()))
    assert [one.canary for one in read if isinstance(one, Task)] == [False, False, True, False]
    path.write_text('{"id": "a", "task": "Find it", "start_url": "shop.example", "canary": "yes"}\n')
    (row,) = read_tasks(open_source(str(path)), Reading())
    assert isinstance(row, Rejected) and "canary: expected true or false" in row.reason


def test_a_file_gives_its_canaries_only_where_they_are_asked_for(tmp_path: Path) -> None:
    rows = [
        Task(id=f"t{n}", environment="live", goal="Find it", start_url="https://shop.example/", canary=n < 2)
        for n in range(20)
    ]
    write_tasks(tmp_path / "train.jsonl", rows)
    source = str(tmp_path / "train.jsonl")
    live = f"environment={{name: live, tasks: {{train: {source}, heldout: {source}}}, canary_tasks: 0.05}}"
    config = load_config(config_file(tmp_path, {}), [live, "rollout.groups_per_iteration=16"])
    groups = planned_groups(RunFolder.create("a", config).inputs, 1, Stage.ROLLOUT)
    assert sorted(group.task.id for group in groups if group.task.canary) == ["t0", "t1"], "all that there are"
    assert len(groups) == 18
    write_tasks(tmp_path / "train.jsonl", rows[2:])
    with pytest.raises(ValueError, match='"canary": true'):
        canary_groups(config.rollout_settings(), 1)
