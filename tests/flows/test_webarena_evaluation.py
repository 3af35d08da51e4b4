"""Episodes are written for WebArena-Verified's evaluator; the real one agrees with our expectations where it is installed."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from agent.types import StopReason, Task, Trajectory
from browser_service.models import RequestRecord
from environments.taskfiles.reading import Reading, task_of
from flows.ecosystem.webarena_evaluation import export_webarena, har_of, response_of
from flows.settings.run_folder import RunFolder
from storage.errors import LoopError
from storage.stages import Stage
from storage.store import TrajectoryStore

OLD = Path(__file__).parent / "old_run"
SITE = "http://10.0.0.7:7770"
NEEDS = pytest.mark.skipif(find_spec("webarena_verified") is None, reason="webarena-verified is not installed here")


def task(kind: str) -> Task:
    return Task(id="webarena.21", environment="live", start_url=SITE, labels={"task_type": kind})


def ended(of: Task, answer: str | None) -> Trajectory:
    return Trajectory(
        id="a", task=of, goal="g", group="g", member=0, iteration=0, steps=(), stop=StopReason.ANSWERED, answer=answer
    )


def sent(method: str, url: str, status: int, body: str | None = None) -> RequestRecord:
    kind = "application/x-www-form-urlencoded" if body else ""
    return RequestRecord(
        step=1, at_s=0.1, method=method, url=url, resource_type="document", content_type=kind, body=body, status=status
    )


@pytest.mark.parametrize(
    ("kind", "answer", "expected"),
    [
        ("retrieve", "6", ("SUCCESS", [6])),
        ("retrieve", "Sprite", ("SUCCESS", ["Sprite"])),
        ("retrieve", '["a", "b"]', ("SUCCESS", ["a", "b"])),
        ("retrieve", None, ("UNKNOWN_ERROR", [])),
        ("mutate", "done", ("SUCCESS", None)),
        ("mutate", None, ("SUCCESS", None)),
    ],
)
def test_an_answer_is_put_into_the_benchmarks_form(kind: str, answer: str | None, expected: tuple[str, Any]) -> None:
    found = response_of(task(kind), answer)
    assert (found["task_type"], found["status"], found["retrieved_data"]) == (kind.upper(), *expected)


def test_an_answer_that_has_the_form_is_kept() -> None:
    own = {"task_type": "RETRIEVE", "status": "NOT_FOUND_ERROR", "retrieved_data": None}
    assert response_of(task("retrieve"), json.dumps(own)) == own


def test_requests_become_a_har() -> None:
    requests = (sent("POST", f"{SITE}/cart", 302, "qty=2"), sent("GET", f"{SITE}/done", 200))
    first, second = har_of(requests, ended(task("mutate"), None))["log"]["entries"]
    assert first["request"]["postData"]["text"] == "qty=2" and first["response"]["redirectURL"] == f"{SITE}/done"
    assert (second["request"]["url"], second["response"]["status"]) == (f"{SITE}/done", 200)
    (only,) = har_of((), ended(task("retrieve"), "6"))["log"]["entries"]
    assert only["request"]["url"] == SITE


def test_the_evaluations_of_a_run_are_written_by_sample_and_task(tmp_path: Path) -> None:
    folder = RunFolder.open(Path(shutil.copytree(OLD, tmp_path / "old")))
    with pytest.raises(LoopError, match="has no evaluated task of WebArena-Verified"):
        export_webarena(folder, tmp_path / "none")
    store = TrajectoryStore(folder.stage_dir(0, Stage.EVALUATE))
    for number, trajectory in enumerate(list(store)):
        labels = {"task_type": "retrieve"} | ({"beyond_log": "true"} if number == 1 else {})
        changed = trajectory.task.model_copy(update={"id": f"webarena.{number}", "labels": labels})
        store.write(trajectory.model_copy(update={"task": changed, "answer": "6"}), {})
    found = export_webarena(folder, tmp_path / "out")
    assert (found.written, found.beyond, found.without_log) == (len(store.ids()) - 1, 1, found.written)
    place = tmp_path / "out" / "iteration-0" / "sample-0" / "0"
    assert json.loads((place / "agent_response.json").read_text())["retrieved_data"] == [6]
    assert json.loads((place / "network.har").read_text())["log"]["version"] == "1.2"


@NEEDS
@pytest.mark.chaos
@pytest.mark.filterwarnings("default")
def test_the_real_evaluator_agrees_with_our_expectations(tmp_path: Path) -> None:
    """Right and wrong answers to every retrieval that has an expectation here are scored as our verifier scores them."""
    import webarena_verified
    from webarena_verified.api import WebArenaVerified
    from webarena_verified.types.config import WebArenaVerifiedConfig

    from judging.verifiers.answer_judge import AnswerJudge

    file = Path(webarena_verified.__file__).parent / "assets/dataset/webarena-verified.json"
    names = ("shopping", "shopping_admin", "reddit", "gitlab", "map", "wikipedia")
    sites = {name: f"http://10.0.0.7:{7000 + number}" for number, name in enumerate(names)}
    reading = Reading(split="heldout", sites=tuple(sites.items()))
    theirs = WebArenaVerified(
        config=WebArenaVerifiedConfig(
            environments={f"__{name.upper()}__": {"urls": [url]} for name, url in sites.items()}
        )
    )
    judged, decided, apart = 0, 0, []
    for row in json.loads(file.read_bytes()):
        if "__SSH_HOST__" in json.dumps(row) or len(row["eval"]) != 1:
            continue
        found = task_of(row, reading)
        data = row["eval"][0]["expected"].get("retrieved_data")
        if found.expect is None or not data:
            continue
        right = [value[0] if isinstance(value, list) else value for value in data]
        for answer in (
            json.dumps(right) if len(right) > 1 or isinstance(right[0], dict) else str(right[0]),
            "Nowhere 123",
        ):
            trajectory = ended(found, answer)
            trace = har_of((), trajectory)["log"]["entries"]
            score = theirs.evaluate_task(
                task_id=row["task_id"], agent_response=response_of(found, answer), network_trace=trace
            ).score
            ours = _reward(AnswerJudge, trajectory)
            judged += 1
            decided += ours is not None
            if ours is not None and float(ours) != float(score):
                apart.append((row["task_id"], answer[:60], ours, score))
    assert apart == [] and judged > 300 and decided > 0.9 * judged, (judged, decided, apart[:20])


def _reward(judge: Any, trajectory: Trajectory) -> float | None:
    import asyncio

    return asyncio.run(judge().judge(trajectory)).reward
