"""A run folder from before the scheduler and the layout had rooms of their own is read, and resumes where it stopped.

`old_run/` was written by the version before: an evaluation, an iteration with a group that was carried over, and a second
rollout that was interrupted with one member of this group finished, one abandoned, and two groups not begun.
"""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from game import ended, files_of, play_rollout, rank_for, use

from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played
from benchmarks import virtual_clock
from dashboard.runs import run_view
from dashboard.store import RunsDir
from flows.commands.checkup import findings
from flows.settings.run_folder import RunFolder
from rollouts.plan import planned_groups, read_carried
from rollouts.stragglers import unfinished_shards
from storage.failed_attempts import FAILURES, read_failures
from storage.progress import read_progress
from storage.stages import Stage, StageKey
from storage.verdicts import read_verdicts

OLD = Path(__file__).parent / "old_run"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.open(Path(shutil.copytree(OLD, tmp_path / "old")))


def test_it_is_whole_and_the_next_stage_is_found(folder: RunFolder) -> None:
    found = findings(folder.root)
    assert all(one.ok for one in found), [one for one in found if not one.ok]
    assert folder.next_stage() == StageKey(2, Stage.ROLLOUT) and folder.writer() is None
    assert [StageKey(report.iteration, report.stage) for report in folder.reports()] == [
        StageKey(0, Stage.EVALUATE),
        *(StageKey(1, stage) for stage in (Stage.ROLLOUT, Stage.JUDGE, Stage.POLICY_UPDATE)),
    ]
    judged = folder.report(1, Stage.JUDGE)
    assert judged is not None and (judged.counts["verdicts"], judged.metrics["success_rate"]) == (4, 0.5)
    assert [verdict.reward for verdict in read_verdicts(folder.stage_dir(1, Stage.JUDGE))] == [1, 0, 1, 0]


def test_the_dashboard_shows_it(folder: RunFolder) -> None:
    view = run_view(RunsDir(folder.root.parent), "old")
    assert view.problems == [] and view.created.startswith("2026-") and view.iterations_planned == 2
    assert (view.now, view.train_last, view.heldout_last) == ("iteration 2, rollout", 0.5, 1.0)


def test_a_resume_plays_what_is_missing_and_nothing_else(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    (carried,) = read_carried(folder, 1)
    planned = planned_groups(folder.inputs, 2, Stage.ROLLOUT)
    assert planned[0] == carried and len(planned) == 3
    assert unfinished_shards(folder.inputs, 2, Stage.ROLLOUT) == {0: planned}
    played: list[tuple[str, int]] = []

    async def play(slot: EpisodeKey, setup: EpisodeSetup, **with_what: Any) -> Played:
        played.append((slot.trajectory_id, slot.attempt))
        await asyncio.sleep(1)
        return Played(ended(slot), {})

    async def resume() -> list[str | None]:
        return await play_rollout(folder, 2, [rank_for(folder)])

    use(monkeypatch, play)
    assert virtual_clock.run(resume()) == [None]
    done, abandoned = carried.names()
    assert read_failures(folder.stage_dir(2, Stage.ROLLOUT) / FAILURES)[-1].trajectory_id == abandoned
    missing = [name for group in planned for name in group.names() if name != done]
    assert sorted(played) == sorted((name, 2 if name == abandoned else 1) for name in missing)
    assert sorted(files_of(folder, 2).store.ids()) == sorted([done, *missing])
    assert read_progress(folder.stage_dir(2, Stage.ROLLOUT)).done == 6
    assert unfinished_shards(folder.inputs, 2, Stage.ROLLOUT) == {}
