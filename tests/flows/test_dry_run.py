"""`rl-loop run --dry-run`: checks and size of a run; nothing is started or written."""

from pathlib import Path

import numpy as np
import pytest
from conftest import RlLoop, WriteConfig
from safetensors.numpy import save_file

from flows.settings.loop_config import LoopConfig, load_config
from flows.settings.run_folder import RunFolder
from flows.starting.dry_run import Pace, forecast, lines, pace_of
from storage.stages import Stage, StageReport


def with_weights(config: LoopConfig, parameters: int) -> None:
    """Gives the model directory weights of so many parameters."""
    save_file({"w": np.zeros(parameters, np.float32)}, config.policy.model / "model.safetensors")


def test_the_size_follows_from_the_configuration(config: LoopConfig) -> None:
    with_weights(config, 1_000)

    found = forecast(config)

    assert found.stages == {Stage.EVALUATE: 2, Stage.ROLLOUT: 2, Stage.JUDGE: 2, Stage.POLICY_UPDATE: 2}
    assert (found.train_episodes, found.heldout_episodes, found.parameters) == (4, 3, 1_000)
    assert found.checkpoint_bytes is not None and found.checkpoint_bytes >= 12_000, "weights and two moments"
    assert found.pace is None and found.seconds is None
    assert "of which 8 to train (4 in each of 2 iterations) and 6 held out" in "\n".join(lines(config, found))


def test_the_memory_of_an_update_is_that_of_each_of_its_processes(config: LoopConfig) -> None:
    with_weights(config, 1_000_000)
    for sharding, memory in (("none", "16 MB"), ("fsdp2", "2 MB")):
        update = config.update.model_copy(update={"processes": 8, "sharding": sharding})
        divided = config.model_copy(update={"update": update})
        text = "\n".join(lines(divided, forecast(divided)))
        assert f"memory: {memory} for each of 8 processes of the update" in text


def test_minutes_are_the_pace_of_the_newest_run_that_has_one(config: LoopConfig) -> None:
    with_weights(config, 1_000)
    folder = RunFolder.create("earlier", config)
    episodes = {"episodes": 4.0}
    for stage, seconds, metrics in (
        (Stage.ROLLOUT, 40, {}),
        (Stage.JUDGE, 4, episodes),
        (Stage.POLICY_UPDATE, 30, {}),
        (Stage.EVALUATE, 6, {"episodes": 3.0}),
    ):
        folder.finish(StageReport(stage=stage, iteration=1, seconds=seconds, metrics=metrics))
    RunFolder.create("later", config)  # has not finished anything

    assert pace_of(config) == Pace("earlier", episode=10, judged=1, update=30, evaluated=2)
    assert forecast(config).seconds == pytest.approx(2 * (4 * 11 + 30) + 2 * 3 * 2)


def test_the_command_starts_and_writes_nothing(write_config: WriteConfig, rl_loop: RlLoop, tmp_path: Path) -> None:
    path = write_config(policy={"model": str(tmp_path / "none")})
    before = sorted(tmp_path.rglob("*"))

    done = rl_loop("run", path, "--dry-run")

    assert done.status == 1, "there is no such model"
    assert "there is no model directory" in " ".join(done.out.split())
    assert "episodes: 14, of which 8 to train" in done.out and "has no weights" in done.out
    assert sorted(tmp_path.rglob("*")) == before
    assert load_config(path).name == "small"
