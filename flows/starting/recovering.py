"""Cleanup after a crashed flow run, and its resume where `services.resume_lost` allows one.

Prefect starts this for every run that it marks as Crashed (services/automations.py). The run folder decides what is true:
a run whose process lives was marked by mistake, and a run that another flow run goes on with is left alone.
"""

from flows.services.prefect_api import PrefectServer
from flows.settings.run_folder import RunFolder
from flows.starting.aftermath import folder_of, settle
from flows.starting.starting import resume_parameters
from storage.heartbeat import read_heartbeat


def recover(server: PrefectServer, flow_run_id: str) -> str:
    """End what a crashed flow run left, and start the run again if the configuration allows. Returns what was done."""
    run = server.read(flow_run_id)
    if run.state != "CRASHED":
        return f"nothing to do: the flow run is {run.state}"
    folder = folder_of(run.parameters, flow_run_id)
    if folder is None or flow_run_id not in (known := folder.record().prefect_flow_runs):
        server.bury([flow_run_id])
        return "it had not begun a run; its subflows and tasks are ended"
    if known[-1] != flow_run_id:
        server.bury([flow_run_id])
        return f"another flow run goes on with {folder.name}"
    if is_played(folder):
        server.mark_running(flow_run_id)
        return f"the process that plays {folder.name} is alive, its heartbeats were late"
    settle(folder, server, flow_run_id, status="KILLED")
    if server.was_cancelled(flow_run_id):  # its process ended by the signal, and reported that as a crash
        server.mark_cancelled(flow_run_id)
        return f"run {folder.name} was cancelled; rl-loop resume goes on with it"
    return f"run {folder.name} is cleaned up; {_gone_on(folder, server, is_loop='config' in run.parameters)}"


def is_played(folder: RunFolder) -> bool:
    """True if a process plays the run, on this machine or another."""
    beat = read_heartbeat(folder.root)
    return folder.writer() is not None or (beat is not None and not beat.ended and not beat.was_lost())


def losses(folder: RunFolder, server: PrefectServer) -> int:
    """Number of the run's newest flow runs that crashed one after the other without a finished stage in between."""
    done = max((report.ended_at for report in folder.reports() if report.finished_at), default=0.0)
    count = 0
    for identity in reversed(folder.record().prefect_flow_runs):
        run = server.read(identity)
        if run.state != "CRASHED":
            break
        count += 1
        if (run.began or 0.0) < done:  # this one finished a stage before it was lost
            break
    return count


def _gone_on(folder: RunFolder, server: PrefectServer, *, is_loop: bool) -> str:
    allowed = folder.config.services.resume_lost
    if folder.next_stage() is None:
        return "all its iterations are finished"
    if not is_loop or allowed == 0:
        return "rl-loop resume goes on with it (services.resume_lost makes that automatic)"
    if (lost := losses(folder, server)) > allowed:
        return f"it was lost {lost} times in succession, and services.resume_lost={allowed}; look at its logs"
    started = server.start(name=folder.name, parameters=resume_parameters(folder))
    return f"flow run {started.id} goes on with it"
