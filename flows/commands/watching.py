"""Watches a run from outside: progress from its folder, the state of its process from Prefect and heartbeats."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from flows.services.prefect_api import FlowRun, PrefectError, PrefectServer
from flows.settings.hints import on_run
from flows.settings.run_folder import RunFolder
from flows.starting.aftermath import settle
from flows.tracking.learning_signal import warnings
from storage.errors import LoopError
from storage.heartbeat import lost, read_heartbeat
from storage.progress import Progress, read_progress
from storage.run_layout import RunLayout, is_run
from storage.stages import StageKey, StageReport

LOOK_EVERY_S = 0.5
"""Seconds between two reads of the run folder."""
ASK_EVERY_S = 2.0
"""Seconds between two requests to Prefect."""
PLAYED = frozenset({"PENDING", "RUNNING", "CANCELLING"})
"""States in which a process of the run should be alive."""
GONE_S = 6.0
"""Seconds after the loss of a process in which its worker, if it still exists, reports it to Prefect."""
BEGINS_S = 300.0
"""Seconds that may pass without a process of the run: it is starting, or its last state is not stored yet."""
SERVER_AWAY_S = 120.0
"""Seconds without an answer from Prefect after which watching stops; the flow itself goes on."""


class RunFailed(LoopError):
    """The flow ended without success. The message is the flow's last sentence."""


@dataclass(frozen=True)
class View:
    """The state of a run for display."""

    run: str
    iterations: int
    current: StageKey | None
    progress: Progress
    finished: list[StageReport]
    """Finished stages in their order."""
    state: str
    seconds: float
    """Since the watching began."""
    warnings: list[str] = field(default_factory=list)
    """Warnings about the run that follow from its configuration."""


def look(folder: RunFolder, *, state: str, seconds: float) -> View:
    """The current state of a run."""
    current = folder.next_stage()
    progress = read_progress(folder.stage_dir(*current)) if current else Progress()
    reports, warned = folder.reports(), warnings(folder.config)
    return View(folder.name, folder.config.iterations, current, progress, reports, state, seconds, warned)


class Pulse:
    """Detects that the process of a run is gone where Prefect cannot: when its worker was lost with it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._before = lost(root)
        self._silent_since: float | None = None

    def gone(self, state: str, now: float) -> str | None:
        """The description of a run that no process plays although Prefect has it running; None while it may live."""
        beat = read_heartbeat(self._root)
        mine = None if beat is None or beat.is_of(self._before) else beat
        if state not in PLAYED or (mine is not None and not mine.ended and not mine.was_lost()):
            self._silent_since = None
            return None
        self._silent_since = self._silent_since or now
        silent_s = now - self._silent_since
        if mine is not None and mine.was_lost():
            return f"{mine}, which played it, is gone" if silent_s > GONE_S else None
        return f"no process has played it for {silent_s:.0f} s" if silent_s > BEGINS_S else None


class _OpenedRun:
    """The folder of a run, opened again only when its configuration file changed: to parse that takes a tenth of a second."""

    def __init__(self, root: Path) -> None:
        self._layout = RunLayout(root)
        self._opened: tuple[tuple[int, int], RunFolder] | None = None

    def folder(self) -> RunFolder:
        """Raises `RunFolderError` as `RunFolder.open` does."""
        try:
            stat = self._layout.config_file.stat()
        except OSError:
            return RunFolder.open(self._layout.root)  # says what is wrong
        version = (stat.st_mtime_ns, stat.st_ino)  # every write is a new file
        if self._opened is None or self._opened[0] != version:
            self._opened = (version, RunFolder.open(self._layout.root))
        return self._opened[1]


def follow(server: PrefectServer, flow_run_id: str, root: Path, show: Callable[[View], None]) -> FlowRun:
    """Show a run until its flow run is over. Raises `RunFailed` with its message unless it completed.

    It is over as well when its process is gone and Prefect does not know; then Prefect is informed.
    """
    began = answered = time.monotonic()
    asked = 0.0
    run: FlowRun | None = None
    pulse, opened = Pulse(root), _OpenedRun(root)
    gone: str | None = None
    while run is None or not (run.is_over or gone):
        now = time.monotonic()
        if now - asked >= ASK_EVERY_S:
            asked = now
            try:
                run, answered = server.read(flow_run_id), time.monotonic()
            except PrefectError:
                if now - answered > SERVER_AWAY_S:
                    raise
        if is_run(root):
            show(look(opened.folder(), state=run.state if run else "", seconds=time.monotonic() - began))
        gone = pulse.gone(run.state, now) if run else None
        time.sleep(LOOK_EVERY_S)
    if run.state == "COMPLETED":
        return run
    if is_run(root):
        settle(RunFolder.open(root), server, flow_run_id, status="FAILED" if run.state == "FAILED" else "KILLED")
    how = sentence(run.message) if run.is_over else f"{gone}, and Prefect was informed"
    ended = run.state if run.is_over else "CRASHED"
    raise RunFailed(f"run {root.name} ended as {ended}: {how}; {on_run('resume', root)} goes on")


def sentence(message: str) -> str:
    """Prefect's state message without the prefix that it puts before an exception."""
    text = message.removeprefix("Flow run encountered an exception: ")
    kind, colon, rest = text.partition(": ")
    return (rest if colon and kind.isidentifier() else text).rstrip(".") or "no message"
