"""Configuration of the worker: environments, models and judges, from one YAML file. Keys stay in environment variables.

Without a file: MiniWoB++ and the open web, the models `scripted` and `random`, and `gemini` with the key in GEMINI_API_KEY.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agent.config import AgentConfig, RecordConfig
from agent.model_config import GeminiComputer, ModelConfig, RandomClicks, ScriptedSolution, TrainedPolicy, VendorModel
from agent.models.opening import check_model
from agent.models.vendors import ModelUnavailable
from environments.config import EnvironmentConfig
from environments.miniwob.families import FAMILIES
from judging.config import JudgeConfig
from storage.upkeep.retention import KeepConfig

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
GEMINI = "gemini-2.5-computer-use-preview-10-2025"
"""The model of a request that names none, when there is a key for it."""
NO_FILES = {"train": "", "heldout": ""}
OWN_TASKS: Mapping[str, Mapping[str, Any]] = {
    "miniwob": {"domains": sorted(FAMILIES)},
    "live": {"tasks": NO_FILES},
    "metabase": {"tasks": NO_FILES},
}
"""Fields that `EnvironmentConfig` requires to draw tasks; the dashboard draws none, its tasks are in its database."""
ALWAYS = ("miniwob", "live")
"""Environments that need no section."""


class ConfigProblem(ValueError):
    """The configuration can't be used. The message is one sentence per mistake."""


class PlayConfig(BaseModel):
    """Content of the file of `--config`. Example:

    environments: {shop: {name: live, tasks: {start_url: "http://127.0.0.1:3000", private_sites: ["127.0.0.1:3000"]}}}
    models: {qwen: {kind: openai_chat, model: qwen3-vl-8b, base_url: "http://127.0.0.1:8000"}}
    judge: {chain: [answer]}
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    environments: dict[Name, EnvironmentConfig] = {}
    """By the name that tasks have in `environment`; `miniwob` and `live` are always there. As `environment` of a loop's
    configuration; `domains`, `tasks.train` and `tasks.heldout` can be left out."""
    models: dict[Name, ModelConfig] = {}
    """By the name that people choose; `scripted`, `random` and `gemini` are always there."""
    agent: AgentConfig = AgentConfig(record=RecordConfig(network="all", console="all"))
    """Prompt, limits and recordings, as in a loop's configuration; its `model` is the chosen one. By default the requests
    and the console of the pages are recorded."""
    judge: JudgeConfig = JudgeConfig()
    """The chain of judges."""
    keep: KeepConfig = KeepConfig()
    """Age limits of the files of rollouts by hand; runs have `storage.keep`, and `agent.record` has rules by verdict."""
    default_environment: str = "live"
    """Environment of uploaded tasks that name none."""
    default_model: str | None = None
    """Model of requests that name none; None: `gemini` if GEMINI_API_KEY is set, else `scripted`."""

    @field_validator("environments", mode="before")
    @classmethod
    def _without_tasks(cls, value: Any) -> Any:
        return {name: _filled(one) for name, one in value.items()} if isinstance(value, dict) else value

    @field_validator("models")
    @classmethod
    def _servers_only(cls, value: dict[str, Any]) -> dict[str, Any]:
        if any(isinstance(model, TrainedPolicy) for model in value.values()):
            raise ValueError("kind policy has no address here: use kind openai_chat with the server's base_url")
        return value

    def with_dump(self, dump: Path | None) -> "PlayConfig":
        """The configuration with a dump for those Metabases that name none (SQL_DUMP_PATH)."""
        if dump is None:
            return self
        own = {
            name: one.model_copy(update={"metabase": one.metabase.model_copy(update={"dump": dump.absolute()})})
            for name, one in self.environments.items()
            if one.metabase is not None and one.metabase.dump is None
        }
        return self.model_copy(update={"environments": self.environments | own})

    def all_environments(self) -> dict[str, EnvironmentConfig]:
        """The environments by name."""
        own = {name: EnvironmentConfig.model_validate({"name": name, **OWN_TASKS[name]}) for name in ALWAYS}
        return own | self.environments

    def all_models(self) -> dict[str, Any]:
        """The models by name."""
        own = {"scripted": ScriptedSolution(), "random": RandomClicks(), "gemini": GeminiComputer(model=GEMINI)}
        return own | self.models

    def model_named(self, name: str | None) -> str | None:
        """The name of a model in the configuration, for its own name or for the vendor's. None: there is none.

        Example: `gemini-2.5-computer-use-preview-10-2025` -> `gemini`. Without a name: the default model.
        """
        models = self.all_models()
        if name is None:
            return self.default_model or ("gemini" if os.environ.get("GEMINI_API_KEY") else "scripted")
        if name in models:
            return name
        return next((ours for ours, model in models.items() if getattr(model, "model", None) == name), None)

    def agent_with(self, model: str, member: int = 0) -> AgentConfig:
        """The settings of the agent with this model. Raises KeyError."""
        chosen = self.all_models()[model]
        if isinstance(chosen, RandomClicks):  # the attempts at a task would all be the same
            chosen = chosen.model_copy(update={"seed": chosen.seed + member})
        mode = {"interaction_mode": "coordinates"} if isinstance(chosen, VendorModel) else {}
        return self.agent.model_copy(update={"model": chosen, **mode})


def load_config(path: Path | None) -> PlayConfig:
    """The configuration of a file; the default one without a file. Raises `ConfigProblem`."""
    if path is None:
        return PlayConfig()
    try:
        data = yaml.safe_load(path.read_text()) or {}
        config = PlayConfig.model_validate(data)
    except OSError as error:
        raise ConfigProblem(f"{path}: can't be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigProblem(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        sentences = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ConfigProblem("\n".join(f"{path}: {sentence}" for sentence in sentences)) from None
    for name in filter(None, (config.default_model,)):
        if name not in config.all_models():
            raise ConfigProblem(f"{path}: default_model: there is no model {name} in models")
    if config.default_environment not in config.all_environments():
        raise ConfigProblem(f"{path}: default_environment: there is no environment {config.default_environment}")
    return config


def unavailable(model: Any) -> str:
    """Why a model can't be used on this machine, in a sentence; empty if it can."""
    try:
        check_model(model)
    except ModelUnavailable as error:
        return str(error)
    return ""


def _filled(value: Any) -> Any:
    """An environment's section with what it needs and the dashboard does not."""
    if not isinstance(value, dict):
        return value
    own = OWN_TASKS.get(value.get("name", ""), {})
    tasks = {"tasks": {**own["tasks"], **(value.get("tasks") or {})}} if "tasks" in own else {}
    return {**own, **value, **tasks}
