"""The checkout that this code runs from, and the default configuration file."""

from pathlib import Path

from storage.errors import LoopError

PROJECT = Path(__file__).resolve().parents[2]
"""Root of the checkout: holds prefect.yaml, and is the working directory of flows."""
DEFAULT_CONFIG = Path("configs/demo.yaml")
"""Relative to a checkout; also the default in the deployment's form."""


class NoConfig(LoopError):
    """No configuration was named and no default one exists. The message is one sentence."""


def default_config(here: Path, checkout: Path = PROJECT) -> Path:
    """configs/demo.yaml of the working directory `here`, of the nearest folder above it that has one, or of `checkout`.

    Raises `NoConfig` when the package is installed without a checkout and the command runs outside of one.
    """
    for folder in (here, *here.parents, checkout):
        if (folder / DEFAULT_CONFIG).is_file():
            return folder / DEFAULT_CONFIG
    raise NoConfig(
        f"no configuration: there is no {DEFAULT_CONFIG} in {here}, in a folder above it or in {checkout}; "
        f"name the file with -c FILE, or give the path of a run's folder in the place of its name"
    )


def config_or_default(given: Path | None) -> Path:
    """The named configuration file, or the default one. Raises `NoConfig`."""
    return given or default_config(Path.cwd())
