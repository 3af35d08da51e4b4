"""The run folder decides what is finished, what is next and who may write."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.settings.loop_config import LoopConfig, load_config
from flows.settings.run_folder import RunFolder
from flows.starting.starting import folder_for
from storage.errors import RunFolderError
from storage.names import free_name, run_names
from storage.stages import Stage, StageKey, StageReport


def done(folder: RunFolder, iteration: int, stage: Stage) -> None:
    folder.finish(StageReport(stage=stage, iteration=iteration, seconds=1.0, metrics={"success_rate": 0.5}))


def test_stages_follow_one_another_and_evaluation_has_its_schedule(config: LoopConfig) -> None:
    folder = RunFolder.create("a", config)
    seen: list[StageKey] = []
    while (key := folder.next_stage()) is not None:
        seen.append(key)
        done(folder, *key)

    assert [f"{key.iteration} {key.stage}" for key in seen] == [
        "0 evaluate",
        *("1 rollout", "1 judge", "1 policy_update"),
        *("2 rollout", "2 judge", "2 policy_update", "2 evaluate"),
    ]
    assert [StageKey(report.iteration, report.stage) for report in folder.reports()] == seen


def test_a_report_that_was_not_renamed_into_place_does_not_count(config: LoopConfig) -> None:
    folder = RunFolder.create("a", config)
    directory = folder.stage_dir(0, Stage.EVALUATE)
    directory.mkdir(parents=True)
    (directory / ".done.json.123.partial").write_text('{"stage": "evalu')

    assert folder.next_stage() == StageKey(0, Stage.EVALUATE)


def test_what_was_written_is_read_back(config: LoopConfig) -> None:
    RunFolder.create("a", config)

    opened = RunFolder.open(config.runs_dir / "a")

    assert opened.config == config
    assert opened.record().name == "a"


def test_a_name_is_given_once(config: LoopConfig) -> None:
    RunFolder.create("small", config)

    with pytest.raises(
        RunFolderError, match=r"run small exists already .* `rl-loop resume \S*/runs/small` continues it"
    ):
        RunFolder.create("small", config)
    assert free_name(config.runs_dir, "small") == "small-2"
    assert free_name(config.runs_dir, "other") == "other"


def test_an_unknown_run_is_answered_with_those_there_are(config: LoopConfig) -> None:
    RunFolder.create("one", config)

    with pytest.raises(RunFolderError, match=r"no run two in .*; runs there: one"):
        RunFolder.open(config.runs_dir / "two")


def test_another_configuration_is_refused_by_the_names_of_its_keys(write_config, config: LoopConfig) -> None:
    folder = RunFolder.create("a", config)
    other = load_config(write_config(), ["rollout.group_size=8", "seed=7"])

    with pytest.raises(RunFolderError) as caught:
        folder.check_same(other)

    assert str(caught.value) == (
        "run a was started with rollout.group_size=2 and not 8, seed=0 and not 7; "
        "resume it with its own configuration or start a new run"
    )


def test_other_services_are_the_same_configuration_and_are_taken_over(
    write_config, config: LoopConfig, running_stack, tmp_path: Path
) -> None:
    RunFolder.create("a", config)
    moved = load_config(write_config(), [f"services.state_dir={tmp_path / 'other'}", "services.heal_s=7"])
    running_stack(moved)
    overrides = [f"services.state_dir={tmp_path / 'other'}", "services.heal_s=7"]

    folder = folder_for(write_config(), overrides, "a", flow_run_id=None)

    assert folder.config.services.heal_s == 7 and folder.config.services.state_dir == tmp_path / "other"
    assert RunFolder.open(folder.root).config == folder.config


def test_an_edited_config_file_is_noticed(config: LoopConfig) -> None:
    folder = RunFolder.create("a", config)
    path = folder.root / "config.yaml"
    path.write_text(path.read_text().replace("group_size: 2", "group_size: 4"))

    with pytest.raises(RunFolderError, match=r"config\.yaml was changed after the run was started"):
        RunFolder.open(folder.root)


def test_a_damaged_record_is_one_sentence(config: LoopConfig) -> None:
    folder = RunFolder.create("a", config)
    (folder.root / "run.json").write_text('{"name": "a"')

    with pytest.raises(
        RunFolderError, match=r"/a/run\.json is damaged: .*; restore it from a copy, or start a new run"
    ):
        RunFolder.open(folder.root)


HOLDER = """
import sys, time
from pathlib import Path
from flows.settings.run_folder import RunFolder
with RunFolder.open(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_refused_by_pid_and_a_killed_one_leaves_no_lock(config: LoopConfig) -> None:
    folder = RunFolder.create("a", config)
    command = [sys.executable, "-c", HOLDER, str(folder.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "locked\n"

        with pytest.raises(RunFolderError, match=f"run a is being written by process {holder.pid}"), folder.lock():
            pass
        assert folder.writer() == holder.pid
        os.kill(holder.pid, signal.SIGKILL)

    with folder.lock():
        pass
    assert folder.writer() is None


def test_a_retry_of_the_same_flow_run_finds_its_run_again(write_config, config: LoopConfig, running_stack) -> None:
    running_stack(config)
    first = folder_for(write_config(), [], None, flow_run_id="flow-1")
    again = folder_for(write_config(), [], None, flow_run_id="flow-1")
    other = folder_for(write_config(), [], None, flow_run_id="flow-2")

    assert (first.name, again.name, other.name) == ("small", "small", "small-2")
    assert set(run_names(config.runs_dir)) == {"small", "small-2"}


def test_run_names_of_a_missing_folder(tmp_path: Path) -> None:
    assert run_names(tmp_path / "none") == []
