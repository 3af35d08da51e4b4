"""HTTP client of the Prefect server for the command line, without Prefect's own: importing that takes seconds."""

import base64
import os
import time
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from storage.errors import LoopError

DEPLOYMENT = "rl-loop/rl-loop"
TAG = "rl-loop"
"""Tag of every deployment in prefect.yaml."""
ANSWER_S = 30.0
"""Seconds that the server may take for one answer; SQLite makes it wait under load."""
TERMINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
GOING_ON = {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"]}}
NOT_WELL = {"type": {"not_any_": ["COMPLETED"]}}
CRASHED = {"state": {"type": "CRASHED", "message": "rl-loop found that its process no longer exists."}, "force": True}
BUSY_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Seconds before a request to a busy server is repeated."""
PAGE = 200
"""Most runs that the server returns per request."""


def started_by(flow_run_id: str) -> str:
    """The tag of a flow run that a loop has started on a worker."""
    return f"of:{flow_run_id}"


class PrefectError(LoopError):
    """The Prefect server refused a request or did not answer. The message is one sentence."""


@dataclass(frozen=True)
class FlowRun:
    """A flow run in the server's view."""

    id: str
    name: str
    state: str
    """Type of the state: SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, CRASHED, CANCELLED, CANCELLING, PAUSED."""
    message: str
    parameters: dict[str, Any] = field(default_factory=dict)
    began: float | None = None
    """Seconds since 1970; None before its process ran."""

    @property
    def is_over(self) -> bool:
        """True if the state is final."""
        return self.state in TERMINAL


class PrefectServer:
    """A client of one server. Use as `with PrefectServer(url) as server`; `url` is the UI's address."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=f"{url}/api", timeout=ANSWER_S, trust_env=False, headers=_secrets())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def forbid_unknown_parameters(self) -> None:
        """Have the server refuse unknown parameters of a run, whose process would otherwise end without an error."""
        for deployment in self.deployments():
            schema = deployment["parameter_openapi_schema"] | {"additionalProperties": False}
            body = {"parameter_openapi_schema": schema, "enforce_parameter_schema": True}
            self._ask("PATCH", f"/deployments/{deployment['id']}", body)

    def deployments(self) -> list[dict[str, Any]]:
        """The deployments of this project, as the server describes them."""
        return self._all("/deployments", {"deployments": {"tags": {"all_": [TAG]}}})

    def work_pools(self) -> dict[str, str]:
        """The types of the work pools by name. Example: `{"rl-loop": "process"}`."""
        return {pool["name"]: pool["type"] for pool in self._ask("POST", "/work_pools/filter", {"limit": 200})}

    def place(self, deployment_id: str, pool: str, directory: str) -> None:
        """Have a deployment's later runs played by the workers of a work pool, in a working directory of theirs."""
        steps = [{"prefect.deployments.steps.set_working_directory": {"directory": directory}}]
        self._ask("PATCH", f"/deployments/{deployment_id}", {"work_pool_name": pool, "pull_steps": steps})

    def deployment_id(self, name: str) -> str:
        """The id of a deployment. Example: `deployment_id("rl-loop/rl-loop")`."""
        return self._ask("GET", f"/deployments/name/{name}")["id"]

    def put_automation(self, body: dict[str, Any]) -> None:
        """Make an automation, or replace the one of its name."""
        found = self._automations(body["name"])
        if found:
            self._ask("PUT", f"/automations/{found[0]['id']}", body)
        else:
            self._ask("POST", "/automations/", body)

    def remove_automation(self, name: str) -> None:
        """Remove the automation of this name, if there is one."""
        for one in self._automations(name):
            self._ask("DELETE", f"/automations/{one['id']}")

    def put_webhook(self, name: str, address: str) -> str:
        """Store the address of a webhook in a block, where Prefect encrypts it. Returns the block's id."""
        kind = self._ask("GET", "/block_types/slug/webhook")
        stored = self._ask("GET", "/block_types/slug/webhook/block_documents")
        data = {"method": "POST", "url": address, "headers": {"Content-Type": "application/json"}}
        for one in stored:
            if one["name"] == name:
                self._ask("PATCH", f"/block_documents/{one['id']}", {"data": data})
                return one["id"]
        asked = {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}}
        schema = self._ask("POST", "/block_schemas/filter", asked)[0]
        body = {"name": name, "data": data, "block_type_id": kind["id"], "block_schema_id": schema["id"]}
        return self._ask("POST", "/block_documents/", body)["id"]

    def _automations(self, name: str) -> list[dict[str, Any]]:
        return self._ask("POST", "/automations/filter", {"automations": {"name": {"any_": [name]}}})

    def count_runs(self, deployment: str) -> int:
        """Number of runs of a deployment on the server; `deployment` is the second part of its name."""
        return self._ask("POST", "/flow_runs/count", {"deployments": {"name": {"any_": [deployment]}}})

    def start(self, *, name: str, parameters: dict[str, Any], deployment: str = DEPLOYMENT) -> FlowRun:
        """Start a new run of a deployment. Raises `PrefectError` if nothing is deployed or a parameter is refused."""
        found = self._ask("GET", f"/deployments/name/{deployment}")
        body = {"name": name, "parameters": parameters, "tags": [f"run:{name}"]}
        return _flow_run(self._ask("POST", f"/deployments/{found['id']}/create_flow_run", body))

    def read(self, flow_run_id: str) -> FlowRun:
        """The current state of a flow run."""
        return _flow_run(self._ask("GET", f"/flow_runs/{flow_run_id}"))

    def unfinished(self, flow_run_ids: list[str]) -> list[FlowRun]:
        """The flow runs in the list that the server has in no final state."""
        if not flow_run_ids:
            return []
        found = self._ask("POST", "/flow_runs/filter", {"flow_runs": {"id": {"any_": flow_run_ids}}})
        return [run for run in map(_flow_run, found) if not run.is_over]

    def mark_crashed(self, flow_run_id: str) -> None:
        """Mark a flow run as crashed: the server cannot notice the loss of worker and flow."""
        self._ask("POST", f"/flow_runs/{flow_run_id}/set_state", CRASHED)

    def bury(self, flow_run_ids: list[str], *, alive: str | None = None) -> int:
        """Mark as crashed every unfinished one of these flow runs, subflows and tasks included.

        `alive`: the one that runs now; only what its earlier processes left is marked. Returns the number marked.
        """
        marked, level = 0, list(flow_run_ids)
        # Ranks outlive the stage that started them, and what is complete is not looked into below.
        outlived = {"tags": {"any_": [started_by(one) for one in level]}, "state": GOING_ON}
        ranks = [_flow_run(one) for one in (self._all("/flow_runs", {"flow_runs": outlived}) if level else ())]
        for run in (*self.unfinished([one for one in level if one != alive]), *ranks):
            self.mark_crashed(run.id)
            marked += 1
        while level:
            for task in self._all("/task_runs", {"task_runs": {"flow_run_id": {"any_": level}, "state": GOING_ON}}):
                self._ask("POST", f"/task_runs/{task['id']}/set_state", CRASHED)
                marked += 1
            children = self._all(
                "/flow_runs", {"flow_runs": {"parent_flow_run_id": {"any_": level}, "state": NOT_WELL}}
            )
            level = [child["id"] for child in children]
            for child in map(_flow_run, children):
                if not child.is_over:
                    self.mark_crashed(child.id)
                    marked += 1
        return marked

    def cancel(self, flow_run_id: str) -> None:
        """Request the cancellation of a flow run; its worker stops it within seconds."""
        self._set(flow_run_id, "CANCELLING", "rl-loop cancel was called.")

    def mark_cancelled(self, flow_run_id: str) -> None:
        """Mark a flow run as cancelled whose process is gone."""
        self._set(flow_run_id, "CANCELLED", "rl-loop cancel stopped its process.", force=True)

    def was_cancelled(self, flow_run_id: str) -> bool:
        """True if anybody asked for the cancellation of a flow run, however it ended."""
        states = self._ask("GET", f"/flow_run_states/?flow_run_id={flow_run_id}")
        return any(state["type"] in ("CANCELLING", "CANCELLED") for state in states)

    def mark_running(self, flow_run_id: str) -> None:
        """Take back a mark as crashed: the process lives, its heartbeats were late."""
        self._set(flow_run_id, "RUNNING", "rl-loop found that its process is alive.", force=True)

    def _set(self, flow_run_id: str, kind: str, message: str, *, force: bool = False) -> None:
        body = {"state": {"type": kind, "message": message}, "force": force}
        self._ask("POST", f"/flow_runs/{flow_run_id}/set_state", body)

    def page(self, flow_run_id: str) -> str:
        """The URL of a flow run in the UI."""
        return f"{self.url}/runs/flow-run/{flow_run_id}"

    def _all(self, what: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """All results of a filter, over all pages."""
        found: list[dict[str, Any]] = []
        while len(page := self._ask("POST", f"{what}/filter", asked | {"limit": PAGE, "offset": len(found)})) == PAGE:
            found += page
        return [*found, *page]

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            response = self._http.request(method, path, json=body)
            for pause_s in BUSY_PAUSES_S:  # SQLite was locked, and nothing was changed
                if response.status_code != 503:
                    break
                time.sleep(pause_s)
                response = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise PrefectError(
                f"the Prefect server at {self.url} does not answer ({error!r}); run `rl-loop up`"
            ) from error
        if response.status_code == 404 and path.startswith("/deployments"):
            raise PrefectError(
                f"the Prefect server at {self.url} has no deployment {DEPLOYMENT}; run `rl-loop up` to deploy it"
            )
        if response.is_error:
            raise PrefectError(
                f"the Prefect server refused {method} {path}: {response.status_code} {response.text[:300]}"
            )
        return response.json() if response.content else None


def _flow_run(data: dict[str, Any]) -> FlowRun:
    state = data.get("state") or {}
    began = data.get("start_time")
    return FlowRun(
        id=data["id"],
        name=data["name"],
        state=data["state_type"] or "PENDING",
        message=state.get("message") or "",
        parameters=data.get("parameters") or {},
        began=datetime.fromisoformat(began).timestamp() if began else None,
    )


def _secrets() -> dict[str, str]:
    """The header with the key that Prefect's own client would send; empty for a server without access control."""
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if pair := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}
