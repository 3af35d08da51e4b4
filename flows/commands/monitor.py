"""`rl-loop monitor RUN`: watch a rollout or an evaluation."""

from contextlib import ExitStack
from enum import StrEnum
from typing import Annotated

import typer

from flows.commands.options import ConfigOption, RunArgument

INTERRUPTED = 130
"""Exit status after Ctrl+C, as in shells."""


class Played(StrEnum):
    """Stages that play episodes."""

    ROLLOUT = "rollout"
    EVALUATE = "evaluate"


def monitor(
    run: RunArgument,
    iteration: Annotated[
        int | None,
        typer.Option(help="stay with this iteration; without, follow what is played", min=0, show_default=False),
    ] = None,
    stage: Annotated[Played | None, typer.Option(help="only this stage", show_default=False)] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="a line every few seconds, as where there is no terminal")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="show one picture and end")] = False,
    prometheus: Annotated[
        int | None,
        typer.Option(
            help="serve the same numbers at http://127.0.0.1:PORT/metrics until Ctrl+C; 0 takes a free port",
            metavar="PORT",
            min=0,
            max=65_535,
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Watch the episodes of a run, a cell for each: phase, step, success, failures, pace, queues.

    It only reads the run's folder. Ctrl+C ends the watching, not the run.
    """
    from flows.monitor.metrics import MetricsServer
    from flows.monitor.monitor import Monitor
    from flows.monitor.screen import print_once, watch
    from flows.services.load import Asker
    from flows.starting.starting import find_run
    from storage.errors import LoopError
    from storage.stages import Stage

    if once and prometheus is not None:
        raise LoopError("--once shows one picture and ends, --prometheus goes on serving; choose one")
    folder = find_run(run, config)
    monitor = Monitor(folder, iteration=iteration, stage=Stage(stage) if stage else None)
    with ExitStack() as stack:
        asker = stack.enter_context(Asker(folder.config.services.state_dir))
        if once:
            print_once(monitor, asker, plain=plain)
            return
        server = None if prometheus is None else stack.enter_context(MetricsServer(prometheus))
        if server:
            typer.echo(f"metrics at {server.url}")
        try:
            watch(monitor, asker, plain=plain, also=server.show if server else None, stay=server is not None)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
