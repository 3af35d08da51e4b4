"""Checks before anything is started: packages, browser, disk, model, task families.

Each check returns a line about the result, or raises `PreflightError` with a sentence that says what to do.
"""

import os
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple, TypeVar

from agent.models.opening import check_model
from agent.models.vendors import ModelUnavailable
from agent.prompting.tokenizer_files import TokenizerUnreadable, control_tokens
from environments.applications.hosted.install import check_installed
from environments.applications.hosted.recipe import installation
from environments.applications.installed import INSTALLED
from environments.applications.metabase.config import MetabaseConfig
from environments.base import EnvironmentBroken
from environments.registry import make_environment
from flows.policy.prompt_room import prompt_room
from flows.policy.sleeping import why_no_sleep
from flows.services.ports import choose_ports
from flows.services.service_files import read_status
from flows.services.services import disk_free_gb
from flows.services.specs import HOST
from flows.settings.loop_config import LoopConfig
from flows.settings.parts import Only
from flows.settings.services_config import LOCAL
from flows.settings.who_acts import served_tokenizer
from flows.tracking.spans import check_traces
from judging.opening import check_judge_model
from storage.errors import LoopError, ServicesError
from storage.stages import Stage

PACKAGES = {
    "prefect": "flows",
    "mlflow": "flows",
    "matplotlib": "flows",
    "playwright": "browser",
    "fastapi": "browser",
    "miniwob": "environments",
    "torch": "train",
    "transformers": "train",
    "trl": "train",
    "vllm": "cpu",
}
"""The modules that must be importable, and the extra of this project that installs each."""


C = TypeVar("C")
SHORTEST_TOKEN = 16
"""Fewest characters of a secret between machines."""


class PreflightError(LoopError):
    """This machine lacks something that the run needs. The message is one sentence."""


class Finding(NamedTuple):
    """A line of `rl-loop doctor`."""

    check: str
    ok: bool
    text: str


def refuse_early(config: LoopConfig) -> None:
    """Runs all checks but the ports. Raises `PreflightError` for the first that fails."""
    for check in (
        packages,
        chromium,
        state_dir,
        runs_dir,
        disk,
        model,
        update,
        models,
        tasks,
        applications,
        prompt_room,
        check_traces,
    ):
        check(config)
    if config.services.models != LOCAL:
        needed_secret(config.services.models_token_env, "services.models_token_env")


def refuse_part(config: LoopConfig, only: Only) -> None:
    """Runs the checks for one part of the services. Raises `PreflightError`, or `ServicesError` without a token."""
    for check in (state_dir, chromium, check_traces) if only == "browsers" else (state_dir, model, check_traces):
        check(config)
    if only == "models":
        needed_secret(config.services.models_token_env, "services.models_token_env")
    elif config.services.listen != HOST:
        needed_secret("BROWSER_SERVICE_API_KEY", "services.listen")


def needed_secret(variable: str, key: str) -> None:
    """Raises `ServicesError` if a secret is missing in the environment."""
    if len(os.environ.get(variable, "")) < SHORTEST_TOKEN:
        raise ServicesError(
            f"{key}: expected a secret of at least {SHORTEST_TOKEN} characters in the environment variable {variable}; "
            f"export it here and on the machines that use this service"
        )


def findings(config: LoopConfig) -> list[Finding]:
    """The result of every check, failures included."""
    return [_find(name, check, config) for name, check in CHECKS.items()]


def findings_without_config(why: LoopError) -> list[Finding]:
    """The results of the checks that need no configuration, and the failure that there is none."""
    bare = [_find(name, check, None) for name, check in BARE_CHECKS.items()]
    return [*bare, Finding("configuration", False, str(why))]


def packages(_: LoopConfig | None) -> str:
    """Checks that all Python packages are installed."""
    # Not importlib.util.find_spec: it trusts sys.modules, in which an update hides vLLM on purpose.
    missing = [name for name in PACKAGES if PathFinder.find_spec(name) is None]
    if missing:
        extras = ",".join(sorted({PACKAGES[name] for name in missing}))
        raise PreflightError(
            f"Python packages are missing: {', '.join(missing)}; run pip install -e '.[{extras}]' -c constraints.txt"
        )
    return f"{len(PACKAGES)} packages found"


def chromium(_: LoopConfig | None) -> str:
    """Checks that a Chromium can be started."""
    from browser_service.chromium.launcher import LaunchError, find_executable
    from browser_service.settings import SettingsError, read_settings

    try:
        return str(find_executable(read_settings(os.environ), _playwrights_own()))
    except (LaunchError, SettingsError) as error:
        raise PreflightError(str(error)) from None


def disk(config: LoopConfig) -> str:
    """Checks that there is room for checkpoints, screenshots and logs."""
    least = config.services.min_free_gb
    for place in (config.runs_dir, config.services.state_dir):
        free = disk_free_gb(place)
        if free < least:
            raise PreflightError(
                f"{free:.1f} GB are free for {place} but {least:g} GB are needed (services.min_free_gb); make room or choose another disk"
            )
    return f"{disk_free_gb(config.runs_dir):.0f} GB free"


def model(config: LoopConfig) -> str:
    """Checks that the first policy is a model directory."""
    path = config.policy.model
    if not path.is_dir():
        raise PreflightError(f"policy.model: there is no model directory {path}; make or download the model first")
    if not (path / "config.json").is_file():
        raise PreflightError(f"policy.model: {path} is no model directory, it has no config.json")
    if not any(path.glob("*.safetensors")):
        raise PreflightError(f"policy.model: {path} has no weights (*.safetensors)")
    try:
        control_tokens(served_tokenizer(config))
    except TokenizerUnreadable as error:
        raise PreflightError(f"policy.model: {error}") from None
    return str(path)


def update(config: LoopConfig) -> str:
    """Checks that the settings of the policy update can be used together."""
    if why := config.update.why_refused() or why_no_sleep(config):
        raise PreflightError(why)
    update = config.update
    algorithm = f"{update.preset}: loss {update.loss_type}, credit {update.credit}"
    return f"{algorithm}, learning rate {update.learning_rate:g}, masters in {update.dtype}"


def models(config: LoopConfig) -> str:
    """Checks that the acting models and the judge model can be opened: SDKs are installed and keys are in the environment."""
    acting = {config.agent.model, config.evaluate.model or config.agent.model}
    try:
        names = sorted(check_model(model) for model in acting)
        judges = [f"judge {check_judge_model(judge)}" for judge in config.judge.named_models.values()]
        return ", ".join([*names, *judges])
    except ModelUnavailable as error:
        raise PreflightError(str(error)) from None


def tasks(config: LoopConfig) -> str:
    """Checks that the task families or files exist and have enough tasks."""
    from rollouts.plan import canary_groups, draw_groups

    try:
        first, held_out = (
            draw_groups(config.rollout_settings(), 1, Stage.ROLLOUT),
            draw_groups(config.rollout_settings(), 0, Stage.EVALUATE),
        )
        canaries = canary_groups(config.rollout_settings(), 1)
    except ValueError as error:  # UnknownTask, TaskFileError, or too few tasks
        raise PreflightError(f"environment: {error}") from None
    for task in (group.task for group in (*first, *held_out)):
        for judge in task.judge:
            if lack := config.judge.lack_of(judge):
                raise PreflightError(f"task {task.id} names the judge {judge}, {lack}")
    return (
        f"{len(first) * config.rollout.group_size} training episodes per iteration, "
        f"{len(held_out) * config.evaluate.samples} held-out ones" + (f", {len(canaries)} canaries" if canaries else "")
    )


def applications(config: LoopConfig) -> str:
    """Checks that the applications that are played are installed, and that the engine has the images of containers."""
    names: list[str] = [part.name for part in config.environment.members if part.name in INSTALLED]
    try:
        make_environment(config.environment)
        for name in names:
            check_installed(INSTALLED[name].recipe(), installation(name))
        names += [check_metabase(part.metabase) for part in config.environment.members if part.metabase is not None]
    except (EnvironmentBroken, ValueError) as error:  # ValueError: a mix whose parts do not fit
        raise PreflightError(f"environment: {error}") from None
    return ", ".join(names) or "none needs an installation"


def check_metabase(config: MetabaseConfig) -> str:
    """Checks that Metabase's containers can be started. Raises `EnvironmentBroken`."""
    from environments.applications.metabase.pairs import check_ready

    return check_ready(config)


def ports(config: LoopConfig) -> str:
    """Checks that the services' ports are free, or held by the services themselves."""
    status = read_status(config.services.state_dir)
    if status is not None and status.supervisor.is_alive():
        return "held by the running services"
    chosen = choose_ports(config.services)
    return ", ".join(f"{name} {port}" for name, port in chosen.items())


def state_dir(config: LoopConfig) -> str:
    """Checks that the state directory is writable."""
    return _writable("services.state_dir", config.services.state_dir)


def runs_dir(config: LoopConfig) -> str:
    """Checks that the folder of runs is writable."""
    return _writable("runs_dir", config.runs_dir)


def _writable(key: str, place: Path) -> str:
    existing = next(parent for parent in (place, *place.parents) if parent.exists())
    if not existing.is_dir():
        raise PreflightError(f"{key}: {existing} is no folder; choose another place")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PreflightError(f"{key}: {existing} cannot be written by this user; choose another place")
    return str(place)


BARE_CHECKS: dict[str, Callable[[LoopConfig | None], str]] = {"packages": packages, "browser": chromium}
CHECKS: dict[str, Callable[[LoopConfig], str]] = {
    **BARE_CHECKS,
    "disk": disk,
    "model": model,
    "traces": check_traces,
    "update": update,
    "agent": models,
    "tasks": tasks,
    "applications": applications,
    "prompt": prompt_room,
    "ports": ports,
    "state": state_dir,
    "runs": runs_dir,
}


def _find(name: str, check: Callable[[C], str], config: C) -> Finding:
    try:
        return Finding(name, True, check(config))
    except LoopError as error:
        return Finding(name, False, str(error))


def _playwrights_own() -> str:
    """The Chromium that `playwright install` put into Playwright's cache, an empty string if there is none."""
    places = (os.environ.get("PLAYWRIGHT_BROWSERS_PATH"), "~/.cache/ms-playwright", "~/Library/Caches/ms-playwright")
    for place in filter(None, places):
        for marker in sorted(Path(place).expanduser().glob("chromium*/INSTALLATION_COMPLETE")):
            names = ("chrome", "headless_shell", "chrome-headless-shell", "Chromium")
            for name in names:
                for executable in marker.parent.glob(f"**/{name}"):
                    if executable.is_file():
                        return str(executable)
    return ""
