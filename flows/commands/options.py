"""Arguments that several commands of `rl-loop` share, and the loading of the configuration."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flows.settings.loop_config import LoopConfig

DEFAULT_TEXT = "default: configs/demo.yaml here, in a folder above, or of the checkout"
ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help=f"YAML file of the loop; {DEFAULT_TEXT}", show_default=False)
]
ConfigArgument = Annotated[
    Path | None, typer.Argument(help=f"YAML file of the loop; {DEFAULT_TEXT}", show_default=False)
]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="key=value, for example rollout.group_size=8", show_default=False)
]
RunArgument = Annotated[str, typer.Argument(help="name of the run, or its folder")]
PrefectOption = Annotated[bool, typer.Option(help="run under Prefect; without, the same stages in this process")]


def loaded(config: Path | None, overrides: list[str] | None = None) -> "LoopConfig":
    """The configuration file given to a command, or the default one, with overrides. Raises a `LoopError`."""
    from flows.settings.checkout import config_or_default
    from flows.settings.loop_config import load_config

    return load_config(config_or_default(config), overrides or [])
