"""The few questions that the command line asks the Prefect server, over plain HTTP: importing Prefect takes seconds."""

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from flows.errors import LoopError

DEPLOYMENT = "rl-loop/rl-loop"
ANSWER_S = 30.0
"""Seconds that the server may take for one answer; SQLite makes it wait under load."""
TERMINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
GOING_ON = {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"]}}
NOT_WELL = {"type": {"not_any_": ["COMPLETED"]}}
CRASHED = {"state": {"type": "CRASHED", "message": "rl-loop found that its process no longer exists."}, "force": True}
BUSY_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Seconds before a server that is too busy is asked again."""
PAGE = 200
"""Most runs that the server tells at once."""


class PrefectError(LoopError):
    """The Prefect server did not do what it was asked. The message is one sentence."""


@dataclass(frozen=True)
class FlowRun:
    """A flow run as the server knows it."""

    id: str
    name: str
    state: str
    """Type of the state: SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, CRASHED, CANCELLED, CANCELLING, PAUSED."""
    message: str

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in TERMINAL


class PrefectServer:
    """A client of one server. Use as `with PrefectServer(url) as server`; `url` is the UI's address."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=f"{url}/api", timeout=ANSWER_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def has_deployment(self) -> bool:
        """Whether the flow was deployed to this server."""
        asked = {"deployments": {"name": {"any_": [DEPLOYMENT.partition("/")[2]]}}}
        return self._ask("POST", "/deployments/count", asked) > 0

    def forbid_unknown_parameters(self) -> None:
        """Have the server refuse a run with a parameter that the flow does not have; else its process ends without a word."""
        deployment = self._ask("GET", f"/deployments/name/{DEPLOYMENT}")
        schema = deployment["parameter_openapi_schema"] | {"additionalProperties": False}
        body = {"parameter_openapi_schema": schema, "enforce_parameter_schema": True}
        self._ask("PATCH", f"/deployments/{deployment['id']}", body)

    def count_runs(self, deployment: str) -> int:
        """How many runs of a deployment the server knows, by the second part of its name."""
        return self._ask("POST", "/flow_runs/count", {"deployments": {"name": {"any_": [deployment]}}})

    def start(self, *, name: str, parameters: dict[str, Any]) -> FlowRun:
        """A new run of the deployment. Raises `PrefectError` when nothing is deployed or a parameter is refused."""
        deployment = self._ask("GET", f"/deployments/name/{DEPLOYMENT}")
        body = {"name": name, "parameters": parameters, "tags": [f"run:{name}"]}
        return _flow_run(self._ask("POST", f"/deployments/{deployment['id']}/create_flow_run", body))

    def read(self, flow_run_id: str) -> FlowRun:
        """The state of a flow run now."""
        return _flow_run(self._ask("GET", f"/flow_runs/{flow_run_id}"))

    def unfinished(self, flow_run_ids: list[str]) -> list[FlowRun]:
        """Those of these flow runs that the server believes to be going on or waiting."""
        if not flow_run_ids:
            return []
        found = self._ask("POST", "/flow_runs/filter", {"flow_runs": {"id": {"any_": flow_run_ids}}})
        return [run for run in map(_flow_run, found) if not run.is_over]

    def mark_crashed(self, flow_run_id: str) -> None:
        """Say that a flow run's process is gone, which the server cannot know after the loss of worker and flow."""
        self._ask("POST", f"/flow_runs/{flow_run_id}/set_state", CRASHED)

    def bury(self, flow_run_ids: list[str], *, alive: str | None = None) -> int:
        """Mark as crashed what the server still believes to be going on of these flow runs, subflows and tasks included.

        `alive`: the one of them that runs now; only what an earlier process of it left is marked. Returns how many were marked.
        """
        marked, level = 0, list(flow_run_ids)
        for run in self.unfinished([one for one in level if one != alive]):
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
        """Ask for the end of a flow run; its worker stops it within seconds."""
        state = {"type": "CANCELLING", "message": "rl-loop run was interrupted."}
        self._ask("POST", f"/flow_runs/{flow_run_id}/set_state", {"state": state, "force": False})

    def page(self, flow_run_id: str) -> str:
        """Where the UI shows a flow run."""
        return f"{self.url}/runs/flow-run/{flow_run_id}"

    def _all(self, what: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Everything that a filter finds, however many pages it takes."""
        found: list[dict[str, Any]] = []
        while len(page := self._ask("POST", f"{what}/filter", asked | {"limit": PAGE, "offset": len(found)})) == PAGE:
            found += page
        return [*found, *page]

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            response = self._http.request(method, path, json=body)
            for pause_s in BUSY_PAUSES_S:  # SQLite was locked, and nothing was done
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
    return FlowRun(
        id=data["id"], name=data["name"], state=data["state_type"] or "PENDING", message=state.get("message") or ""
    )
