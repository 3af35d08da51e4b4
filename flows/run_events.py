"""Events of a run in Prefect: an iteration finished, a policy published, a stage failed, a judge or an update raised an alarm.

    resource    rl-loop.run.<name>
    payload     {"run": .., "text": one sentence, "iteration": .., ...}

Automations can start on them; `services.notify_env` makes one that calls a webhook (services/automations.py). Events are
sent in the background: a server that is away loses them and costs a run nothing.
"""

from typing import Any, Literal, get_args

from prefect.events import emit_event
from prefect.runtime import flow_run

from flows.settings.run_folder import RunFolder
from flows.settings.services_config import RunEvent
from flows.stages.canary_alarm import JudgeAlarm
from storage.stages import Stage, StageKey, StageReport

PREFIX = "rl-loop"
Said = Literal["iteration-finished", "policy-published", "stage-failed", "judge-alarm", "update-alarm"]
"""The events that a run emits; `run-ended` is Prefect's own."""
assert set(get_args(Said)) < set(get_args(RunEvent)), "each event can be notified of"


def stage_finished(folder: RunFolder, key: StageKey, report: StageReport) -> None:
    """Emits the events that follow from a stage's report."""
    if key.stage is Stage.POLICY_UPDATE:
        version = int(report.counts.get("version", 0))
        if version == key.iteration:
            _emit(folder, key, "policy-published", f"policy v{version:04d} is served", version=version)
        if alarms := int(report.counts.get("alarms", 0)):
            text = f"the update of iteration {key.iteration} raised {alarms} alarms; its log names them"
            _emit(folder, key, "update-alarm", text, alarms=alarms)
    if [one for one in folder.schedule() if one.iteration == key.iteration][-1] == key:
        success = report.metrics.get("success_rate")
        shown = "" if success is None else f", held-out success {success:.1%}"
        text = f"iteration {key.iteration} of {folder.config.iterations} is finished{shown}"
        _emit(folder, key, "iteration-finished", text, success_rate=success)


def stage_failed(folder: RunFolder, key: StageKey, error: Exception) -> None:
    """Emits the event of a failed stage, and that of a judge that believed an impossible success."""
    if isinstance(error, JudgeAlarm):
        _emit(folder, key, "judge-alarm", str(error))
    _emit(folder, key, "stage-failed", f"{key} failed: {error}")


def _emit(folder: RunFolder, key: StageKey, what: Said, text: str, **more: Any) -> None:
    identity = flow_run.id
    related = [{"prefect.resource.id": f"prefect.flow-run.{identity}", "prefect.resource.role": "flow-run"}]
    emit_event(
        event=f"{PREFIX}.{what}",
        resource={"prefect.resource.id": f"{PREFIX}.run.{folder.name}", "prefect.resource.name": folder.name},
        related=related if identity else [],
        payload={"run": folder.name, "text": text[:500], "stage": key.stage.value, "iteration": key.iteration, **more},
    )
