"""`rl-loop tasks`: the commands of this room under one name."""

import typer

from flows.commands.tasks.cards import card
from flows.commands.tasks.decomposing import decompose
from flows.commands.tasks.files import check, convert, generate
from flows.commands.tasks.splitting import split
from flows.commands.tasks.stats import stats

tasks_app = typer.Typer(no_args_is_help=True, help="Look at files of tasks, convert and split them.")
for command in (check, stats, convert, split, decompose, card, generate):
    tasks_app.command()(command)
