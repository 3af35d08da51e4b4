"""Settings of the update on the way to its process: presets on the command line, and the iterations that are replayed."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from flows.settings.identity import FREED, config_hash, is_of, may_change
from flows.settings.loop_config import ConfigError, LoopConfig, dump_config, flatten, load_config
from flows.settings.run_folder import RunFolder
from flows.stages.policy_update import replay_arguments
from flows.starting.starting import asked_of
from storage.errors import RunFolderError
from storage.stages import Stage
from storage.verdicts import VERDICTS
from training.checkpointing.recipe import WITHOUT_EFFECT
from training.config import UpdateConfig


def test_a_preset_on_the_command_line_fills_in_what_the_file_leaves_open(write_config) -> None:
    update = load_config(write_config(), ["update.preset=rloo", "update.clip_high=0.5"]).update
    assert (update.credit, update.advantage_scale, update.clip_high) == ("leave_one_out", "none", 0.5)


def test_a_preset_that_would_only_be_a_name_is_refused(write_config, tmp_path: Path) -> None:
    """A run's own file sets every key; a fork of it with another preset has to override these."""
    written = tmp_path / "written.yaml"
    written.write_text(dump_config(load_config(write_config(), ["update.preset=rloo"])))
    assert load_config(written).update.credit == "leave_one_out"
    with pytest.raises(
        ConfigError, match=r"update\.preset=gspo changes nothing, because .* sets loss_type, normaliser"
    ):
        load_config(written, ["update.preset=gspo"])
    keys = ["loss_type=gspo", "normaliser=turn", "clip_low=3e-4", "clip_high=4e-4"]
    changed = load_config(written, ["update.preset=gspo", *(f"update.{key}" for key in keys)])
    assert changed.update.loss_type == "gspo"


def test_a_combination_without_meaning_is_one_sentence(write_config) -> None:
    with pytest.raises(ConfigError, match=r"^update: dual_clip bounds a clipped ratio, and loss_type cispo has none"):
        load_config(write_config(), ["update.preset=cispo", "update.dual_clip=3"])


def test_the_update_gets_the_earlier_iterations_that_are_still_there(write_config, config: LoopConfig) -> None:
    replaying = load_config(write_config(), ["update.preset=webgym", "update.replay_iterations=2", "iterations=9"])
    for loop, expected in ((config, []), (replaying, [3])):
        folder = RunFolder.create(f"run-{len(expected)}", loop)
        for iteration in (1, 3):
            folder.stage_dir(iteration, Stage.ROLLOUT).mkdir(parents=True)
            verdicts = folder.stage_dir(iteration, Stage.JUDGE) / VERDICTS
            verdicts.parent.mkdir(parents=True)
            verdicts.write_bytes(b"")
        command = list(replay_arguments(folder, 4))
        named = [command[at + 1] for at, part in enumerate(command) if part == "--replay"]
        assert named == [str(folder.stage_dir(iteration, Stage.ROLLOUT)) for iteration in expected]


@pytest.mark.parametrize(
    "overrides",
    [
        ["update.processes=8", "update.sharding=fsdp2"],
        ["update.micro_batch_size=1", "update.micro_batch_tokens=4096", "update.gradient_checkpointing=false"],
        ["update.keep_warm=true", "update.device=cpu"],
        ["update.alarms=warn", "update.alarm_entropy=0.1", "update.alarm_gap=0.3", "update.alarm_zero_groups=0.5"],
    ],
)
def test_a_resume_may_change_what_gives_the_same_version(write_config, overrides: list[str]) -> None:
    """A GPU that is out of memory, or an alarm that was meant to stop the run, is no reason to begin another one."""
    config = load_config(write_config(), ["update.alarms=stop"])
    asked = load_config(write_config(), ["update.alarms=stop", *overrides])
    folder = RunFolder.create("small", config)

    assert asked_of(folder, overrides) == asked
    assert folder.changed_to(asked).config.update == asked.update
    assert config_hash(asked) == config_hash(config) and RunFolder.open(folder.root).config == asked


@pytest.mark.parametrize("override", ["update.lora={rank: 4}", "update.minibatches=1", "update.max_staleness=9"])
def test_a_resume_may_not_change_what_gives_another_version(write_config, override: str) -> None:
    folder = RunFolder.create("small", load_config(write_config()))
    with pytest.raises(RunFolderError, match=override.partition("=")[0]):
        asked_of(folder, [override])


def test_no_key_that_a_resume_may_change_decides_the_weights() -> None:
    free = {key for key in UpdateConfig.model_fields if may_change(f"update.{key}")}
    assert {"alarms", "micro_batch_size", "processes"} <= free <= WITHOUT_EFFECT


def test_a_run_of_any_earlier_version_of_the_program_is_still_known(write_config) -> None:
    """Each version has left further keys out of the digest; a run keeps that of the version that began it."""
    sizes = {"update.processes": 4, "update.micro_batch_size": 2, "update.alarms": "stop", "iterations": 2}
    data = load_config(write_config(), [f"{key}={value}" for key, value in sizes.items()]).model_dump(mode="json")
    flat = flatten(data)
    for since in range(len(FREED) + 1):
        counted = {key for row in FREED[since:] for key in row}
        recorded = digest_of({key: value for key, value in flat.items() if key in counted or not may_change(key)})
        assert is_of(data, recorded)
        assert not is_of(data | {"seed": 7}, recorded)
        assert is_of(data | {"update": data["update"] | {"alarms": "off"}}, recorded) == (since == len(FREED))
    assert is_of(data, digest_of(flatten({key: data[key] for key in data if key not in ("services", "runs_dir")})))


@pytest.mark.parametrize("processes", [1, 4])
def test_the_digest_of_a_run_that_was_begun_before_alarms_could_change(processes: int) -> None:
    """As the versions of 28 and 30 November 2026 wrote them, before and after they left out the number of processes."""
    data = {"update": {"alarms": "stop", "micro_batch_size": 4, "processes": processes}, "seed": 0, "iterations": 3}
    before = "[('seed', 0), ('update.alarms', 'stop'), ('update.micro_batch_size', 4)%s]"
    for counted in (f", ('update.processes', {processes})", ""):
        assert is_of(data, hashlib.sha256((before % counted).encode()).hexdigest())
    assert not is_of(data, hashlib.sha256((before % ", ('update.processes', 9)").encode()).hexdigest())


def digest_of(flat: dict[str, Any]) -> str:
    return hashlib.sha256(repr(sorted(flat.items())).encode()).hexdigest()
