"""Evaluations of a run as input of WebArena-Verified's own evaluator, for tasks that `rl-loop import webarena-verified` made.

    OUT/iteration-5/sample-0/21/agent_response.json, network.har
    webarena-verified eval-tasks --output-dir OUT/iteration-5/sample-0 --config config.json

The trace is the browser service's record of requests (`agent.record.network: all`), which has no headers, cookies or
bodies of answers: tasks that are judged by them are left out, because their evaluator would call them failures.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from agent.types import Task, Trajectory
from browser_service.models import RequestRecord
from environments.taskfiles.webarena_verified import BEYOND_LOG
from flows.settings.hints import on_run
from flows.settings.run_folder import RunFolder
from storage.atomic import write_atomically
from storage.errors import LoopError
from storage.recordings.requests import CorruptRequests
from storage.stages import Stage
from storage.store import CorruptTrajectory, TrajectoryStore

PREFIX = "webarena."
NOTHING = "about:blank"


class Exported(NamedTuple):
    """Numbers of an export."""

    written: int
    broken: int
    """Episodes that something else than the agent broke: no result."""
    beyond: int
    """Tasks that are judged by what the record of requests lacks."""
    without_log: int
    """Written episodes without a record of requests; only their answers can be judged."""


def export_webarena(folder: RunFolder, out: Path) -> Exported:
    """Writes the episodes of all finished evaluations. Raises `LoopError` if there are none of such tasks, OSError."""
    counts = dict.fromkeys(Exported._fields, 0)
    for iteration in range(folder.config.iterations + 1):
        if not folder.is_done(iteration, Stage.EVALUATE):
            continue
        store = TrajectoryStore(folder.stage_dir(iteration, Stage.EVALUATE))
        try:
            for trajectory in store:
                counts[_export(trajectory, store, out / f"iteration-{iteration}", counts)] += 1
        except (CorruptTrajectory, CorruptRequests) as error:
            raise LoopError(f"{error}; {on_run('doctor', folder.root)} looks at all of them") from error
    counts.pop("other", None)
    found = Exported(**counts)
    if not any(found):
        raise LoopError(f"{folder.name} has no evaluated task of WebArena-Verified; their ids begin with {PREFIX}")
    return found


def _export(trajectory: Trajectory, store: TrajectoryStore, out: Path, counts: dict[str, int]) -> str:
    """Writes one episode; returns what it counts as."""
    task, failure = trajectory.task, trajectory.failure
    counts.setdefault("other", 0)
    if not task.id.startswith(PREFIX):
        return "other"
    if failure is not None and failure.side != "policy":
        return "broken"
    if task.labels.get(BEYOND_LOG):
        return "beyond"
    log = store.requests(trajectory)
    requests = log.requests if log else ()
    counts["without_log"] += log is None
    place = out / f"sample-{trajectory.member}" / task.id.removeprefix(PREFIX)
    place.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("agent_response.json", response_of(task, trajectory.answer)),
        ("network.har", har_of(requests, trajectory)),
    ):
        write_atomically(place / name, json.dumps(content, ensure_ascii=False).encode(), durable=False)
    return "written"


def response_of(task: Task, answer: str | None) -> dict[str, Any]:
    """The agent's answer in the benchmark's form: its own words, if they have it; else a success with the answer as data."""
    said = _json(answer or "")
    if isinstance(said, dict) and "task_type" in said and "status" in said:
        return said
    kind = task.labels.get("task_type", "retrieve") or "retrieve"
    data = None
    if kind == "retrieve":
        data = said if isinstance(said, list) else [answer if said is None else said] if answer else []
    status = "SUCCESS" if answer is not None or kind != "retrieve" else "UNKNOWN_ERROR"
    return {"task_type": kind.upper(), "status": status, "retrieved_data": data, "error_details": None}


def har_of(requests: tuple[RequestRecord, ...], trajectory: Trajectory) -> dict[str, Any]:
    """The requests as HAR 1.2, with the fields that are known; without any, the start page stands for them."""
    entries = [_entry(requests, place) for place in range(len(requests))]
    if not entries:
        entries = [_har(trajectory.task.start_url or NOTHING, "GET", 200, "")]
    return {"log": {"version": "1.2", "creator": {"name": "rl-loop", "version": "1"}, "entries": entries}}


def _entry(requests: tuple[RequestRecord, ...], place: int) -> dict[str, Any]:
    sent = requests[place]
    status = sent.status or 0
    following = next((one.url for one in requests[place + 1 :] if one.resource_type == sent.resource_type), sent.url)
    entry = _har(sent.url, sent.method, status, following if 300 <= status < 400 else "")
    if sent.body is not None and not sent.base64:
        entry["request"]["postData"] = {"mimeType": sent.content_type, "text": sent.body}
    return entry


def _har(url: str, method: str, status: int, redirect: str) -> dict[str, Any]:
    return {
        "request": {"method": method, "url": url, "headers": [], "cookies": [], "queryString": []},
        "response": {"status": status, "headers": [], "cookies": [], "redirectURL": redirect, "content": {}},
    }


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
