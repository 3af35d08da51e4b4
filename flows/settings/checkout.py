"""The checkout that this code runs from, and the default configuration file."""

from pathlib import Path

from storage.errors import LoopError

PROJECT = Path(__file__).resolve().parents[2]
"""Root of the checkout, or the folder that the package is installed in."""
DEPLOYMENTS_FILE = PROJECT / "flows" / "prefect.yaml"
PROJECT_FILE = "rl-loop.yaml"
"""The configuration of a project of one's own, in its root (`rl-loop init`)."""
DEFAULT_CONFIG = Path("configs/demo.yaml")
"""Relative to a checkout; also the default in the deployment's form."""


class NoConfig(LoopError):
    """No configuration was named and no default one exists. The message is one sentence."""


def default_config(here: Path, checkout: Path = PROJECT) -> Path:
    """rl-loop.yaml or configs/demo.yaml of the working directory `here`, of the nearest folder above it that has one, or of
    `checkout`.

    Raises `NoConfig` when the package is installed without a checkout and the command runs outside of one.
    """
    for folder in (here, *here.parents, checkout):
        for name in (PROJECT_FILE, DEFAULT_CONFIG):
            if (folder / name).is_file():
                return folder / name
    raise NoConfig(
        f"no configuration: there is no {PROJECT_FILE} and no {DEFAULT_CONFIG} in {here}, in a folder above it or in {checkout}; "
        f"name the file with -c FILE, make a project with rl-loop init, or give the path of a run's folder in the place of its name"
    )


def config_or_default(given: Path | None) -> Path:
    """The named configuration file, or the default one. Raises `NoConfig`."""
    return given or default_config(Path.cwd())


def working_dir() -> Path:
    """The working directory of flows: the checkout, or the project of one's own that the command runs in."""
    if (PROJECT / "pyproject.toml").is_file():
        return PROJECT
    try:
        return default_config(Path.cwd()).parent
    except NoConfig:
        return Path.cwd()
