"""One stored trajectory -> one row of the index. Reads only the fields that are shown in lists, whatever the size of the rest."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.types import Failure, StopReason, Task
from agent.verdict import Verdict
from dashboard.database.states import cut
from dashboard.store import Damaged, first_problem
from storage.packs import PACK, CorruptPack, open_pack
from storage.step_lines import step_lines
from storage.store import TRAJECTORY


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class _Shot(_Part):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Seen(_Part):
    screenshot: _Shot | None = None


class _Turn(_Part):
    observation: _Seen


class Slim(_Part):
    """The fields of a `Trajectory` that a row needs."""

    id: str
    task: Task
    goal: str
    group: str
    member: int
    steps: tuple[_Turn, ...]
    """Some of the steps at least: all, or the last one."""
    count: int = 0
    """Number of steps."""
    stop: StopReason
    final_observation: _Seen | None = None
    answer: str | None = None
    failure: Failure | None = None
    policy_version: int | None = None
    attempt: int = 1
    seconds: float = 0.0

    @property
    def picture(self) -> str | None:
        """Hash of the last picture."""
        seen = [*(step.observation for step in self.steps), self.final_observation]
        return next((one.screenshot.sha256 for one in reversed(seen) if one and one.screenshot), None)


def read_slim(stage_dir: Path, trajectory_id: str) -> Slim:
    """Reads a trajectory. Raises `Damaged`, and FileNotFoundError when it has been deleted meanwhile."""
    path, name = stage_dir / trajectory_id / TRAJECTORY, f"{trajectory_id}/{TRAJECTORY}"
    try:
        if (slim := _from_lines(path)) is not None:
            return slim
        data = path.read_bytes() if path.is_file() else open_pack(stage_dir / PACK).read(name)
        slim = Slim.model_validate_json(data)
        return slim.model_copy(update={"count": len(slim.steps)})
    except ValidationError as error:
        raise Damaged(f"{trajectory_id}: {first_problem(error)}") from error
    except (CorruptPack, KeyError) as error:
        raise Damaged(f"{trajectory_id}: {error}") from error


def _from_lines(path: Path) -> Slim | None:
    """From the last step and what follows the steps; None for another file, or where that shows no picture."""
    with step_lines(path) as lines:
        if lines is None:
            return None
        places = list(lines.places())
        slim = Slim.model_validate_json(lines.with_steps(*places[-1:]))
    return slim.model_copy(update={"count": len(places)}) if slim.picture or not places else None


def row_of(found: Slim, *, place: tuple[str, int, str], model: str, changed: float) -> dict[str, Any]:
    """The columns of a trajectory without its verdict. `place` is run, iteration and stage."""
    run, iteration, stage = place
    failure = found.failure
    return {
        "id": rollout_id(run, iteration, stage, found.id),
        "source": "run",
        "task_id": found.task.id,
        "environment": found.task.environment,
        "domain": found.task.domain[:200],
        "goal": cut(found.goal or found.task.goal),
        "model": model[:200],
        "run": run,
        "iteration": iteration,
        "stage": stage,
        "trajectory_id": found.id,
        "group_id": found.group[:200],
        "member": found.member,
        "changed": changed,
        "phase": "",
        "steps": found.count,
        "picture": found.picture,
        "stop": found.stop.value,
        "answer": None if found.answer is None else cut(found.answer),
        "failure_side": failure.side if failure else "",
        "failure_code": failure.code[:60] if failure else "",
        "error": cut(failure.message) if failure else "",
        "policy_version": found.policy_version,
        "seconds": found.seconds,
        "tries": found.attempt,
        "created_at": changed - found.seconds,
        "started_at": changed - found.seconds,
        "completed_at": changed,
    }


def outcome_of(row: dict[str, Any], verdict: Verdict | None, *, judged: bool) -> dict[str, Any]:
    """The columns that depend on the verdict. `judged`: the judge stage is over."""
    if verdict is not None and verdict.reward is not None:
        success = verdict.reward >= 1
        reason = f"{'success' if success else 'no success'}, judged by {verdict.judge}"
        return {"status": "completed", "success": success, "reward": verdict.reward, "reason": reason}
    none = {"success": None, "reward": None}
    if row["failure_side"]:
        return none | {"status": "failed", "reason": f"{row['failure_side']} broke: {row['failure_code']}"}
    if judged or verdict is not None:
        return none | {"status": "completed", "reason": "no judge could decide"}
    return none | {"status": "judging", "reason": "its judge stage is not over"}


def rollout_id(run: str, iteration: int, stage: str, trajectory_id: str) -> str:
    """Id of a run's rollout. Example: `demo:0003:rollout:i0003-click-button.17-m02`."""
    return f"{run}:{iteration:04d}:{stage}:{trajectory_id}"
