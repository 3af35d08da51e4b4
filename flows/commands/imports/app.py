"""`rl-loop import`: the commands of this room under one name."""

import typer

from flows.commands.imports.webgym import webgym

import_app = typer.Typer(
    no_args_is_help=True, help="Bring in the configuration of WebGym, and the tasks of other benchmarks."
)
for command in (webgym,):
    import_app.command()(command)


@import_app.callback()
def _several() -> None:
    """Keeps the name of the command where there is only one."""
