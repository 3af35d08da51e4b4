"""A stage without evidence about the policy never finishes: it is played again, or fails where that cannot help."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from game import ended, files_of, rank_for, running_game, use

from agent.episode_facts import facts_of
from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played
from agent.models.openai_chat import Served
from agent.types import Failure, Trajectory
from benchmarks import virtual_clock
from flows.policy.waiting import StageError
from flows.settings.run_folder import RunFolder
from flows.stages import rollout
from flows.stages.evaluate import evaluate_stage
from flows.stages.judge import judge_stage
from flows.stages.rollout import ShardKey, collect, rollout_stage
from rollouts.evidence import lack_of_evidence
from rollouts.inputs import StageInputs
from rollouts.plan import assigned, planned_groups
from rollouts.shard_workers import ShardWorkers
from rollouts.stage_files import StageFiles
from storage.stages import Stage, StageKey, StageReport
from storage.store import TrajectoryStore

SHAPE = {"groups_per_iteration": 4, "group_size": 2, "concurrency": 2, "completion_threshold": 1.0}
DOWN = Failure(side="site", code="NAVIGATION_FAILED", message="net::ERR_CONNECTION_REFUSED", retryable=False)
CRASH = Failure(side="infra", code="BROWSER_CRASHED", message="on purpose", retryable=False)
TOO_LONG = Failure(side="infra", code="FIRST_PROMPT_TOO_LONG", message="the first prompt does not fit", retryable=False)
Breaks = Callable[[EpisodeKey, float], Failure | None]
"""Returns the failure of an episode that ends at this second, None if it does not break."""


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str]]:
    """Times and ids of begun episodes. No services are needed."""
    monkeypatch.setattr("os.fsync", lambda handle: None)
    monkeypatch.setattr(rollout, "policy_version", lambda folder, iteration: 0)
    monkeypatch.setattr("flows.stages.evaluate.policy_version", lambda folder, iteration: 0)

    async def browsers(folder: RunFolder) -> str:
        return "http://browsers"

    async def served(folder: RunFolder, version: int, workers: ShardWorkers) -> Served:
        return Served("game", None, version)

    monkeypatch.setattr(rollout, "ensure_browsers", browsers)
    monkeypatch.setattr(rollout, "ensure_served", served)
    return []


def breaking(monkeypatch: pytest.MonkeyPatch, begun: list[tuple[float, str]], breaks: Breaks) -> None:
    async def play(slot: EpisodeKey, setup: EpisodeSetup, **with_what: Any) -> Played:
        clock = asyncio.get_running_loop().time
        begun.append((clock(), slot.trajectory_id))
        await asyncio.sleep(1)
        failure = breaks(slot, clock())
        trajectory = ended(slot)
        done = {"done": True, "raw_reward": 1.0, "utterance": "Click."}
        return Played(trajectory.model_copy(update={"failure": failure, "final_state": done}), {})

    use(monkeypatch, play)


async def shards(workers: ShardWorkers, inputs: StageInputs, keys: list[ShardKey]) -> list[str | None]:
    """Each shard on a rank of its own."""

    folder = inputs.run.layout
    assert isinstance(folder, RunFolder)

    async def one(key: ShardKey) -> str | None:
        weights = folder.config.rollout.weights()
        files = StageFiles(
            folder, key.iteration, key.stage, shard=key.shard, slots=folder.config.rollout.slots_of(key.shard)
        )
        mine = assigned(planned_groups(inputs.run, key.iteration, key.stage), weights)[key.shard]
        return await rank_for(folder, key.shard).play(files, mine, threshold=1.0)

    return await asyncio.gather(*(one(key) for key in keys))


def collected(folder: RunFolder, stage: Stage = Stage.ROLLOUT) -> int:
    played = virtual_clock.run(collect(folder, 1, stage, ShardWorkers(folder.inputs), version=0, play_shards=shards))
    assert [one.id for one in played.episodes] == [one.id for one in stored(folder, stage)]
    return played.rounds


def stored(folder: RunFolder, stage: Stage = Stage.ROLLOUT) -> list[Trajectory]:
    return list(
        files_of(folder, 1).store if stage is Stage.ROLLOUT else StageFiles(folder, 1, stage, shard=0, slots=1).store
    )


@pytest.mark.parametrize("failure", [DOWN, CRASH], ids=lambda failure: failure.side)
def test_an_outage_is_waited_out(monkeypatch: pytest.MonkeyPatch, begun: Any, failure: Failure, caplog: Any) -> None:
    breaking(monkeypatch, begun, lambda slot, second: failure if second < 60 else None)
    with running_game(**SHAPE, outage_s=600) as folder, caplog.at_level(logging.WARNING):
        assert collected(folder) > 2
        assert len(stored(folder)) == 8 and all(one.failure is None for one in stored(folder))
    assert failure.code in caplog.text and "played again in 5 s" in caplog.text


@pytest.mark.parametrize("stage", [Stage.ROLLOUT, Stage.EVALUATE])
def test_an_outage_that_lasts_fails_the_stage_and_a_resume_plays_it(
    monkeypatch: pytest.MonkeyPatch, begun: Any, stage: Stage
) -> None:
    breaking(monkeypatch, begun, lambda slot, second: DOWN)
    with running_game(**SHAPE, outage_s=100) as folder:
        with pytest.raises(
            StageError, match=r"0 of \d+ groups have episodes that count, .*NAVIGATION_FAILED: net::ERR_CONN"
        ):
            collected(folder, stage)
        assert stored(folder, stage) == [] and not folder.is_done(1, stage)
        assert begun[-1][0] <= 110, "it is given up in time"

        breaking(monkeypatch, begun, lambda slot, second: None)
        collected(folder, stage)
        assert stored(folder, stage) and all(one.failure is None for one in stored(folder, stage))


def test_half_of_the_groups_are_enough_and_what_broke_in_the_others_stays_broken(
    monkeypatch: pytest.MonkeyPatch, begun: Any
) -> None:
    with running_game(**SHAPE) as folder:
        names = [group.group for group in planned_groups(folder.inputs, 1, Stage.ROLLOUT)]
        breaking(monkeypatch, begun, lambda slot, second: DOWN if slot.group in names[:2] else None)
        assert collected(folder) == 1
        assert sum(one.failure is not None for one in stored(folder)) == 4


def test_a_group_of_which_one_episode_is_left_compares_nothing(monkeypatch: pytest.MonkeyPatch, begun: Any) -> None:
    breaking(monkeypatch, begun, lambda slot, second: DOWN if slot.member == 0 else None)
    with running_game(**SHAPE, outage_s=0) as folder:
        with pytest.raises(StageError, match="0 of 4 groups"):
            collected(folder)
        assert len(stored(folder)) == 4, "what is valid is kept"


@pytest.mark.parametrize(
    ("share", "broken", "enough"), [(0.0, 4, True), (0.75, 1, True), (0.75, 2, False), (1.0, 1, False)]
)
def test_the_share_is_configured(
    monkeypatch: pytest.MonkeyPatch, begun: Any, share: float, broken: int, enough: bool
) -> None:
    with running_game(**SHAPE, min_valid_groups=share, outage_s=0) as folder:
        names = [group.group for group in planned_groups(folder.inputs, 1, Stage.ROLLOUT)]
        breaking(monkeypatch, begun, lambda slot, second: CRASH if slot.group in names[:broken] else None)
        if enough:
            assert collected(folder) == 1
        else:
            with pytest.raises(StageError, match=r"rollout\.min_valid_groups"):
                collected(folder)


def test_killed_stragglers_are_no_outage(monkeypatch: pytest.MonkeyPatch, begun: Any) -> None:
    straggler = Failure(side="infra", code="STRAGGLER", message="", retryable=False)
    with running_game(**SHAPE | {"completion_threshold": 0.25, "stragglers": "kill"}) as folder:
        names = [group.group for group in planned_groups(folder.inputs, 1, Stage.ROLLOUT)]
        breaking(monkeypatch, begun, lambda slot, second: straggler if slot.group in names[1:] else None)
        assert collected(folder) == 1
        facts = [facts_of(one) for one in stored(folder)]
        assert lack_of_evidence(folder.inputs, StageKey(1, Stage.ROLLOUT), facts) is None


def test_a_prompt_that_never_fits_stops_the_stage_at_once(monkeypatch: pytest.MonkeyPatch, begun: Any) -> None:
    breaking(monkeypatch, begun, lambda slot, second: TOO_LONG)
    with running_game(**SHAPE | {"groups_per_iteration": 16}) as folder:
        with pytest.raises(StageError, match="no episode can be played with this configuration: FIRST_PROMPT_TOO_LONG"):
            collected(folder)
        assert len(begun) <= 6 and stored(folder) == [], "four tell enough"


def test_a_refused_key_fails_the_first_episode(monkeypatch: pytest.MonkeyPatch, begun: Any) -> None:
    key = Failure(side="infra", code="MODEL_KEY", message="401", retryable=False)
    breaking(monkeypatch, begun, lambda slot, second: key)
    with running_game(**SHAPE) as folder:
        with pytest.raises(StageError, match="with this configuration: MODEL_KEY: 401"):
            collected(folder)
        assert len(begun) <= 2 and stored(folder) == []


def test_a_small_stage_of_which_no_prompt_fits_is_not_played_again(monkeypatch: pytest.MonkeyPatch, begun: Any) -> None:
    breaking(monkeypatch, begun, lambda slot, second: TOO_LONG)
    with running_game(**SHAPE | {"groups_per_iteration": 1}) as folder:
        with pytest.raises(StageError, match="the configuration's fault"):
            collected(folder)
        assert len(begun) == 2 and stored(folder) == []


def test_one_task_whose_prompt_does_not_fit_stops_nothing(monkeypatch: pytest.MonkeyPatch, begun: Any) -> None:
    with running_game(**SHAPE) as folder:
        names = [group.group for group in planned_groups(folder.inputs, 1, Stage.ROLLOUT)]
        breaking(monkeypatch, begun, lambda slot, second: TOO_LONG if slot.group == names[1] else None)
        assert collected(folder) == 1 and len(stored(folder)) == 8


def test_tasks_that_are_gone_are_one_sentence(monkeypatch: pytest.MonkeyPatch, begun: Any) -> None:
    with running_game(**SHAPE) as folder:
        monkeypatch.setattr("rollouts.plan.draw_tasks", unknown)
        with pytest.raises(StageError, match="iteration 1, rollout: environment: no file of tasks"):
            collected(folder)


def unknown(*arguments: Any, **named: Any) -> None:
    raise ValueError("no file of tasks")


def test_a_judge_without_verdicts_is_not_finished(monkeypatch: pytest.MonkeyPatch, begun: Any) -> None:
    with running_game(**SHAPE) as folder:
        breaking(monkeypatch, begun, lambda slot, second: None)
        virtual_clock.run(rollout_stage(folder, 1, ShardWorkers(folder.inputs), shards))
        assert folder.is_done(1, Stage.ROLLOUT)
        whole = list(files_of(folder, 1).store)
        for trajectory in whole:  # the record of the end is missing, as after a change of the environment
            files_of(folder, 1).store.write(trajectory.model_copy(update={"final_state": {}}), {})
        with pytest.raises(
            StageError,
            match=r"judge: 0 of 4 groups could be judged, 2 are needed .* most of them: miniwob: Expected a recor",
        ):
            asyncio.run(judge_stage(folder, 1))
        assert not folder.is_done(1, Stage.JUDGE)

        for trajectory in whole:
            files_of(folder, 1).store.write(trajectory, {})
        assert asyncio.run(judge_stage(folder, 1)).counts["unjudged"] == 0


def test_an_evaluation_without_verdicts_is_not_finished(monkeypatch: pytest.MonkeyPatch, begun: Any) -> None:
    breaking(monkeypatch, begun, lambda slot, second: None)
    monkeypatch.setattr("environments.miniwob.verifier.check", broken_check)
    with running_game(**SHAPE) as folder:
        with pytest.raises(StageError, match=r"evaluate: 0 of \d+ groups could be judged.*KeyError: 'reward'"):
            virtual_clock.run(evaluate_stage(folder, 0, ShardWorkers(folder.inputs), shards))
        assert not folder.is_done(0, Stage.EVALUATE)


async def broken_check(trajectory: Trajectory, evidence: dict[str, Any]) -> Any:
    raise KeyError("reward")


def test_a_stage_reads_each_trajectory_once(monkeypatch: pytest.MonkeyPatch, begun: Any) -> None:
    breaking(monkeypatch, begun, lambda slot, second: None)
    read, really = Counter[str](), TrajectoryStore.read

    def counted(store: TrajectoryStore, trajectory_id: str) -> Trajectory:
        read[trajectory_id] += 1
        return really(store, trajectory_id)

    with running_game(**SHAPE) as folder:
        monkeypatch.setattr(TrajectoryStore, "read", counted)
        virtual_clock.run(rollout_stage(folder, 1, ShardWorkers(folder.inputs), shards))
    assert len(read) == 8 and set(read.values()) == {1}


def test_an_iteration_of_broken_episodes_is_judged_without_complaint(
    begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`min_valid_groups: 0` allows it: no episode could be judged, so no verdict is missing."""
    breaking(monkeypatch, begun, lambda slot, second: DOWN)
    with running_game(**SHAPE, min_valid_groups=0) as folder:
        virtual_clock.run(rollout_stage(folder, 1, ShardWorkers(folder.inputs), shards))
        assert isinstance(asyncio.run(judge_stage(folder, 1)), StageReport)
