"""`rl-loop import webgym`: every key of WebGym's files has an equal that loads, or a reason; bad files are one sentence."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.settings.loop_config import LoopConfig, load_config
from flows.webgym.configuration import import_configuration
from flows.webgym.rules import NO_EQUAL, RULES
from storage.errors import LoopError

DEFAULT = {
    "save_path": "<save_path_here>",
    "data_path": "/data/webgym",
    "model_config": {"model_type": "qwen3-instruct", "prompt_version": "complete"},
    "policy_config": {"base_model": None, "max_new_tokens": 3072, "temperature": 1, "top_p": 0.99, "top_k": 2},
    "context_config": {"interaction_mode": "coordinates"},
}
ROLLOUT = {
    "defaults": ["default", "_self_"],
    "policy_config": {"checkpoint_path": "model.pt"},
    "env_config": {
        "host_ip": "<your-host-ip>",
        "master_port": 7000,
        "wait_timeout": 2400,
        "operation_timeout": 120,
        "max_retries": 2,
        "vllm_timeout": 240,
        "evaluation_workers": 16,
        "task_timeout_minutes": 300,
        "completion_threshold": 0.95,
        "completion_grace_period": 30,
    },
    "openai_config": {
        "model": "gemini-x",
        "openai_api_key_env_var": "GEMINI_API_KEY",
        "base_url": "https://generativelanguage.googleapis.com/v1beta/openai/",
        "blocking_detection": {"model": "small"},
        "evaluation": {"model": "large"},
    },
}
TRAIN = {
    "defaults": ["rollout", "_self_"],
    "env_config": {
        "server_size": 64,
        "max_vllm_sessions": 128,
        "http_pools": {"navigate": 32, "allocate": 4, "ac_tree": 16, "metadata": 128},
        "split": "train",
        "train_difficulty_max_steps": {"easy": 10, "medium": 20, "hard": 30},
        "test_difficulty_max_steps": [],
        "save_every_percent": 25,
        "train_tasks_rollout_size": 1024,
        "test_tasks_rollout_size": 0,
        "train_tasks_sampler": "ratio",
        "difficulty_ratio": {"easy": {"range": [1, 3], "weight": 2}, "rest": {"range": [4, None], "weight": 1}},
        "train_tasks": "train.jsonl",
        "test_tasks": "",
    },
}
TEST = {
    "defaults": ["rollout", "_self_"],
    "env_config": {
        "server_size": 32,
        "train_difficulty_max_steps": [],
        "test_difficulty_max_steps": {"easy": 30, "medium": 50, "hard": 70},
        "test_tasks_rollout_size": 90,
        "test_tasks_repeat_times": 2,
        "train_tasks": "",
        "test_tasks": "test.jsonl",
    },
}
UPDATE = {
    "defaults": ["default", "_self_"],
    "algorithm_config": {"positive_samples_to_train": 900, "learning_rate": "1e-6", "plot_loss": False, "bf16": True},
    "log_config": {"run_name": "webgym-mine", "entity_name": "<your-wandb-entity-name>"},
}


def files(folder: Path, **changed: Any) -> list[Path]:
    given = {"default": DEFAULT, "rollout": ROLLOUT, "train": TRAIN, "test": TEST, "update": UPDATE} | changed
    for name, data in given.items():
        (folder / f"{name}.yaml").write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return [folder / f"{name}.yaml" for name in ("train", "test", "update")]


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["import", "webgym", *map(str, words)])


def sentence(*paths: Path) -> str:
    with pytest.raises(LoopError) as found:
        import_configuration(paths)
    return str(found.value)


def imported(folder: Path) -> LoopConfig:
    out = folder / "ours.yaml"
    assert run(*files(folder), "--out", out).exit_code == 0
    return load_config(out)


def test_the_equal_of_each_key_is_what_a_loop_reads(tmp_path: Path) -> None:
    loop = imported(tmp_path)
    assert loop.name == "webgym-mine" and loop.rollout.groups_per_iteration == 1024 and loop.rollout.group_size == 1
    assert loop.rollout.concurrency == loop.services.browser_slots == 64 and loop.rollout.stragglers == "kill"
    assert loop.rollout.limits.given() == {"navigate": 32, "allocate": 4, "metadata": 16, "model": 128}
    assert (loop.rollout.completion_threshold, loop.rollout.max_attempts) == (0.95, 3)
    assert loop.environment.tasks is not None and loop.environment.tasks.heldout == "/data/webgym/test.jsonl"
    assert loop.environment.horizon.by_difficulty == {"1-3": 10, "4-6": 20, "7-": 30}
    assert loop.environment.horizon.heldout_by_difficulty == {"1-3": 30, "4-6": 50, "7-": 70}
    assert loop.environment.sampler.model_dump()["weights"] == {"1-3": 2.0, "4-": 1.0}
    assert (loop.evaluate.tasks, loop.evaluate.samples) == (90, 2)
    assert (loop.agent.episode_deadline_s, loop.agent.lease_wait_s) == (18_000.0, 600.0)
    model = loop.judge.model
    assert model is not None and (model.kind, model.model, model.concurrency) == ("gemini", "large", 16)
    assert (loop.update.preset, loop.update.replay_samples, loop.update.dtype) == ("webgym", 900, "bfloat16")


def test_each_key_is_reported_once(tmp_path: Path) -> None:
    found = import_configuration(files(tmp_path))
    unequal = {line.key: line.text for line in found.unequal}
    assert unequal["policy_config.top_k"].startswith("no equal: ")
    assert unequal["env_config.save_every_percent"] == "no equal: every episode is stored as soon as it ends"
    assert unequal["env_config.server_size"] == "test.yaml: not used, train.yaml has 64"
    assert "openai_config.blocking_detection" in unequal and "log_config.entity_name" not in unequal
    assert not unequal.keys() & ({line.key for line in found.equal} - {"env_config.server_size"})
    assert all(line in found.yaml() for line in map(str, found.unequal))
    assert not RULES.keys() & NO_EQUAL.keys()


def test_an_unknown_key_is_left_out_and_reported(tmp_path: Path) -> None:
    found = import_configuration(files(tmp_path, test={"env_config": {"speed": "\x1b[1mhigh"}}))
    (line,) = [line for line in found.unequal if line.key == "env_config.speed"]
    assert line.text.startswith("not a key of WebGym's published configuration") and "\x1b" not in str(line)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rollout": {"defaults": ["train"]}}, "name one another in a circle"),
        ({"rollout": {"defaults": ["../../etc/passwd"]}}, "expected defaults to name files beside it"),
        ({"rollout": {"defaults": {"a": 1}}}, "expected defaults to be a list of files"),
        ({"rollout": "- a\n- b\n"}, "expected a mapping of sections, found list"),
        ({"rollout": "a: [\n"}, "not YAML"),
        (
            {"test": {"env_config": {"max_retries": "often"}}, "rollout": {}},
            "env_config.max_retries: expected a number",
        ),
        ({"train": {"env_config": {"server_size": float("nan")}}}, "env_config.server_size: expected a number"),
        ({"train": {"env_config": {"train_tasks_sampler": "best"}}}, "expected uniform or ratio, found 'best'"),
        ({"train": {"env_config": {"train_difficulty_max_steps": {"huge": 5}}}}, "expected easy, medium and hard"),
        ({"train": {"openai_config": {"model": "m"}}}, "openai_config"),
        ({"train": {"env_config": {"difficulty_ratio": {"easy": [1, 3]}}}}, "expected range: [first, last] and weight"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    found = sentence(*files(tmp_path, **changed))
    assert words in found and "\n" not in found


def test_a_missing_file_and_an_existing_one_are_refused(tmp_path: Path) -> None:
    assert "no such file" in sentence(tmp_path / "none.yaml")
    paths = files(tmp_path)
    (tmp_path / "default.yaml").unlink()
    assert "no such file; the files that its defaults name must be beside it" in sentence(*paths)
    found = run(*files(tmp_path), "--out", paths[0]).exception
    assert isinstance(found, LoopError) and "exists already" in str(found)
