"""Automations in Prefect that `rl-loop up` makes: lost runs are found and cleaned up, a webhook is called.

    no heartbeat for LOST_S            -> the flow run is marked Crashed
    a run of this project is Crashed   -> deployment `recover`: ends what it left, and starts it again if `services.resume_lost`
    an event of `services.notify_on`   -> POST to the webhook whose address is in the variable `services.notify_env`

Each is found again by its name, so that repeating `up` changes what the configuration changed and adds nothing.
"""

import os
from collections.abc import Sequence
from typing import Any

from flows.services.prefect_api import TAG, PrefectServer
from flows.settings.services_config import ServicesConfig
from storage.errors import ServicesError

LOST, CRASHED, NOTIFY = "rl-loop: lost runs", "rl-loop: clean up crashed runs", "rl-loop: notify"
RECOVER = "recover/recover"
LOST_S = 150
"""Seconds without a heartbeat after which a flow run is marked as crashed. Heartbeats come every 30 s; twice that once
marked a run on a busy machine that was alive."""
ENDS = tuple(f"prefect.flow-run.{end}" for end in ("Completed", "Failed", "Crashed", "Cancelled", "Cancelling"))
BLOCK = "rl-loop-notify"
PAYLOAD = """{"event": {{ event.event | tojson }}, "at": {{ event.occurred | string | tojson }},
 "run": {{ event.resource.name | default("", true) | tojson }}, "text": {{ event.payload.text | default(event.event, true) | tojson }},
 "details": {{ event.payload | tojson }}}"""
OURS = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"}
RUNS = {"prefect.resource.role": "tag", "prefect.resource.id": ["prefect.tag.loop", "prefect.tag.stage"]}
"""Flow runs that write a run folder; a rank on another worker is missed by its loop, and `recover` must not start itself."""


def make_automations(server: PrefectServer, config: ServicesConfig, *, lost_s: int = LOST_S) -> None:
    """Makes the automations, or brings them up to date. Raises `PrefectError`, `ServicesError` without the address."""
    server.put_automation(lost_runs(lost_s))
    server.put_automation(crashed_runs(server.deployment_id(RECOVER)))
    if config.notify_env is None:
        server.remove_automation(NOTIFY)
        return
    block = server.put_webhook(BLOCK, webhook_address(config.notify_env))
    server.put_automation(notify(config.notify_on, block))


def webhook_address(variable: str) -> str:
    """The webhook's address. Raises `ServicesError` if the environment has none."""
    address = os.environ.get(variable, "")
    if not address.startswith(("http://", "https://")):
        raise ServicesError(
            f"services.notify_env={variable}: expected an http(s) address in the environment variable {variable}, "
            f"{'found none' if not address else 'found something else'}; export it, or leave services.notify_env out"
        )
    return address


def lost_runs(within_s: int) -> dict[str, Any]:
    """The automation that marks runs without a heartbeat."""
    trigger = {
        "type": "event",
        "posture": "Proactive",
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": OURS,
        "after": ["prefect.flow-run.heartbeat"],
        "expect": ["prefect.flow-run.heartbeat", *ENDS],
        "for_each": ["prefect.resource.id"],
        "threshold": 1,
        "within": within_s,
    }
    text = f"There was no heartbeat for {within_s} s: its process, or the machine of its worker, is gone."
    return {
        "name": LOST,
        "description": "Marks a run of rl-loop as crashed when its process no longer sends heartbeats.",
        "enabled": True,
        "trigger": trigger,
        "actions": [{"type": "change-flow-run-state", "state": "CRASHED", "message": text}],
    }


def crashed_runs(recover: str) -> dict[str, Any]:
    """The automation that starts the deployment `recover` (its id) for each crashed run."""
    trigger = _at_once(
        ["prefect.flow-run.Crashed"], match={"prefect.resource.id": "prefect.flow-run.*"}, match_related=RUNS
    )
    parameters = {"resource": {"__prefect_kind": "jinja", "template": "{{ event.resource.id }}"}}
    return {
        "name": CRASHED,
        "description": "Ends what a crashed run of rl-loop left behind; starts it again if services.resume_lost allows.",
        "enabled": True,
        "trigger": trigger,
        "actions": [
            {"type": "run-deployment", "source": "selected", "deployment_id": recover, "parameters": parameters}
        ],
    }


def notify(events: Sequence[str], block: str) -> dict[str, Any]:
    """The automation that calls the webhook in `block` (the id of a block) for each of `events`."""
    ours = [f"rl-loop.{event}" for event in events if event != "run-ended"]
    triggers = [_at_once(ours, match={"prefect.resource.id": "rl-loop.run.*"})] if ours else []
    if "run-ended" in events:
        loops = {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.loop"}
        ends = [end for end in ENDS if not end.endswith("Cancelling")]
        triggers.append(_at_once(ends, match={"prefect.resource.id": "prefect.flow-run.*"}, match_related=loops))
    return {
        "name": NOTIFY,
        "description": "Calls the webhook of services.notify_env.",
        "enabled": True,
        "trigger": {"type": "compound", "require": "any", "within": 0, "triggers": triggers},
        "actions": [{"type": "call-webhook", "block_document_id": block, "payload": PAYLOAD}],
    }


def _at_once(expect: list[str], **match: Any) -> dict[str, Any]:
    every = {"type": "event", "posture": "Reactive", "threshold": 1, "within": 0, "for_each": ["prefect.resource.id"]}
    return every | {"expect": expect} | match
