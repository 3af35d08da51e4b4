"""Rollout and evaluation against a real Chromium and a stand-in for vLLM: nothing is played twice, nothing is lost."""

import json
import os
from collections.abc import Generator

import pytest
from real_services import supervised
from stand_in_model import StandInModel, running_model

from flows.policy.waiting import StageError
from flows.services.model_servers import socket_path
from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from flows.stages.evaluate import evaluate_stage
from flows.stages.judge import judge_stage
from flows.stages.rollout import rollout_stage
from rollouts.shard_workers import ShardWorkers
from rollouts.task_history import read_outcomes
from storage.failed_attempts import read_failures
from storage.process_id import ProcessId
from storage.progress import read_progress
from storage.stages import Stage
from storage.store import TrajectoryStore
from storage.verdicts import read_verdicts
from training.checkpointing.checkpoints import import_policy

pytestmark = pytest.mark.browser


@pytest.fixture
def folder(write_config) -> RunFolder:
    """A run with its first policy, two groups of two single clicks per iteration; a stage needs nothing valid to count."""
    config = load_config(write_config(), ["environment.domains=[click-test]", "rollout.min_valid_groups=0"])
    folder = RunFolder.create("small", config)
    import_policy(config.policy.model, folder.policies)
    return folder


@pytest.fixture
def model(folder: RunFolder, browsers: str) -> Generator[StandInModel]:
    """The stand-in for vLLM where the run expects it, and the file that says where the browsers are."""
    supervised(folder.config, browsers)
    with running_model(socket_path(folder.config.services.state_dir)) as state:
        yield state


def written(folder: RunFolder, stage: Stage) -> dict[str, int]:
    paths = folder.stage_dir(1, stage).glob("*/trajectory.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in paths}


async def test_a_rollout_is_collected_once_and_judged(folder: RunFolder, model: StandInModel) -> None:
    report = await rollout_stage(folder, 1, ShardWorkers(folder.inputs))
    before, asked = written(folder, Stage.ROLLOUT), model.completions

    again = await rollout_stage(folder, 1, ShardWorkers(folder.inputs))
    judged = await judge_stage(folder, 1)

    assert report.counts == {"trajectories": 4, "failed": 0, "rounds": 1, "carried_in": 0, "carried_out": 0}
    assert again.counts["rounds"] == 0
    assert written(folder, Stage.ROLLOUT) == before and model.completions == asked
    assert sorted(name.rpartition("-")[2] for name in before) == ["m00", "m00", "m01", "m01"]
    assert all(name.startswith("i0001-click-test.") for name in before)
    assert judged.metrics["success_rate"] == 1.0 and judged.metrics["judged"] == 4
    assert {"allocate", "navigate", "model", "act", "settle", "observe", "judge"} <= {
        name.removeprefix("phase_s_mean/") for name in judged.metrics
    }
    assert report.metrics["wasted_attempts"] == report.metrics["policy_age_max"] == 0
    assert report.metrics["bytes_per_step"] > 0
    assert [outcome.attempts for outcome in read_outcomes(folder.stage_dir(1, Stage.JUDGE))] == [2, 2]
    assert not list(folder.stage_dir(1, Stage.ROLLOUT).glob("*/steps.jsonl"))
    assert model.published == ["unproved small:0", "small:0"]
    progress = read_progress(folder.stage_dir(1, Stage.ROLLOUT))
    assert (progress.done, progress.total) == (4, 4)


async def test_a_model_server_that_does_not_tell_its_queue_is_no_failure(write_config, browsers: str) -> None:
    config = load_config(write_config(), ["environment.domains=[click-test]", "rollout.model_queue=0"])
    folder = RunFolder.create("queued", config)
    import_policy(config.policy.model, folder.policies)
    supervised(config, browsers)
    with running_model(socket_path(config.services.state_dir)) as model:
        report = await rollout_stage(folder, 1, ShardWorkers(folder.inputs))
    assert "/metrics" in model.asked
    assert report.counts["trajectories"] == 4 and report.counts["failed"] == 0


async def test_only_what_is_missing_is_played_again(folder: RunFolder, model: StandInModel) -> None:
    await rollout_stage(folder, 1, ShardWorkers(folder.inputs))
    before = written(folder, Stage.ROLLOUT)
    lost = sorted(before)[1]
    (folder.stage_dir(1, Stage.ROLLOUT) / lost / "trajectory.json").unlink()

    await rollout_stage(folder, 1, ShardWorkers(folder.inputs))

    after = written(folder, Stage.ROLLOUT)
    assert after.pop(lost) != before.pop(lost)
    assert after == before


async def test_a_restarted_model_server_gets_the_policy_again(folder: RunFolder, model: StandInModel) -> None:
    model.restart_at = 2

    report = await rollout_stage(folder, 1, ShardWorkers(folder.inputs))

    assert report.counts == {"trajectories": 4, "failed": 0, "rounds": 2, "carried_in": 0, "carried_out": 0}
    assert model.published == ["unproved small:0", "small:0"] * 2
    trajectories = list(TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT)))
    assert {trajectory.policy_version for trajectory in trajectories} == {0}
    codes = {failed.failure.code for failed in read_failures(folder.stage_dir(1, Stage.ROLLOUT) / "failures.jsonl")}
    assert codes <= {"MODEL_GONE", "POLICY_CHANGED"} and codes


async def test_an_episode_that_keeps_breaking_is_stored_as_broken_and_never_judged(
    folder: RunFolder, model: StandInModel
) -> None:
    model.status = 500

    report = await evaluate_stage(folder, 0, ShardWorkers(folder.inputs))

    assert report.counts == {"trajectories": 3, "failed": 3, "unjudged": 3, "rounds": 1}
    assert "success_rate" not in report.metrics
    directory = folder.stage_dir(0, Stage.EVALUATE)
    attempts = [failed.attempt for failed in read_failures(directory / "failures.jsonl")]
    assert sorted(attempts) == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert all(verdict.reward is None for verdict in read_verdicts(directory))

    # Attempts of an earlier process are counted on.
    name = TrajectoryStore(directory).ids()[0]
    (directory / name / "trajectory.json").unlink()
    model.status = 200

    await evaluate_stage(folder, 0, ShardWorkers(folder.inputs))

    assert TrajectoryStore(directory).read(name).attempt == 4
    line = json.loads((directory / "failures.jsonl").read_text().splitlines()[0])
    assert line["failure"]["code"] == "MODEL_ERROR"


async def test_a_lost_service_that_nobody_supervises_ends_the_stage_with_a_sentence(
    folder: RunFolder, browsers: str
) -> None:
    supervised(folder.config, browsers, ProcessId(pid=os.getpid(), started=1))

    with pytest.raises(
        StageError, match=r"vLLM is down and nothing supervises it .*; `rl-loop resume \S*/small` starts it"
    ):
        await rollout_stage(folder, 1, ShardWorkers(folder.inputs))

    assert folder.next_stage() is not None and not folder.is_done(1, Stage.ROLLOUT)


async def test_films_are_kept_by_rule_once_they_are_judged(write_config, browsers: str) -> None:
    """All of them until then; of the rollout's successes only the traces, of the evaluation's failures both."""
    rules = "agent.record={video: failures, trace: all}"
    folder = RunFolder.create(
        "filmed", load_config(write_config(), ["environment.domains=[click-test]", "evaluate.tasks=1", rules])
    )
    import_policy(folder.config.policy.model, folder.policies)
    supervised(folder.config, browsers)
    both = {"video.webm", "trace.zip", "trajectory.json"}

    def there(stage: Stage, iteration: int) -> list[set[str]]:
        paths = folder.stage_dir(iteration, stage).glob("*/trajectory.json")
        return [{path.name for path in file.parent.iterdir()} for file in paths]

    with running_model(socket_path(folder.config.services.state_dir)) as model:
        await rollout_stage(folder, 1, ShardWorkers(folder.inputs))
        assert there(Stage.ROLLOUT, 1) == [both] * 4
        await judge_stage(folder, 1)
        assert there(Stage.ROLLOUT, 1) == [both - {"video.webm"}] * 4
        model.answer = "no action"
        await evaluate_stage(folder, 0, ShardWorkers(folder.inputs))
        assert there(Stage.EVALUATE, 0) == [both]
