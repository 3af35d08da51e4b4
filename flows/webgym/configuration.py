"""WebGym's configuration -> a loop's: each key has its equal, or a reason why it has none; unknown keys are told, too."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml

from flows.settings.loop_config import flatten
from flows.webgym.hydra import composed
from flows.webgym.rules import NO_EQUAL, RULES, TRAINER, Ours, text
from storage.errors import LoopError

LEAVES = ("train_difficulty_max_steps", "test_difficulty_max_steps", "difficulty_ratio")
"""Mappings that are values, and no sections."""
WHOLE = ("openai_config",)
"""Sections that are read as a whole."""
GEMINI = "generativelanguage.googleapis.com"
FOLDER = "policies/Qwen3-VL-8B-Instruct"
START: Ours = {
    "name": "webgym",
    "policy.model": FOLDER,
    "environment.name": "live",
    "environment.isolation": "browser",
    "agent.prompt": "full",
    "judge.chain": ["answer", "rubric"],
    "update.preset": "webgym",
    "rollout.stragglers": "kill",
    "serving.weight_check": "changed",
}
"""Settings that WebGym has without a key: its algorithm, what it does with stragglers, the open web."""


class Line(NamedTuple):
    """Translation of a key. Example: `Line("env_config.server_size", "64", "rollout.concurrency=64")`."""

    key: str
    value: str
    text: str
    """The equal, or the reason why there is none."""

    def __str__(self) -> str:
        return f"{self.key}={self.value}: {self.text}"


class Imported(NamedTuple):
    """A loop's configuration, as nested mappings, and what became of each key of WebGym's."""

    config: dict[str, Any]
    equal: list[Line]
    unequal: list[Line]

    def yaml(self) -> str:
        """The configuration as YAML; the keys without an equal are comments."""
        notes = "".join(f"# {line}\n" for line in self.unequal)
        return (
            "# Made from WebGym's configuration by `rl-loop import webgym`. No equal here:\n"
            f"{notes}{yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True)}"
        )


def import_configuration(paths: Sequence[Path]) -> Imported:
    """Reads WebGym's files, the first one first; a later one adds what the earlier ones leave open.

    Raises `LoopError` for a file that can't be read and for a value that WebGym does not know either.
    """
    said: dict[str, tuple[Any, Path]] = {}
    unequal: list[Line] = []
    for path in paths:
        for key, value in _keys(composed(path)):
            if _is_open(key, value):
                continue
            before, where = said.setdefault(key, (value, path))
            if before != value:
                unequal.append(Line(key, _shown(value), f"{path.name}: not used, {where.name} has {_shown(before)}"))
    ours, equal = dict(START), list[Line]()
    for key, (value, path) in said.items():
        if key in PARTS:
            continue
        found = _equal(key, value, path)
        if isinstance(found, str):
            unequal.append(Line(key, _shown(value), found))
        else:
            ours |= found
            equal.append(Line(key, _shown(value), _settings(found)))
    for found, keys in (_tasks(said), _judge(said), _browsers(said)):
        ours |= found
        for key in keys & said.keys():
            equal.append(Line(key, _shown(said[key][0]), _settings(found)))
    unequal += [
        Line(f"openai_config.{name}", "", f"no equal: {NO_EQUAL[f'openai_config.{name}']}") for name in _parts(said)
    ]
    if ours.get("environment.sampler.kind", "uniform") == "uniform":
        ours = {key: value for key, value in ours.items() if not key.startswith("environment.sampler.weights")}
    return Imported(_nested(ours), equal, unequal)


def _keys(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping) and value and key not in (*LEAVES, *WHOLE):
            yield from _keys({str(inner): one for inner, one in value.items()}, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _is_open(key: str, value: object) -> bool:
    """True for a value that says nothing: WebGym's files of one split leave the keys of the other empty, or at 0."""
    is_placeholder = isinstance(value, str) and value.startswith("<") and value.endswith(">")
    is_of_a_split = key.rpartition(".")[2].startswith(("train_", "test_"))
    return value in (None, "", {}) or is_placeholder or (is_of_a_split and not value)


def _equal(key: str, value: object, path: Path) -> Ours | str:
    if (reason := NO_EQUAL.get(key)) is not None:
        return f"no equal: {reason}"
    if (rule := RULES.get(key)) is None:
        if key.startswith("algorithm_config."):
            return f"no equal: {TRAINER}"
        return "not a key of WebGym's published configuration; left out"
    try:
        return rule(value) or NOTHING_SET.get(key, "sets nothing")
    except (ValueError, TypeError) as error:
        raise LoopError(f"{path}: {key}: {error}") from None


NOTHING_SET = {
    "env_config.test_tasks_rollout_size": "no equal for all tasks: set evaluate.tasks to their number",
}
"""Note on a value that has no effect here."""
Said = Mapping[str, tuple[Any, Path]]
TASKS = {"data_path", "env_config.train_tasks", "env_config.test_tasks"}
JUDGE = {"openai_config"}
BROWSERS = {"env_config.host_ip", "env_config.master_port"}
PARTS = TASKS | JUDGE | BROWSERS
"""Keys that have an equal only together."""


def _tasks(said: Said) -> tuple[Ours, set[str]]:
    """The files of tasks, below the folder of data."""
    folder = Path(_text(said, "data_path") or "tasks")
    names = {split: _text(said, f"env_config.{split}_tasks") or f"{split}.jsonl" for split in ("train", "test")}
    return {
        "environment.tasks.train": str(folder / names["train"]),
        "environment.tasks.heldout": str(folder / names["test"]),
    }, TASKS


def _judge(said: Said) -> tuple[Ours, set[str]]:
    """The model that evaluates: the settings of the task `evaluation` go before the common ones."""
    if "openai_config" not in said:
        return {"judge.chain": ["answer"]}, JUDGE
    section, path = said["openai_config"]
    inner = section.get("evaluation") if isinstance(section, Mapping) else None
    if not isinstance(section, Mapping) or not isinstance(inner, Mapping | None):
        raise LoopError(f"{path}: openai_config: expected model, base_url and openai_api_key_env_var")
    found = {**section, **(inner or {})}
    try:
        model, key = text(found["model"]), text(found["openai_api_key_env_var"])
        address = text(found.get("base_url") or "")
        host = urlsplit(address).hostname or ""
    except (KeyError, ValueError) as error:
        raise LoopError(f"{path}: openai_config: {error}") from None
    named = {"judge.model.model": model, "judge.model.api_key_env": key}
    if host == GEMINI:
        return {"judge.model.kind": "gemini"} | named, JUDGE
    if not host:
        raise LoopError(f"{path}: openai_config: expected base_url, the address of the server of {model}")
    return {
        "judge.model.kind": "openai_chat",
        "judge.model.base_url": address.rstrip("/").removesuffix("/v1"),
    } | named, JUDGE


def _parts(said: Said) -> list[str]:
    section, _ = said.get("openai_config", ({}, None))
    return [name for name in ("keypoint_detection", "blocking_detection") if name in section]


def _browsers(said: Said) -> tuple[Ours, set[str]]:
    """The master, if its host is named; else `rl-loop up` starts the browser service."""
    host, (port, _) = _text(said, "env_config.host_ip"), said.get("env_config.master_port", (7000, Path()))
    if not host:
        return {"services.browser_port": port}, {"env_config.master_port"}
    return {"services.browsers": f"{'https' if port == 443 else 'http'}://{host}:{port}"}, BROWSERS


def _text(said: Said, key: str) -> str:
    if key not in said:
        return ""
    value, path = said[key]
    try:
        return text(value)
    except ValueError as error:
        raise LoopError(f"{path}: {key}: {error}") from None


def _nested(ours: Ours) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in ours.items():
        *parts, last = key.split(".")
        section = data
        for part in parts:
            section = section.setdefault(part, {})
        section[last] = value
    return data


def _settings(found: Ours) -> str:
    return ", ".join(f"{key}={_shown(value)}" for key, value in flatten(found).items())


def _shown(value: object) -> str:
    words = str(value)
    words = "".join(letter if letter.isprintable() else "?" for letter in words)
    return words if len(words) <= 100 else f"{words[:98]}.."
