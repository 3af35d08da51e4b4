"""Output of the command line: tables, and a live view that becomes plain lines where there is no terminal."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from flows.commands.watching import View
from flows.monitor.console import console
from flows.services.service_files import SupervisorStatus
from flows.settings.run_folder import RunFolder
from flows.starting.preflight import Finding
from flows.tracking.learning_signal import no_signal
from flows.tracking.summary import judging_of, rows
from storage.stages import Stage, StageReport

STATE_STYLE = {
    "ready": "green",
    "starting": "yellow",
    "waiting": "dim",
    "restarting": "red",
    "stopped": "dim",
    "away": "red",
}


def services_table(status: SupervisorStatus) -> Table:
    """Table of services: name, address, pid, state, seconds to ready."""
    table = Table(box=None, pad_edge=False)
    for column in ("service", "address", "pid", "state", "ready after"):
        table.add_column(column, justify="right" if column in ("pid", "ready after") else "left", overflow="fold")
    for service in status.services:
        state = service.state + (
            f" ({service.restarts} restarts: {escape(service.message)})" if service.restarts else ""
        )
        table.add_row(
            service.name,
            service.address,
            str(service.process.pid) if service.process else "",
            f"[{STATE_STYLE[service.state]}]{state}",
            f"{service.ready_after_s:.1f} s" if service.ready_after_s is not None else "",
        )
    return table


def print_services(status: SupervisorStatus) -> None:
    """Prints the table of services once."""
    console().print(services_table(status))


@contextmanager
def services_screen() -> Generator[Callable[[SupervisorStatus], None]]:
    """Yields a function that shows a status: as a live table, or as one line per service that becomes ready."""
    out = console()
    if not out.is_terminal:
        printed: set[str] = set()

        def tell(status: SupervisorStatus) -> None:
            for service in status.services:
                if service.state == "ready" and service.name not in printed:
                    printed.add(service.name)
                    out.print(f"{service.name} is ready after {service.ready_after_s:.1f} s: {service.address}")

        yield tell
        return
    with Live(console=out, transient=True, refresh_per_second=4) as live:
        yield lambda status: live.update(services_table(status))


def print_findings(findings: list[Finding]) -> None:
    """Prints the table of `rl-loop doctor`."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        table.add_row("[green]ok" if finding.ok else "[red]wrong", finding.check, escape(finding.text))
    console().print(table)


@contextmanager
def run_screen() -> Generator[Callable[[View], None]]:
    """Yields a function that shows a run's progress: live, or a line per finished stage without a terminal."""
    out = console()
    if not out.is_terminal:
        printed, warned = 0, False

        def tell(view: View) -> None:
            nonlocal printed, warned
            if view.warnings and not warned:
                warned = True
                out.print("\n".join(f"warning: {warning}" for warning in view.warnings))
            # Stages that were finished before are printed too: a resume builds on them.
            for report in view.finished[printed:]:
                out.print(f"{view.seconds:7.1f} s  {stage_line(report)}")
            printed = len(view.finished)

        yield tell
        return
    with Live(console=out, transient=True, refresh_per_second=4) as live:
        yield lambda view: live.update(run_panel(view))


def run_panel(view: View) -> Group:
    """The live view: the latest finished stages, the current stage, a progress bar."""
    recent = [
        *(f"[yellow]warning: {warning}[/]" for warning in view.warnings),
        *(f"  {stage_line(report)}" for report in view.finished[-8:]),
    ]
    if view.current is None:
        return Group(*recent, f"[bold]{view.run}[/]  all stages finished, {view.state.lower()}  {view.seconds:.0f} s")
    progress = view.progress
    head = Table.grid(padding=(0, 2))
    success = f"success {progress.successes / progress.judged:.0%}" if progress.judged else progress.note
    broken = f"{progress.failures} broken attempts" if progress.failures else ""
    head.add_row(
        f"[bold]{view.run}[/]",
        f"iteration {view.current.iteration}/{view.iterations}",
        f"[cyan]{view.current.stage.replace('_', ' ')}[/]",
        ProgressBar(total=progress.total or 1, completed=progress.done, width=30),
        f"{progress.done}/{progress.total}" if progress.total else "",
        success,
        broken,
        f"{view.seconds:.0f} s",
    )
    return Group(*recent, head)


def stage_line(report: StageReport) -> str:
    """A line about a finished stage."""
    facts = [f"iteration {report.iteration:3d}", f"{report.stage.replace('_', ' '):14}", f"{report.seconds:6.1f} s"]
    if "success_rate" in report.metrics:
        facts.append(f"success {report.metrics['success_rate']:6.1%} of {report.metrics['judged']:.0f}")
    if judging := judging_of(report):
        facts.append(judging)
    if report.stage is Stage.POLICY_UPDATE:
        facts.append(
            no_signal(report) or f"policy v{report.counts['version']:04d}, {report.counts['steps']} optimiser steps"
        )
    return "  ".join(facts)


def print_summary(folder: RunFolder, links: dict[str, str]) -> None:
    """Prints the table by iteration, and links to further information."""
    table = Table(box=None, pad_edge=False, title=f"run {folder.name}", title_justify="left")
    table.add_column("iteration", justify="right")
    for column in (
        "train success",
        "held-out success",
        "mean steps",
        *(f"{stage.replace('_', ' ')} s" for stage in Stage),
    ):
        table.add_column(column, justify="right")
    table.add_column("overhead", justify="right")
    found = rows(folder)
    if any(row.judging for row in found):
        table.add_column("judging")
    for row in found:
        table.add_row(
            str(row.iteration),
            _shown(row.train_success, ".1%"),
            _shown(row.heldout_success, ".1%"),
            _shown(row.steps_mean, ".2f"),
            *(_shown(row.seconds.get(stage), ".1f") for stage in Stage),
            _shown(row.overhead_share, ".1%"),
            *([row.judging] if any(one.judging for one in found) else []),
        )
    out = console()
    out.print(table)
    for name, place in links.items():
        out.print(f"{name + ':':18}{place}", soft_wrap=True, highlight=False)


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
