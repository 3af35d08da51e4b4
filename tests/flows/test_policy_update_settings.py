"""Settings of the update on the way to its process: presets on the command line, and the iterations that are replayed."""

import hashlib
from pathlib import Path

import pytest

from flows.settings.identity import config_hash, is_of, may_change
from flows.settings.loop_config import ConfigError, LoopConfig, dump_config, flatten, load_config
from flows.settings.run_folder import RunFolder
from flows.stages.policy_update import replay_arguments
from storage.stages import Stage
from storage.verdicts import VERDICTS


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


def test_a_resume_may_divide_updates_otherwise(write_config) -> None:
    config = load_config(write_config())
    divided = load_config(write_config(), ["update.processes=8", "update.sharding=fsdp2"])
    assert RunFolder.create("small", config).changed_to(divided).config.update.sharding == "fsdp2"
    assert config_hash(divided) == config_hash(config)


def test_a_run_that_recorded_its_number_of_processes_is_still_known(write_config) -> None:
    data = load_config(write_config(), ["update.processes=4"]).model_dump(mode="json")
    flat = {key: value for key, value in flatten(data).items() if key == "update.processes" or not may_change(key)}
    recorded = hashlib.sha256(repr(sorted(flat.items())).encode()).hexdigest()
    assert is_of(data, recorded)
    assert not is_of(data | {"seed": 7}, recorded)
