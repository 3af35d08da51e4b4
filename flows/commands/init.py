"""`rl-loop init`: a starter project outside of this repository."""

from pathlib import Path
from typing import Annotated

import typer


def init(folder: Annotated[Path, typer.Argument(help="a new or an empty folder; its name is the project's")]) -> None:
    """Write a starter project: a configuration, an environment and a task file to change, and the tiny policy.

    Example: rl-loop init my-agent; cd my-agent; rl-loop run --dry-run
    """
    import shlex

    from flows.starter.project import write_project

    for path in write_project(folder):
        print(folder / path)
    print(f"next: cd {shlex.quote(str(folder))} && rl-loop run --dry-run")
