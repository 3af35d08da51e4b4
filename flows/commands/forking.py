"""`rl-loop fork`: a new run from an iteration of another one."""

from typing import Annotated

import typer

from flows.commands.options import ConfigOption, Overrides, RunArgument


def fork(
    run: RunArgument,
    overrides: Overrides = None,
    at: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="the last iteration that the fork takes over; default: the last finished one",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="name of the new run; default: the old one, numbered", show_default=False)
    ] = None,
    judged: Annotated[
        bool, typer.Option("--judged", help="take over the next iteration's rollout and verdicts, too, to train again")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Make a new run that begins after an iteration of another one, with other settings; the old run stays as it is.

    Examples: rl-loop fork demo --at 3 --name demo-slow update.learning_rate=1e-4

    rl-loop fork demo --at 3 --judged --name demo-rubric update.verdict_set=rubric
    """
    from flows.settings.hints import on_run
    from flows.starting import forking
    from flows.starting.starting import find_run

    source = find_run(run, config)
    last = forking.last_forkable(source) if at is None else at
    made = forking.fork(source, last, overrides or [], name, judged=judged)
    more = f", and the rollout and verdicts of iteration {last + 1}" if judged else ""
    print(f"run {made.name} has iterations 0 to {last} of {source.name}{more}: {made.root}")
    print(f"{on_run('resume', made.root)} continues it with {made.next_stage()}")
