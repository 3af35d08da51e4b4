"""Commands in messages to the user. They work as printed, in any folder, wherever the run or the services are."""

import shlex
from pathlib import Path

from flows.settings.checkout import default_config
from flows.settings.loop_config import load_config
from storage.errors import LoopError


def on_run(command: str, root: Path, *more: str) -> str:
    """`rl-loop COMMAND RUN MORE..` in backquotes; RUN is a name if the default configuration finds it, else a path.

    Example: "`rl-loop resume demo iterations=20`".
    """
    root = root.absolute()
    named = root.name if _default_place("runs_dir") == root.parent else str(root)
    return f"`{shlex.join(['rl-loop', command, named, *more])}`"


def on_services(command: str, state_dir: Path) -> str:
    """`rl-loop COMMAND` in backquotes for the services of a state directory; COMMAND is `down` or `status`."""
    elsewhere = [] if _default_place("state_dir") == state_dir else [f"services.state_dir={state_dir}"]
    return f"`{shlex.join(['rl-loop', command, *elsewhere])}`"


def _default_place(which: str) -> Path | None:
    """The runs or state directory of the default configuration, None if there is no such configuration."""
    try:
        config = load_config(default_config(Path.cwd()))
    except (LoopError, OSError):
        return None
    return config.runs_dir if which == "runs_dir" else config.services.state_dir
