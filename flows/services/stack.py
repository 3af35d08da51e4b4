"""STATE/stack.json: the checkout whose code the services of a state directory run, and their settings at the start.

    rl-loop up ──writes──> STATE/stack.json ──read by──> up, run, resume, evaluate (`check_stack`) and the flow (`adopted`)

Every entrance compares the requested settings with this file, so that no run records settings that do not hold.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from flows.services.specs import NOT_VLLMS, PLACES, PORT_KEYS
from flows.settings.hints import on_services
from flows.settings.loop_config import LoopConfig, flatten, keys_of, parse_config
from storage.atomic import write_atomically
from storage.errors import ServicesError

FIXED = ("browser_slots", *PORT_KEYS.values(), *PLACES.values())
"""Keys of section `services` that are fixed while the services run; each command reads the others anew."""


class Stack(BaseModel):
    """Content of stack.json."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    checkout: str
    """Folder of the code that the services and the flow run."""
    python: str
    """Prefix of the Python environment."""
    runs_dir: str
    """The folder of runs in the configuration that the services were started with."""
    settings: dict[str, Any]
    """Requested settings by dotted key. Example: `{"serving.max_model_len": 2048, "services.mlflow_port": 5000}`."""


class Difference(NamedTuple):
    """A setting that is requested but not in effect."""

    key: str
    runs: Any
    asked: Any


def stack_file(state_dir: Path) -> Path:
    """The path of the record."""
    return state_dir / "stack.json"


def write_stack(config: LoopConfig, ports: dict[str, int], checkout: Path) -> None:
    """Record the settings that the services are about to be started with."""
    chosen = {f"services.{PORT_KEYS[name]}": port for name, port in ports.items()}
    stack = Stack(
        checkout=str(checkout),
        python=sys.prefix,
        runs_dir=str(config.runs_dir),
        settings=_settings(config) | chosen,
    )
    write_atomically(stack_file(config.services.state_dir), stack.model_dump_json(indent=1).encode())


def read_stack(state_dir: Path) -> Stack:
    """The record of running services. Raises `ServicesError` if it is missing or damaged."""
    path = stack_file(state_dir)
    try:
        return Stack.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        words = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror or str(error)
        raise ServicesError(
            f"{path} does not say what the services were started with ({words}); stop them with "
            f"{on_services('down', state_dir)} and start them again"
        ) from error


def check_stack(config: LoopConfig, checkout: Path) -> None:
    """Raises `ServicesError` if the running services are another checkout's, or were started with other settings."""
    state = config.services.state_dir
    stack = read_stack(state)
    if (stack.checkout, stack.python) != (str(checkout), sys.prefix):
        raise ServicesError(
            f"the services of {state} run the code of {stack.checkout} (Python of {stack.python}), but this is {checkout} "
            f"(Python of {sys.prefix}); work in that checkout, stop them with {on_services('down', state)}, or set "
            f"services.state_dir to a folder of this checkout's own"
        )
    _refuse(_differences(config, stack), state)


def adopted(config: LoopConfig, overrides: Sequence[str], state_dir: Path) -> LoopConfig:
    """The configuration with the running services of `state_dir`: a worker's flow has no others.

    Ports and slots in the file are ignored, those in `overrides` are requests. Raises `ServicesError` if a request
    differs from the running services, and `ConfigError` when the configuration needs more browsers than they have.
    """
    stack, explicit = read_stack(state_dir), keys_of(overrides)
    if "services.state_dir" in explicit and config.services.state_dir != state_dir:
        raise ServicesError(
            f"services.state_dir={config.services.state_dir} is asked for, but this worker belongs to the services of "
            f"{state_dir}; leave it out, or start the run where those services are"
        )
    _refuse([one for one in _differences(config, stack) if _is_asked(one.key, explicit)], state_dir)
    fixed = {key: stack.settings[f"services.{key}"] for key in FIXED if f"services.{key}" in stack.settings}
    services = config.services.model_copy(update={**fixed, "state_dir": state_dir})
    if services == config.services:
        return config
    return parse_config(config.model_copy(update={"services": services}).model_dump(mode="json"), root=state_dir)


def _is_asked(key: str, explicit: set[str]) -> bool:
    """True if a run without `rl-loop up` requests this key: `services` in a file are only a proposal."""
    return not key.startswith("services.") or key in explicit


def _differences(config: LoopConfig, stack: Stack) -> list[Difference]:
    asked = {key: value for key, value in _settings(config).items() if not (key.endswith("_port") and value == 0)}
    return [
        Difference(key, stack.settings[key], value)
        for key, value in asked.items()
        if key in stack.settings and stack.settings[key] != value
    ]


def _refuse(differences: list[Difference], state_dir: Path) -> None:
    if differences:
        changes = ", ".join(f"{one.key}={one.runs!r} and not {one.asked!r}" for one in differences[:5])
        raise ServicesError(
            f"the services of {state_dir} run with {changes}; ask for what runs, or stop them first with "
            f"{on_services('down', state_dir)}"
        )


def _settings(config: LoopConfig) -> dict[str, Any]:
    """The settings that form the services' command lines, as JSON values by dotted key."""
    data = config.model_dump(mode="json")
    serving = {key: value for key, value in data["serving"].items() if key not in NOT_VLLMS}
    services = {key: data["services"][key] for key in FIXED}
    return flatten({"policy": {"model": data["policy"]["model"]}, "serving": serving, "services": services})
