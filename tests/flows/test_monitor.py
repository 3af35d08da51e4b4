"""The task monitor on real run folders: running, finished, packed, half-written."""

import os
import time

import pytest
from watched_run import WatchedStage

from flows.commands.upkeep import compact_run
from flows.monitor.model import Episode, Snapshot, State
from flows.monitor.monitor import SILENT_S, Monitor
from flows.settings.run_folder import RunFolder
from rollouts.plan import write_plan
from storage.errors import RunFolderError
from storage.stages import Stage, StageKey, StageReport


def cells(snapshot: Snapshot) -> dict[str, Episode]:
    return {episode.id: episode for group in snapshot.groups for episode in group.episodes}


def test_a_rollout_that_goes_on(begun: RunFolder, played: WatchedStage) -> None:
    snapshot = Monitor(begun).look()

    names, seen = played.names, cells(snapshot)
    assert snapshot.key == snapshot.current == StageKey(1, Stage.ROLLOUT) and not snapshot.is_finished
    assert [group.name for group in snapshot.groups] == ["click-link.3000", "click-link.3001", "click-link.3002"]
    assert list(seen) == names
    assert seen[names[0]] == (names[0], State.DONE, 7, None)
    assert seen[names[2]] == (names[2], State.BROKEN_INFRA, 1, None)
    assert seen[names[3]][1:3] == (State.MODEL, 3) and time.time() - (seen[names[3]].since or 0) < 60
    assert seen[names[5]][1:3] == (State.ALLOCATE, 0)
    assert snapshot.counts == {
        State.DONE: 2,
        State.BROKEN_INFRA: 1,
        State.MODEL: 2,
        State.ALLOCATE: 1,
        State.WAITING: 6,
    }
    assert (snapshot.over, snapshot.playing, snapshot.total) == (3, 3, 12)
    assert snapshot.steps == 7 + 2 + 1 + 3 + 3
    assert (snapshot.judged, snapshot.successes, snapshot.success_rate) == (2, 1, 0.5)
    assert (snapshot.slots, snapshot.queued) == (3 + 2, 4 + 2)
    assert snapshot.attempts == {("infra", "BROWSER_CRASHED"): 2, ("site", "NAVIGATION_TIMEOUT"): 1}
    assert snapshot.silent_s is not None and snapshot.silent_s < SILENT_S


def test_the_pace_comes_from_when_episodes_ended(begun: RunFolder, played: WatchedStage) -> None:
    ended = time.time() - 10
    os.utime(played.directory / "plan.jsonl", (ended - 90, ended - 90))
    for name in played.names[:3]:
        os.utime(played.directory / name / "trajectory.json", (ended, ended))

    pace = Monitor(begun).look().pace

    assert pace.episodes_per_min == pytest.approx(3 / 100 * 60, rel=0.1)
    assert pace.steps_per_s == pytest.approx(16 / 100, rel=0.1)
    assert pace.eta_s == pytest.approx(9 * 100 / 3, rel=0.1)


def test_what_a_killed_process_left_is_not_played(begun: RunFolder) -> None:
    stage = WatchedStage(begun, groups=1, members=2)
    stage.plays(*stage.names, phase="act", step=2, age_s=SILENT_S + 30)
    long_ago = time.time() - SILENT_S - 60
    os.utime(stage.directory / "plan.jsonl", (long_ago, long_ago))

    snapshot = Monitor(begun).look()

    assert snapshot.counts == {State.WAITING: 2} and snapshot.slots == 0
    assert snapshot.pace == (None, None, None)
    assert snapshot.silent_s == pytest.approx(SILENT_S + 30, abs=5)


def test_a_finished_rollout_has_the_judges_success(begun: RunFolder, played: WatchedStage) -> None:
    names = played.names
    played.ends(*names[3:11], steps=4)
    played.judges(dict.fromkeys(names[:11], 0.5) | {names[0]: 1.0, names[2]: None})
    played.finishes(seconds=30)

    snapshot = Monitor(begun).look()

    assert snapshot.is_finished and snapshot.current == StageKey(1, Stage.JUDGE)
    assert snapshot.counts == {State.SUCCESS: 1, State.FAILURE: 9, State.BROKEN_INFRA: 1, State.LEFT_OUT: 1}
    assert (snapshot.judged, snapshot.successes) == (10, 1)
    assert snapshot.pace == (11 / 30 * 60, (7 + 2 + 1 + 8 * 4) / 30, None) and snapshot.seconds == 30
    assert snapshot.slots == 0, "a live file that was left behind"


def test_a_canary_task_is_no_success_of_the_policy(begun: RunFolder, played: WatchedStage) -> None:
    last = played.groups[-1]
    canary = last.model_copy(update={"task": last.task.model_copy(update={"canary": True})})
    write_plan(begun, 1, Stage.ROLLOUT, [*played.groups[:-1], canary])
    played.judges(dict.fromkeys(played.names, 1.0))

    snapshot = Monitor(begun).look()

    assert (snapshot.judged, snapshot.successes) == (8, 8), "four of twelve are canaries"


def test_a_packed_stage_looks_like_before(begun: RunFolder, played: WatchedStage) -> None:
    played.ends(*played.names[3:], steps=4)
    played.finishes()
    monitor = Monitor(begun)
    before = monitor.look()

    assert list(compact_run(begun)) and not (played.directory / played.names[0]).exists()

    assert cells(monitor.look()) == cells(Monitor(begun).look()) == cells(before)


def test_it_follows_the_run(begun: RunFolder, played: WatchedStage) -> None:
    monitor, steady = Monitor(begun), Monitor(begun, iteration=1)
    played.finishes()
    begun.finish(StageReport(stage=Stage.JUDGE, iteration=1, seconds=1))
    assert monitor.look().key == (1, Stage.ROLLOUT) and monitor.look().current == (1, Stage.POLICY_UPDATE)
    begun.finish(StageReport(stage=Stage.POLICY_UPDATE, iteration=1, seconds=1))

    assert monitor.look().key == (2, Stage.ROLLOUT) and monitor.look().groups == []
    assert steady.look().key == (1, Stage.ROLLOUT) and steady.is_over() and not monitor.is_over()
    WatchedStage(begun, groups=2, members=2, iteration=2)
    assert monitor.look().total == 4

    for stage in (Stage.ROLLOUT, Stage.JUDGE, Stage.POLICY_UPDATE):
        begun.finish(StageReport(stage=stage, iteration=2, seconds=1))
    evaluated = WatchedStage(begun, groups=3, members=1, iteration=2, stage=Stage.EVALUATE)
    evaluated.ends(*evaluated.names)
    evaluated.judges(dict.fromkeys(evaluated.names, 1.0))
    assert monitor.look().counts == {State.SUCCESS: 3}
    assert Monitor(begun, stage=Stage.ROLLOUT).look().key == (2, Stage.ROLLOUT)
    evaluated.finishes()
    assert monitor.is_over() and monitor.look().key == (2, Stage.EVALUATE) and monitor.look().current is None


def test_stages_that_there_are_not(begun: RunFolder) -> None:
    with pytest.raises(RunFolderError, match="run a has iterations 0 to 2, not 3"):
        Monitor(begun, iteration=3)
    with pytest.raises(RunFolderError, match="iteration 0 of run a is the evaluation of its first policy"):
        Monitor(begun, iteration=0, stage=Stage.ROLLOUT)
    with pytest.raises(RunFolderError, match=r"does not evaluate after iteration 1 \(evaluate.every=2\)"):
        Monitor(begun, iteration=1, stage=Stage.EVALUATE)
    assert Monitor(begun, iteration=0).look().key == (0, Stage.EVALUATE)


def test_torn_files_cost_nothing_but_themselves(begun: RunFolder, played: WatchedStage) -> None:
    monitor = Monitor(begun)
    before = monitor.look()
    (played.directory / "live-02.json").write_text('{"at": 17600')
    (played.directory / "live-xx.json").write_text("{}")
    (played.directory / "progress-01.json").write_bytes(b"\xff\xfe")
    with (played.directory / "failures.jsonl").open("ab") as file:
        file.write(b'{"trajectory_id": "\xc3')
    played.judges({})
    verdicts = begun.stage_dir(1, Stage.JUDGE) / "verdicts.jsonl"
    verdicts.write_text('{"trajectory_id": "i0001')
    (played.directory / played.names[6]).mkdir()
    (played.directory / played.names[6] / "trajectory.json").write_text('{"id": "i00')

    for eyes in (monitor, Monitor(begun)):
        after = eyes.look()
        assert after.counts == {**before.counts, State.DONE: 3, State.WAITING: 5}
        assert (after.attempts, after.judged, after.slots) == (before.attempts, 2, before.slots)

    plan = played.directory / "plan.jsonl"
    plan.write_bytes(plan.read_bytes()[:-20])
    assert len(Monitor(begun).look().groups) == 2


def test_it_reads_a_finished_trajectory_once_and_writes_nothing(begun: RunFolder, played: WatchedStage) -> None:
    monitor = Monitor(begun)
    before = monitor.look()
    files = {path: path.stat().st_mtime_ns for path in begun.root.rglob("*")}
    with begun.lock():  # held by the run that is watched
        for name in played.names[:3]:
            (played.directory / name / "trajectory.json").write_text("changed, which never happens")
        assert cells(monitor.look()) == cells(before)
    assert set(begun.root.rglob("*")) - files.keys() == {begun.root / "lock", begun.root / "heartbeat.json"}


def test_a_first_look_at_many_trajectories_does_not_wait_for_all(begun: RunFolder, played: WatchedStage) -> None:
    monitor = Monitor(begun)

    at_once = monitor.look(read_s=0)
    assert at_once.over == 3 and at_once.steps == 6, "only what the live files say"
    assert monitor.look(read_s=60).steps == 16


def test_what_was_carried_over_is_shown_too(begun: RunFolder) -> None:
    stage = WatchedStage(begun, groups=1, members=1)
    stage.plays("i0000-old.1-m00", "i0000-old.1-m03", phase="parked", step=5)
    stage.ends("i0000-old.1-m01")

    groups = Monitor(begun).look().groups

    assert [group.name for group in groups] == ["click-link.3000", "i0000-old.1"]
    assert [episode.state for episode in groups[1].episodes] == [State.PARKED, State.DONE, State.PARKED]
