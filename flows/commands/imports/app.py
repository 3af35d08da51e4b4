"""`rl-loop import`: the commands of this room under one name."""

import typer

from flows.commands.imports.benchmarks import online_mind2web, webarena_verified, webvoyager
from flows.commands.imports.browsergym import browsergym
from flows.commands.imports.webgym import webgym

import_app = typer.Typer(
    no_args_is_help=True, help="Bring in the configuration of WebGym, and the tasks of other benchmarks."
)
for command in (webgym, webarena_verified, online_mind2web, webvoyager, browsergym):
    import_app.command()(command)
