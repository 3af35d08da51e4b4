"""Follows a run from outside: its folder says how far it is, Prefect whether its process lives."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flows.errors import LoopError
from flows.hints import on_run
from flows.prefect_api import FlowRun, PrefectError, PrefectServer
from flows.progress import Progress, read_progress
from flows.run_folder import RunFolder, StageKey, StageReport

LOOK_EVERY_S = 0.5
"""Seconds between two looks at the run folder."""
ASK_EVERY_S = 2.0
"""Seconds between two questions to Prefect."""
SERVER_AWAY_S = 120.0
"""Seconds without an answer from Prefect after which watching is given up; the flow itself goes on."""


class RunFailed(LoopError):
    """The flow ended, and not well. The message is its own last sentence."""


@dataclass(frozen=True)
class View:
    """What a person wants to see of a run now."""

    run: str
    iterations: int
    current: StageKey | None
    progress: Progress
    finished: list[StageReport]
    """Finished stages in their order."""
    state: str
    seconds: float
    """Since watching began."""


def look(folder: RunFolder, *, state: str, seconds: float) -> View:
    """How far a run is."""
    current = folder.next_stage()
    progress = read_progress(folder.stage_dir(*current)) if current else Progress()
    return View(folder.name, folder.config.iterations, current, progress, folder.reports(), state, seconds)


def follow(server: PrefectServer, flow_run_id: str, root: Path, show: Callable[[View], None]) -> FlowRun:
    """Show a run until its flow run is over. Raises `RunFailed` with its message unless it completed."""
    began = answered = time.monotonic()
    asked = 0.0
    run: FlowRun | None = None
    while run is None or not run.is_over:
        now = time.monotonic()
        if now - asked >= ASK_EVERY_S:
            asked = now
            try:
                run, answered = server.read(flow_run_id), time.monotonic()
            except PrefectError:
                if now - answered > SERVER_AWAY_S:
                    raise
        if (root / "run.json").exists():
            show(look(RunFolder.open(root), state=run.state if run else "", seconds=time.monotonic() - began))
        time.sleep(LOOK_EVERY_S)
    if run.state != "COMPLETED":
        raise RunFailed(
            f"run {root.name} ended as {run.state}: {sentence(run.message)}; {on_run('resume', root)} goes on"
        )
    return run


def sentence(message: str) -> str:
    """Prefect's state message without the frame it puts around an exception."""
    text = message.removeprefix("Flow run encountered an exception: ")
    kind, colon, rest = text.partition(": ")
    return (rest if colon and kind.isidentifier() else text).rstrip(".") or "no message"
