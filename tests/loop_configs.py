"""A configuration on disk that needs no model and no services to be read; fixtures for the folders that name them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.settings.loop_config import LoopConfig, load_config

WriteConfig = Callable[..., Path]


@pytest.fixture
def model_directory(tmp_path: Path) -> Path:
    """A folder that looks like a model from outside; nothing here loads it."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "none"}))
    (folder / "model.safetensors").write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
    return folder


@pytest.fixture
def write_config(tmp_path: Path, model_directory: Path) -> WriteConfig:
    """Writes a small valid configuration, with sections replaced by keyword."""

    def write(**sections: Any) -> Path:
        data: dict[str, Any] = {
            "name": "small",
            "iterations": 2,
            "policy": {"model": str(model_directory)},
            "environment": {"domains": ["click-button", "click-test"]},
            "rollout": {"groups_per_iteration": 2, "group_size": 2, "concurrency": 2, "shards": 2},
            "evaluate": {"every": 2, "tasks": 3},
            "services": {
                "prefect_port": 0,
                "mlflow_port": 0,
                "browser_port": 0,
                "browser_slots": 2,
                "dashboard_port": 0,
            },
        }
        path = tmp_path / "loop.yaml"
        path.write_text(yaml.safe_dump(data | sections))
        return path

    return write


@pytest.fixture
def config(write_config: WriteConfig) -> LoopConfig:
    """The small configuration, loaded."""
    return load_config(write_config())
