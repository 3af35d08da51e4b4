"""`rl-loop fork`: iterations and policies of another run are taken over, other settings apply from there."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import RlLoop

from agent.types import Task
from agent.verdict import Verdict
from flows.policy.waiting import StageError
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from flows.stages.canary_alarm import JudgeAlarm
from flows.stages.policy_update import update_command
from flows.starting.forking import fork
from flows.tracking.logged import LOGGED
from rollouts.plan import Group, plan_file, write_plan
from storage.errors import LoopError
from storage.stages import Stage, StageKey, StageReport
from storage.verdicts import read_verdicts, write_verdicts
from training.checkpointing.checkpoints import checkpoint_path, versions
from training.config import UpdateConfig


def finished_run(config: LoopConfig, iterations: int = 2) -> RunFolder:
    """A run with some finished iterations: two files per policy, one verdict per iteration."""
    folder = RunFolder.create("source", config)
    for version in range(iterations + 1):
        policy = checkpoint_path(folder.policies, version)
        policy.mkdir(parents=True)
        (policy / "manifest.json").write_text(f'{{"version": {version}}}')
        (policy / "model.safetensors").write_bytes(b"weights" * 100)
    for key in folder.schedule():
        if key.iteration <= iterations:
            counts = {"version": key.iteration} if key.stage is Stage.POLICY_UPDATE else {}
            folder.finish(StageReport(stage=key.stage, iteration=key.iteration, counts=counts, seconds=1))
            (folder.stage_dir(*key) / LOGGED).write_text("{}")
    return folder


def judged_by(source: RunFolder, name: str, *, canary: float | None) -> None:
    """Plays an episode and a canary in iteration 2; the judge of a set believes in both, or only in the first."""
    groups = [
        Group(group=f"i0002-{task}", members=1, task=Task(id=task, environment="x", canary=task == "never"))
        for task in ("usual", "never")
    ]
    write_plan(source, 2, Stage.ROLLOUT, groups)
    verdicts = [
        Verdict(trajectory_id=f"i0002-{task}-m00", reward=reward, judge=name)
        for task, reward in (("usual", 1.0), ("never", canary))
    ]
    write_verdicts(source.stage_dir(2, Stage.JUDGE) / "sets" / name, verdicts)


def test_a_fork_goes_on_after_the_chosen_iteration(config: LoopConfig) -> None:
    source = finished_run(config.model_copy(update={"iterations": 4}), iterations=2)
    write_verdicts(source.stage_dir(1, Stage.JUDGE), [])

    made = fork(source, 1, ["update.learning_rate=0.5", "iterations=3"], "other")

    assert made.next_stage() == StageKey(2, Stage.ROLLOUT)
    assert [report.iteration for report in made.reports()] == [0, 1, 1, 1]
    assert (made.config.update.learning_rate, made.config.iterations) == (0.5, 3)
    assert versions(made.policies) == [0, 1] and made.record().forked_from == "source@1"
    assert not list(made.root.rglob(LOGGED)), "the fork's own MLflow run has nothing yet"
    assert source.next_stage() == StageKey(3, Stage.ROLLOUT) and versions(source.policies) == [0, 1, 2]


def test_what_a_fork_writes_does_not_reach_the_source(config: LoopConfig) -> None:
    """Weights are linked, to save the disk; everything that is ever appended to is a copy."""
    source = finished_run(config)
    write_verdicts(source.stage_dir(1, Stage.JUDGE), [])
    judged = "judge/judged.jsonl"
    (source.root / "iterations/0001" / judged).write_text("one\n")

    made = fork(source, 1, ["iterations=5"])

    with (made.root / "iterations/0001" / judged).open("a") as file:
        file.write("two\n")
    assert (source.root / "iterations/0001" / judged).read_text() == "one\n"
    assert read_verdicts(made.stage_dir(1, Stage.JUDGE)) == []
    weights = [checkpoint_path(one.policies, 1) / "model.safetensors" for one in (source, made)]
    assert weights[0].samefile(weights[1])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--at", "3"], "has finished iteration 2, not 3; give --at 2 or less"),
        (["--at", "2"], "leaves a fork after iteration 2 nothing to do; give iterations=3 or more"),
        (["--at", "1", "policy.model=elsewhere"], "policy.model can't change"),
        (["--at", "1", "--name", "../outside"], "a run's name begins with a letter or digit"),
        (["--at", "1", "--name", "source"], "exists already; choose another --name"),
        (["--at", "0"], "(version 0) was pruned; versions still there: 1, 2"),
    ],
)
def test_a_fork_that_cannot_be_made_is_a_sentence_and_leaves_nothing(
    arguments: list[str], sentence: str, config: LoopConfig, refused: Callable[..., str]
) -> None:
    source = finished_run(config)
    (pruned := checkpoint_path(source.policies, 0)).rename(pruned.with_name("gone"))
    before = sorted(source.root.parent.rglob("*"))

    assert sentence in refused("fork", source.root, *arguments)
    assert sorted(source.root.parent.rglob("*")) == before


def test_the_command_says_how_to_go_on(config: LoopConfig, rl_loop: RlLoop, tmp_path: Path) -> None:
    source = finished_run(config)

    done = rl_loop("fork", source.root, "iterations=4")

    assert done.status == 0, done.err
    made = RunFolder.open(source.root.parent / "source-2")
    assert f"has iterations 0 to 2 of source: {made.root}" in done.out
    assert f"resume {made.root}` continues it with iteration 3, rollout" in done.out


def test_an_iteration_is_trained_again_from_another_set_of_verdicts(config: LoopConfig, rl_loop: RlLoop) -> None:
    source = finished_run(config)
    judge = source.stage_dir(2, Stage.JUDGE)
    for directory, judged_by in ((judge, "verifier"), (judge / "sets" / "rubric", "rubric")):
        write_verdicts(directory, [Verdict(trajectory_id="t", reward=1.0, judge=judged_by)])
    write_plan(source, 2, Stage.ROLLOUT, [Group(group="g", members=1, task=Task(id="t", environment="x"))])

    made = fork(source, 1, ["update.verdict_set=rubric"], "again", judged=True)

    assert made.next_stage() == StageKey(2, Stage.POLICY_UPDATE) and versions(made.policies) == [0, 1]
    assert plan_file(made, 2, Stage.ROLLOUT).exists()
    command = update_command(made, 2)
    learned = Path(command[command.index("--verdicts") + 1])
    assert [one.judge for one in read_verdicts(learned.parent)] == ["rubric"] and learned.is_relative_to(made.root)
    with pytest.raises(LoopError, match=r"update\.verdict_set='rubric' and not None"):
        made.check_same(made.config.model_copy(update={"update": config.update}))

    status, _, err = rl_loop("fork", source.root, "--at", "1", "--judged", "update.verdict_set=strong")
    assert (
        status == 1 and "no set of verdicts strong to learn from" in err and "its sets: rubric; `rl-loop rejudge" in err
    )
    with pytest.raises(StageError, match="no set of verdicts rubric to learn from"):
        update_command(made, 1)
    status, _, err = rl_loop("fork", source.root, "--at", "2", "--judged", "iterations=5")
    assert status == 1 and "has not finished the rollout of iteration 3" in err


def test_a_set_whose_judge_believed_in_a_canary_is_not_learned_from(
    config: LoopConfig, refused: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    """The judge stage looks at its own verdicts only; a set comes from other judges."""
    source = finished_run(config)
    judged_by(source, "gullible", canary=1.0)
    asked = ["update.verdict_set=gullible"]
    before = sorted(source.root.parent.rglob("*"))

    sentence = refused("fork", source.root, "--at", "1", "--judged", *asked)

    assert sentence.startswith(
        "iteration 2, judge: the judge gullible called the canary task never a success in the set of verdicts gullible, "
        "trajectory i0002-never-m00; nobody can do that task"
    )
    assert "with judge.canary_alarm=warn" in sentence and sorted(source.root.parent.rglob("*")) == before
    # The set of a run is made while it goes on, too.
    running = RunFolder(source.root, source.config.model_copy(update={"update": _learning_from(config, "gullible")}))
    with pytest.raises(JudgeAlarm, match="the judge gullible called the canary task never a success"):
        update_command(running, 2)
    with caplog.at_level(logging.WARNING):
        made = fork(source, 1, [*asked, "judge.canary_alarm=warn"], "warned", judged=True)
        caplog.clear()
        assert update_command(made, 2)
    assert "called the canary task never a success in the set of verdicts gullible" in caplog.text


@pytest.mark.parametrize("reward", [0.0, None])
def test_a_set_whose_judge_was_right_about_the_canary_is_learned_from(config: LoopConfig, reward: float | None) -> None:
    source = finished_run(config)
    judged_by(source, "right", canary=reward)
    made = fork(source, 1, ["update.verdict_set=right"], judged=True)
    assert str(made.stage_dir(2, Stage.JUDGE) / "sets" / "right" / "verdicts.jsonl") in update_command(made, 2)


def test_a_damaged_set_is_one_sentence(config: LoopConfig, refused: Callable[..., str]) -> None:
    source = finished_run(config)
    judged_by(source, "torn", canary=0.0)
    (source.stage_dir(2, Stage.JUDGE) / "sets" / "torn" / "verdicts.jsonl").write_text('{"traject')
    assert "sets/torn/verdicts.jsonl can't be read: " in refused(
        "fork", source.root, "--at", "1", "--judged", "update.verdict_set=torn"
    )


def _learning_from(config: LoopConfig, name: str) -> UpdateConfig:
    return config.update.model_copy(update={"verdict_set": name})
