"""Every configuration in configs/ can be read, says in its head what it is for, and has a size."""

import dataclasses
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file

from flows.settings.checkout import PROJECT
from flows.settings.loop_config import load_config
from flows.starting.dry_run import forecast, lines

LAUNCHERS = sorted((PROJECT / "configs/accelerate").glob("*.yaml"))
FILES = sorted((PROJECT / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_configuration_is_valid_described_and_has_a_size(path: Path, tmp_path: Path) -> None:
    config = load_config(path, [f"runs_dir={tmp_path}"])

    assert path.read_text().startswith("# "), "its first lines say what it is for"
    assert f"`{path.name}`" in (PROJECT / "configs/README.md").read_text()
    assert config.name == path.stem.replace("_", "-") or path.stem == "qwen3_vl_gpu"
    text = "\n".join(lines(config, forecast(config)))
    assert f"{config.iterations} x rollout" in text
    assert f"({config.rollout.groups_per_iteration * config.rollout.group_size} in each" in text


@pytest.mark.parametrize("path", LAUNCHERS, ids=[path.stem for path in LAUNCHERS])
def test_a_launch_file_is_one_that_accelerate_reads(path: Path) -> None:
    """accelerate refuses keys that it does not know when it launches."""
    stated = yaml.safe_load(path.read_text())
    known = {field.name for field in dataclasses.fields(ClusterConfig)}

    assert path.read_text().startswith("# ")
    assert stated.keys() <= known
    assert load_config_from_file(str(path)).num_processes == 8 * stated["num_machines"]
