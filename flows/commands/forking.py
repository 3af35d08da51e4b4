"""`rl-loop fork`, a new run from an iteration of another one, and `rl-loop fetch`, a run from its copy."""

from typing import Annotated

import typer

from flows.commands.options import ConfigOption, Overrides, RunArgument, loaded


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


def fetch(
    run: Annotated[str, typer.Argument(help="name of the run in the copy")],
    source: Annotated[
        str | None,
        typer.Option("--from", help="address of the copies; default: storage.mirror", show_default=False),
    ] = None,
    overrides: Overrides = None,
    config: ConfigOption = None,
) -> None:
    """Make the folder of a run from its copy (storage.mirror), to go on with it on this machine.

    The machine that wrote it is refused from then on: one machine goes on with a run.

    Example: rl-loop fetch demo --from s3://bucket/runs && rl-loop resume demo
    """
    from flows.settings.hints import on_run
    from flows.settings.run_folder import RunFolder
    from storage.errors import LoopError
    from storage.mirror.mirror import fetch as fetch_run
    from storage.mirror.objects import ObjectStore, check_address
    from storage.names import checked_name

    settings = loaded(config, overrides)
    address = source or settings.storage.mirror
    if address is None:
        raise LoopError("no address of copies: give --from s3://bucket/folder, or set storage.mirror")
    try:
        store = ObjectStore(check_address(address))
    except ValueError as error:
        raise LoopError(f"--from: {error}") from error
    root = fetch_run(store, checked_name(run), settings.runs_dir)
    folder = RunFolder.open(root)
    print(
        f"{root} is made from {store.address}; {on_run('resume', root)} continues it with {folder.next_stage() or 'nothing'}"
    )
