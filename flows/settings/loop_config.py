"""The configuration of a loop: one YAML file, sections owned by the packages, `key=value` overrides.

`load_config` refuses every unknown key, in one sentence per mistake. Relative paths are resolved against the project's
root: the folder of a rl-loop.yaml, else the nearest folder above the file with a pyproject.toml or prefect.yaml, else the
file's own folder.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from agent.config import AgentConfig
from environments.config import EnvironmentConfig, EnvironmentName
from flows.settings.checkout import PROJECT_FILE
from flows.settings.policy_config import PolicyConfig
from flows.settings.section import Section
from flows.settings.sections_fit import why_unfit
from flows.settings.services_config import ServicesConfig
from flows.settings.storage_config import StorageConfig
from flows.settings.yaml_text import read_yaml
from judging.config import JudgeConfig
from rollouts.config import EvaluateConfig, RolloutConfig
from rollouts.inputs import RolloutSettings
from storage.errors import LoopError
from storage.names import NAME_PATTERN
from training.algorithms.presets import with_preset, without_effect
from training.config import UpdateConfig
from training.serving_config import ServingConfig

"""Names of runs, which become folder names; see storage/names.py."""
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class ConfigError(LoopError):
    """The configuration cannot be used. The message has one sentence per mistake."""


class LoopConfig(Section):
    """The complete configuration of a loop."""

    name: Name = "loop"
    seed: Annotated[int, Field(ge=0)] = 0
    iterations: Annotated[int, Field(ge=1, le=100_000)] = 10
    runs_dir: Path = Path("runs")
    policy: PolicyConfig
    environment: EnvironmentConfig
    agent: AgentConfig = AgentConfig()
    rollout: RolloutConfig = RolloutConfig()
    judge: JudgeConfig = JudgeConfig()
    update: UpdateConfig = UpdateConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    serving: ServingConfig = ServingConfig()
    services: ServicesConfig = ServicesConfig()
    storage: StorageConfig = StorageConfig()

    @model_validator(mode="after")
    def _sections_fit(self) -> "LoopConfig":
        if why := next(why_unfit(self), None):
            raise ValueError(why)
        return self

    @model_validator(mode="after")
    def _judged_environments_exist(self) -> "LoopConfig":
        known = get_args(EnvironmentName)
        if unknown := sorted(set(self.judge.environments) - set(known)):
            raise ValueError(f"judge.environments: there is no environment {unknown[0]}; known: {', '.join(known)}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _decoupled(cls, given: Any) -> Any:
        """Rollouts that overlap with updates have older samples: decoupled loss, unless the configuration says otherwise."""
        return with_decoupled_loss(given) if isinstance(given, Mapping) else given

    def rollout_settings(self) -> RolloutSettings:
        """The part of the configuration that the scheduler reads."""
        return RolloutSettings(
            seed=self.seed,
            iterations=self.iterations,
            environment=self.environment,
            rollout=self.rollout,
            evaluate=self.evaluate,
        )

    def evaluates_after(self, iteration: int) -> bool:
        """True if iteration `iteration` (0 = before the first) ends with an evaluation."""
        return iteration in (0, self.iterations) or iteration % self.evaluate.every == 0


def with_decoupled_loss(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fills in `update.proximal_policy: recomputed` where rollouts overlap with updates and the loss clips a ratio.

    The proximal policy is the parent, scored once before the first step. For samples without lag it is the policy that
    sampled, so that the loss is the coupled one for them.
    """
    rollout, update = given.get("rollout"), given.get("update") or {}
    if not isinstance(rollout, Mapping) or rollout.get("overlap", "sync") == "sync" or not isinstance(update, Mapping):
        return given
    filled = with_preset(update)
    if "proximal_policy" in update or filled.get("loss_type", "dapo") not in ("dapo", "gspo"):
        return given
    return {**given, "update": {**update, "proximal_policy": "recomputed"}}


def load_config(path: Path, overrides: Sequence[str] = ()) -> LoopConfig:
    """The configuration of a YAML file with `section.key=value` overrides (values are YAML).

    Raises:
        ConfigError: the file is missing or no YAML mapping, an override has no `=`, a key is unknown, a value has the wrong type,
            a preset is asked for and the file sets all of its keys to something else.
    """
    data = _read(path)
    for override in overrides:
        _apply(data, override)
    config = parse_config(data, root=root_of(path))
    if "update.preset" in keys_of(overrides):
        _refuse_idle_preset(data["update"], config.update, path, overridden=keys_of(overrides))
    return config


def parse_config(data: Mapping[str, Any], *, root: Path) -> LoopConfig:
    """Builds the configuration from a mapping; relative paths are resolved against `root`. Raises ConfigError."""
    try:
        config = LoopConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(_sentence(dict(detail)) for detail in error.errors())) from None
    return config.model_copy(
        update={
            "runs_dir": _from(root, config.runs_dir),
            "environment": config.environment.below(root),
            "policy": config.policy.model_copy(update={"model": _from(root, config.policy.model)}),
            "services": config.services.model_copy(update={"state_dir": _from(root, config.services.state_dir)}),
        }
    )


def parse_judge(overrides: Sequence[str]) -> JudgeConfig:
    """The section `judge` alone, from overrides such as `judge.chain=[rubric]`. Raises ConfigError."""
    data: dict[str, Any] = {}
    for override in overrides:
        _apply(data, override)
    if other := data.keys() - {"judge"}:
        raise ConfigError(f"{min(other)}: expected settings of judge only, such as judge.chain=[rubric]")
    try:
        return JudgeConfig.model_validate(data["judge"])
    except ValidationError as error:
        found = (_sentence({**detail, "loc": ("judge", *detail["loc"])}) for detail in error.errors())
        raise ConfigError("\n".join(found)) from None


def keys_of(overrides: Sequence[str]) -> set[str]:
    """The keys in a list of overrides. Example: `["services.heal_s=5"]` -> `{"services.heal_s"}`."""
    return {override.partition("=")[0].strip() for override in overrides}


def dump_config(config: LoopConfig) -> str:
    """The resolved configuration as YAML; `load_config` reads it back to an equal object."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested mappings to dotted keys. Example: `{"rollout": {"shards": 2}}` -> `{"rollout.shards": 2}`."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def root_of(path: Path) -> Path:
    """The folder against which relative paths of this configuration file are resolved."""
    folder = path.absolute().parent
    if path.name == PROJECT_FILE:
        return folder
    for candidate in (folder, *folder.parents):
        if (candidate / "pyproject.toml").exists() or (candidate / "prefect.yaml").exists():
            return candidate
    return folder


def _read(path: Path) -> dict[str, Any]:
    try:
        data = read_yaml(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file") from None
    except (OSError, ValueError) as error:  # not text, or not a path at all: Prefect's form may send any characters
        raise ConfigError(f"{str(path)!r}: cannot be read as a configuration file ({error})") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping of sections at the top, found {type(data).__name__}")
    return data


def _apply(data: dict[str, Any], override: str) -> None:
    """Set one `a.b.c=value` in nested dictionaries."""
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"{override!r}: expected key=value, for example rollout.group_size=8")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"{override!r}: the value is not YAML; quote it") from None
    section = data
    for part in parts[:-1]:
        inner = section.get(part)
        if inner is None:
            inner = section[part] = {}
        if not isinstance(inner, dict):
            raise ConfigError(f"{key.strip()}: {part} is a value, not a section")
        section = inner
    section[parts[-1]] = value


def _refuse_idle_preset(given: Mapping[str, Any], update: UpdateConfig, path: Path, *, overridden: set[str]) -> None:
    """Raises ConfigError for a preset on the command line that would only be a name: keys of the file go before it."""
    if keys := [key for key in without_effect(given, update.model_dump()) if f"update.{key}" not in overridden]:
        raise ConfigError(
            f"update.preset={update.preset} changes nothing, because {path} sets {', '.join(keys)} itself; override these "
            "keys instead, or take them out of the file (`rl-loop presets` prints the preset's values)"
        )


def _sentence(detail: dict[str, Any]) -> str:
    """One sentence for one of pydantic's errors."""
    place = ".".join(str(part) for part in detail["loc"])
    match detail["type"]:
        case "extra_forbidden":
            return f"{place}: unknown key{_nearest(detail['loc'])}"
        case "missing":
            return f"{place}: this key is required"
        case "value_error":
            problem = str(detail["ctx"]["error"])
            return f"{place}: {problem}" if place else problem
        case _:
            problem = detail["msg"][0].lower() + detail["msg"][1:]
            return f"{place}: {problem}, found {detail['input']!r}"


def _nearest(location: tuple[str | int, ...]) -> str:
    """End of the sentence about an unknown key: the nearest known key, or the list of known keys."""
    model: Any = LoopConfig
    for part in location[:-1]:
        model = _model_at(model, part)
        if model is None:
            return ""
    known = list(model.model_fields)
    near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(known)}"


def _model_at(model: type[BaseModel], part: str | int) -> type[BaseModel] | None:
    """The section class of a field, looking through Optional and Annotated."""
    field = model.model_fields.get(str(part))
    candidates: list[Any] = [field.annotation] if field else []
    while candidates:
        candidate = candidates.pop()
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
        candidates.extend(get_args(candidate))
    return None


def _from(root: Path, path: Path) -> Path:
    return (root / path.expanduser()).absolute() if not path.is_absolute() else path
