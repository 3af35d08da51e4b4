"""Maintenance of a finished run: export, compaction, doctor, and files of tasks from the command line."""

import hashlib
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from agent.types import Answer, Completion, Failure, Step, StopReason, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import ClickId, Observation, Screenshot, Viewport
from flows.cli import main
from flows.commands.checkup import findings
from flows.commands.export import SCHEMA, export_run
from flows.commands.upkeep import compact_run
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from flows.settings.storage_config import StorageConfig
from flows.stages.retention import apply_retention, remove_old_files
from rollouts.plan import plan
from storage.errors import LoopError, RunFolderError
from storage.human_verdicts import HUMAN, HumanVerdict, append_human
from storage.stages import Stage, StageReport
from storage.store import TrajectoryStore
from storage.upkeep.retention import DAY_S, KeepConfig
from storage.verdicts import VERDICTS
from training.checkpointing.canary import Canary, ScoredCompletion
from training.checkpointing.checkpoints import checkpoint_path
from training.config import UpdateConfig

CANARY = hashlib.sha256(b"of a canary").hexdigest()
PICTURE = b"a picture"
SHOWN = hashlib.sha256(PICTURE).hexdigest()
Run = Callable[..., tuple[int, str, str]]


def played(name: str, task: Task, *, group: str, member: int, failure: Failure | None = None) -> Trajectory:

    shot = Screenshot(sha256=SHOWN, media_type="image/png", width=1, height=1)
    page = Observation(url="http://a/", title="A", viewport=Viewport(), screenshot=shot)
    said = Completion(text="click(1)", prompt_token_ids=(1, 2, 3), token_ids=(4, 5), logprobs=(-0.5, -0.25))
    actions = (ClickId(id=1), Answer(text="42"))
    steps = tuple(Step(index=n, observation=page, completion=said, action=action) for n, action in enumerate(actions))
    return Trajectory(
        id=name,
        task=task,
        goal="Find it.",
        group=group,
        member=member,
        iteration=0,
        steps=() if failure else steps,
        stop=StopReason.FAILED if failure else StopReason.ANSWERED,
        answer=None if failure else "42",
        failure=failure,
        policy_version=0,
    )


@pytest.fixture
def folder(config: LoopConfig) -> RunFolder:
    """A run with one finished evaluation: a success, a failed try, and an episode that broke."""

    folder = RunFolder.create("a", config)
    directory = folder.stage_dir(0, Stage.EVALUATE)
    store = TrajectoryStore(directory)
    broken = Failure(side="infra", code="BROWSER_CRASHED", message="gone", retryable=True)
    verdicts = []
    for slot, reward in zip(plan(folder.inputs, 0, Stage.EVALUATE), (1.0, 0.0, None), strict=True):
        failure = broken if reward is None else None
        one = played(slot.trajectory_id, slot.task, group=slot.group, member=slot.member, failure=failure)
        store.write(one, {SHOWN: PICTURE})
        verdicts.append(Verdict(trajectory_id=one.id, reward=reward, judge="verifier"))
    (directory / VERDICTS).write_text("".join(f"{verdict.model_dump_json()}\n" for verdict in verdicts))
    folder.finish(StageReport(stage=Stage.EVALUATE, iteration=0, seconds=1.0))
    return folder


@pytest.fixture
def rl_loop(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in this process: status, output, errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rl-loop", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return (code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


def reported(folder: RunFolder, check: str) -> tuple[bool, str]:
    [finding] = [finding for finding in findings(folder.root) if finding.check == check]
    return finding.ok, finding.text


def test_a_parquet_file_has_a_row_per_step_with_webgyms_fields(folder: RunFolder, tmp_path: Path) -> None:
    assert export_run(folder, tmp_path / "a.parquet", pictures=True) == 5
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert len(rows) == 5 and set(rows[0]) == {*SCHEMA, "image_bytes"}
    by_reward = {row["reward"]: row for row in rows if row["step"] != 0}
    success, broken = by_reward[1.0], by_reward[None]
    task = json.loads((folder.stage_dir(0, Stage.EVALUATE) / "plan.jsonl").read_text().splitlines()[0])["task"]
    assert success["task_id"] == task["id"] and success["domain"] == task["domain"]
    assert (success["task_name"], success["raw_response"], success["answer"]) == ("Find it.", "click(1)", "42")
    assert json.loads(success["action"]) == {"kind": "answer", "text": "42"}
    assert success["token_ids"] == [4, 5] and success["logprobs"] == [-0.5, -0.25] and success["prompt_tokens"] == 3
    assert success["image_bytes"] == PICTURE
    assert [row["same_as_next_screenshot"] for row in rows[:2]] == [True, None]
    assert (broken["step"], broken["failure"], broken["stop"]) == (None, "infra/BROWSER_CRASHED", "failed")


def test_export_and_compaction_as_commands(rl_loop: Run, folder: RunFolder, tmp_path: Path) -> None:
    before = export_run(folder, tmp_path / "before.parquet")
    status, out, _ = rl_loop("compact", folder.root)
    assert status == 0 and "iterations/0000/evaluate: 3 trajectories, 7 files -> 4" in out
    status, out, _ = rl_loop("export", folder.root, "--out", tmp_path / "after.parquet")
    assert status == 0 and out.startswith(f"{before} rows in ")
    assert pq.read_table(tmp_path / "after.parquet") == pq.read_table(tmp_path / "before.parquet")
    assert reported(folder, "trajectories") == (True, "3 trajectories and their 1 pictures can be read")
    status, _, error = rl_loop("export", folder.root, "--out", tmp_path / "none" / "x.parquet")
    assert status == 1 and "cannot be written" in error and error.count("\n") == 1


def test_old_pictures_are_removed_and_everything_else_is_still_there(
    rl_loop: Run, folder: RunFolder, tmp_path: Path
) -> None:
    status, _, error = rl_loop("prune", folder.root)
    assert status == 1 and error == (
        "rl-loop: storage.keep keeps everything for ever; give --pictures-days or --recordings-days\n"
    )
    assert rl_loop("prune", folder.root, "--pictures-days", 1) == (0, "freed 0.0 MB\n", "")
    status, out, _ = rl_loop("prune", folder.root, "--pictures-days", 0, "--dry-run")
    assert status == 0 and out == "iterations/0000/evaluate: 1 pictures, 0 recordings, 0.0 MB\nwould free 0.0 MB\n"
    rows = export_run(folder, tmp_path / "before.parquet", pictures=True)
    assert rl_loop("prune", folder.root, "--pictures-days", 0)[1].endswith("\nfreed 0.0 MB\n")
    assert not TrajectoryStore(folder.stage_dir(0, Stage.EVALUATE)).has_image(SHOWN)
    assert reported(folder, "trajectories")[0] and reported(folder, "verdicts")[0]
    assert export_run(folder, tmp_path / "after.parquet", pictures=True) == rows
    assert {row.get("image_bytes") for row in pq.read_table(tmp_path / "after.parquet").to_pylist()} == {None}


def test_what_an_update_or_a_person_still_needs_is_not_removed(folder: RunFolder) -> None:
    def rolled_out(iteration: int, *, updated: bool) -> TrajectoryStore:
        store = TrajectoryStore(folder.stage_dir(iteration, Stage.ROLLOUT))
        one = played(f"i{iteration:04d}-t-m00", Task(id="t", environment="miniwob"), group="g", member=0)
        store.write(one, {SHOWN: PICTURE})
        for stage in (Stage.ROLLOUT, Stage.JUDGE, *([Stage.POLICY_UPDATE] if updated else [])):
            folder.finish(StageReport(stage=stage, iteration=iteration, seconds=1.0))
        return store

    old, new = rolled_out(1, updated=True), rolled_out(2, updated=False)
    keep, later = KeepConfig(pictures_days=1), time.time() + 2 * DAY_S
    human = folder.stage_dir(0, Stage.EVALUATE)
    decision = HumanVerdict(
        trajectory_id=TrajectoryStore(human).ids()[0], reward=1.0, person="ann", at=datetime.now(UTC)
    )
    append_human(human / HUMAN, decision)
    replaying = RunFolder(folder.root, folder.config.model_copy(update={"update": UpdateConfig(replay_iterations=1)}))
    assert list(remove_old_files(replaying, keep, later)) == []
    kept = checkpoint_path(folder.policies, 1)
    kept.mkdir(parents=True)
    (kept / "canary.json").write_text("{")
    with pytest.raises(LoopError, match="is no canary"):
        list(remove_old_files(folder, keep, later))
    canary = Canary(version=1, temperature=1.0, completions=(scored(CANARY),))
    (kept / "canary.json").write_text(canary.model_dump_json())
    old.write_image(CANARY, b"of a canary")
    assert [directory for directory, _ in remove_old_files(folder, keep, later)] == [old.root]
    assert old.has_image(CANARY), "the policy could not be proved again"
    assert not old.has_image(SHOWN) and new.has_image(SHOWN) and TrajectoryStore(human).has_image(SHOWN)


def test_a_loop_applies_its_rules_and_goes_on_where_it_cannot(
    folder: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    store, later = TrajectoryStore(folder.stage_dir(0, Stage.EVALUATE)), time.time() + 2 * DAY_S
    apply_retention(folder, later)
    assert store.has_image(SHOWN), "null keeps for ever"
    storage = StorageConfig(keep=KeepConfig(pictures_days=1))
    keeping = RunFolder(folder.root, folder.config.model_copy(update={"storage": storage}))
    (store.root / HUMAN).write_text("no line of a person\n\n")
    apply_retention(keeping, later)
    assert store.has_image(SHOWN) and "could not be removed" in caplog.text
    (store.root / HUMAN).unlink()
    apply_retention(keeping, later)
    assert not store.has_image(SHOWN)


def scored(sha256: str) -> ScoredCompletion:
    return ScoredCompletion(
        trajectory_id="i0001-t-m00", step=0, prompt_token_ids=(1,), token_ids=(4,), images=(sha256,),
        logprobs=(-0.5,), sampled_logprobs=(-0.5,),
    )  # fmt: skip


def test_one_trajectory_as_an_html_file(rl_loop: Run, folder: RunFolder, tmp_path: Path) -> None:
    name = TrajectoryStore(folder.stage_dir(0, Stage.EVALUATE)).ids()[0]
    path = tmp_path / "one.html"
    status, out, _ = rl_loop("export", folder.root, "--format", "html", "--trajectory", name, "--out", path)
    assert status == 0 and out.startswith(f"{name} in {path}") and f"<title>{name}</title>" in path.read_text()
    for bad in (["--format", "html"], ["--trajectory", name], ["--format", "html", "--trajectory", "../../etc"]):
        status, _, error = rl_loop("export", folder.root, *bad)
        assert status == 1 and error.count("\n") == 1, bad


def test_an_unfinished_stage_and_a_run_that_is_written_are_left_alone(folder: RunFolder) -> None:
    store = TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT))
    task = Task(id="t", environment="miniwob")
    store.write(played("i0001-t-m00", task, group="g", member=0), {})
    with folder.lock(), pytest.raises(RunFolderError, match="is being written"):
        list(compact_run(folder))
    assert [path.name for path, _ in compact_run(folder)] == ["evaluate"]
    assert (store.root / "i0001-t-m00" / "trajectory.json").exists()


def test_the_doctor_tells_leftovers_without_alarm(folder: RunFolder) -> None:
    TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT)).begin("i0001-x-m00")
    ok, text = reported(folder, "trajectories")
    assert ok and text.endswith(
        f"left over: 1 half-played episodes; `rl-loop compact {folder.root}` removes those of finished stages"
    )


def test_the_doctor_misses_what_was_planned_and_wonders_at_what_was_not(folder: RunFolder) -> None:
    directory = folder.stage_dir(0, Stage.EVALUATE)
    names = TrajectoryStore(directory).ids()
    (directory / names[0] / "trajectory.json").unlink()
    (directory / names[1]).rename(directory / "stranger")
    ok, text = reported(folder, "trajectories")
    assert not ok
    assert f"{names[0]} is missing although the stage is finished" in text
    assert "stranger was never planned; delete this folder" in text and "delete this copy" in text
    assert not reported(folder, "verdicts")[0]


def test_the_doctor_counts_verdicts(folder: RunFolder) -> None:
    assert reported(folder, "verdicts") == (True, "3 verdicts, one per trajectory of each judged stage")
    path = folder.stage_dir(0, Stage.EVALUATE) / VERDICTS
    whole = path.read_text()
    for damaged, problem in (
        (whole * 2, "has two verdicts for"),
        ("".join(whole.splitlines(keepends=True)[:2]), "not one on each of the 3 trajectories"),
    ):
        path.write_text(damaged)
        ok, text = reported(folder, "verdicts")
        assert not ok and problem in text
    path.write_text("{")
    assert "judges again" in reported(folder, "verdicts")[1]


def test_files_of_tasks_are_checked_and_converted(rl_loop: Run, tmp_path: Path) -> None:
    source, out, rejected = tmp_path / "train.jsonl", tmp_path / "out.json", tmp_path / "rejected"
    good = {"task_id": 1, "task_name": "Look.", "website": "a.example", "difficulty": 4}
    source.write_text("".join(f"{json.dumps(row)}\n" for row in (good, {"task_id": "../x"}, good | {"task_id": 2})))
    status, shown, error = rl_loop("tasks", "check", source, "--rejected", rejected)
    assert status == 1 and shown == ("2 tasks on 1 sites; by difficulty 4: 2\nverifiers: none; no verifier: 2\n")
    assert error.splitlines() == ["line 2: website: missing", f"rl-loop: 1 rows of {source} are no tasks"]
    assert rejected.read_text() == "2\twebsite: missing\n"
    assert rl_loop("tasks", "convert", source, out, "--to", "dashboard")[:2] == (
        0,
        f"2 tasks in {out}, 1 rows left out\n",
    )
    assert [row["id"] for row in json.loads(out.read_text())] == ["1", "2"]
    assert rl_loop("tasks", "check", out)[0] == 0
    assert rl_loop("tasks", "check", tmp_path / "none")[2] == f"rl-loop: there is no task file {tmp_path / 'none'}\n"
