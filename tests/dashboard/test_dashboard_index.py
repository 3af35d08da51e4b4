"""The index over the run folders: complete, incremental, tolerant of runs that go on and of damage."""

import shutil
from pathlib import Path

from sqlalchemy import select
from stored_run import (
    BROKEN,
    FAIL,
    HELDOUT,
    SUCCESS,
    pictures,
    trajectory,
    write,
    write_done,
    write_run,
    write_verdicts,
)

from agent.verdict import Verdict
from dashboard.api.service import Service
from dashboard.database.tables import RolloutRow, TaskRow
from dashboard.index.scanning import Scanned, Scanner
from storage.store import TrajectoryStore
from storage.upkeep.compaction import compact


def rows(service: Service) -> dict[str, RolloutRow]:
    with service.database.read() as session:
        return {row.trajectory_id: row for row in session.scalars(select(RolloutRow))}


def test_every_trajectory_is_a_row_with_its_verdict(service: Service) -> None:
    scanner = Scanner(service.runs, service.database)
    assert scanner.scan() == Scanned(read=4, removed=0, problems=[])
    found = rows(service)
    statuses = {SUCCESS: "completed", FAIL: "completed", BROKEN: "failed", HELDOUT: "completed"}
    assert {name: row.status for name, row in found.items()} == statuses
    assert {name: row.success for name, row in found.items()} == {
        SUCCESS: True,
        FAIL: False,
        BROKEN: None,
        HELDOUT: False,
    }
    assert (found[BROKEN].failure_code, found[SUCCESS].steps, found[SUCCESS].model) == ("BROWSER_CRASHED", 2, "policy")
    with service.database.read() as session:
        assert set(session.scalars(select(TaskRow.id))) == {row.task_id for row in found.values()}
    assert scanner.scan() == Scanned(read=0, removed=0, problems=[])
    assert Scanner(service.runs, service.database).scan().read == 0
    assert scanner.rebuild().read == 4


def test_a_run_that_goes_on_is_followed(service: Service) -> None:
    scanner = Scanner(service.runs, service.database)
    scanner.scan()
    stage = service.settings.runs / "demo/iterations/0002/rollout"
    store, name = TrajectoryStore(stage), "i0002-click-button.7-m00"
    store.write(trajectory(name, "click-button", iteration=2), pictures())
    store.begin("i0002-click-button.8-m00")
    assert scanner.scan().read == 1
    assert rows(service)[name].status == "judging"
    write_verdicts(stage.parent / "judge", Verdict(trajectory_id=name, reward=1.0, judge="miniwob"))
    assert scanner.scan().read == 0
    assert (rows(service)[name].status, rows(service)[name].success) == ("completed", True)
    write_done(stage, seconds=1.0)
    scanner.scan()
    compact(stage)
    scanner.scan()
    assert rows(service)[name].success is True


def test_an_episode_that_is_played_again_replaces_its_row(service: Service) -> None:
    scanner = Scanner(service.runs, service.database)
    scanner.scan()
    stage = service.settings.runs / "demo/iterations/0001/rollout"
    TrajectoryStore(stage).write(trajectory(BROKEN, "click-test"), pictures())
    (stage / "done.json").touch()
    assert scanner.scan().read == 1
    assert (rows(service)[BROKEN].failure_side, len(rows(service))) == ("", 4)


def test_damage_is_named_and_hides_nothing_else(service: Service) -> None:
    demo = service.settings.runs / "demo/iterations/0001"
    write(demo / f"rollout/{SUCCESS}/trajectory.json", '{"id": "x"')
    write(demo / "judge/verdicts.jsonl", "{")
    scanned = Scanner(service.runs, service.database).scan()
    assert scanned.read == 3 and len(scanned.problems) == 2
    assert str(service.settings.runs) not in " ".join(scanned.problems)


def test_what_is_deleted_leaves_the_index_and_links_are_not_followed(service: Service, tmp_path: Path) -> None:
    scanner = Scanner(service.runs, service.database)
    write_run(service.settings.runs, "second")
    write_run(tmp_path, "secret")
    (service.settings.runs / "secret").symlink_to(tmp_path / "secret")
    scanner.scan()
    with service.database.read() as session:
        assert set(session.scalars(select(RolloutRow.run))) == {"demo", "second"}
    shutil.rmtree(service.settings.runs / "second")
    shutil.rmtree(service.settings.runs / f"demo/iterations/0001/rollout/{FAIL}")
    scanner.scan()
    assert set(rows(service)) == {SUCCESS, BROKEN, HELDOUT}
