"""Export of a run's trajectories to one Parquet file, a row per step with WebGym's fields; and of one to an HTML file.

Streams one trajectory at a time. pandas, polars, DuckDB and Hugging Face `datasets` read the Parquet file.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.types import Step, Trajectory
from agent.verdict import Verdict
from flows.settings.hints import on_run
from flows.settings.run_folder import RunFolder
from flows.stages.people import place_of
from storage.atomic import replacing, write_atomically
from storage.errors import LoopError
from storage.recordings.recorded import kind_of, recorded_in
from storage.sharing.html_file import trajectory_file
from storage.stages import Stage
from storage.store import CorruptTrajectory, TrajectoryStore
from storage.verdicts import VERDICTS, read_verdicts

if TYPE_CHECKING:
    import pyarrow

ROWS_PER_GROUP = 500
"""Rows written at once."""
WORDS = "string"
SCHEMA: dict[str, str] = {
    "run": WORDS,
    "iteration": "int32",
    "stage": WORDS,
    "trajectory_id": WORDS,
    "group": WORDS,
    "trajectory_index": "int32",
    "policy_version": "int32",
    "task_id": WORDS,
    "task_name": WORDS,
    "domain": WORDS,
    "subdomain": WORDS,
    "website": WORDS,
    "difficulty": "int32",
    "evaluator_reference": "list<string>",
    "reference_answer": WORDS,
    "max_steps": "int32",
    "environment": WORDS,
    "step": "int32",
    "url": WORDS,
    "title": WORDS,
    "image": WORDS,
    "same_as_next_screenshot": "bool",
    "raw_response": WORDS,
    "action": WORDS,
    "action_kind": WORDS,
    "feedback": WORDS,
    "prompt_tokens": "int32",
    "token_ids": "list<int32>",
    "logprobs": "list<float>",
    "finish_reason": WORDS,
    "seconds": WORDS,
    "reward": "double",
    "evaluation": WORDS,
    "judge": WORDS,
    "is_blocked": "bool",
    "stop": WORDS,
    "answer": WORDS,
    "failure": WORDS,
    "video": WORDS,
    "trace": WORDS,
    "network": WORDS,
}
"""Columns and their types. `image` is the picture's sha256, `action` and `seconds` are JSON, `failure` is side/CODE,
`video`, `trace` and `network` are files below the run folder, null where there is none."""


def export_run(folder: RunFolder, path: Path, *, pictures: bool = False) -> int:
    """Writes the trajectories of finished stages to a Parquet file; returns the number of rows.

    `pictures` adds a column `image_bytes` with the encoded screenshots. Raises `LoopError` if a trajectory cannot be
    read or pyarrow is missing, and OSError if the file cannot be written; an existing file is then left unchanged.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise LoopError("the export needs pyarrow: pip install -e '.[data]' -c constraints.txt") from None
    if not path.parent.is_dir():
        raise LoopError(f"{path} cannot be written: there is no folder {path.parent}")
    schema = _schema(pa, pictures=pictures)
    count, waiting = 0, list[dict[str, Any]]()
    try:
        with replacing(path) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
            for row in _rows(folder, pictures=pictures):
                waiting.append(row)
                if len(waiting) >= (ROWS_PER_GROUP // 10 if pictures else ROWS_PER_GROUP):
                    writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
                    count, waiting = count + len(waiting), []
            writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
    except (CorruptTrajectory, FileNotFoundError) as error:
        raise LoopError(f"{error}; {on_run('doctor', folder.root)} looks at all of them") from error
    return count + len(waiting)


def export_trajectory(folder: RunFolder, trajectory_id: str, path: Path) -> None:
    """Writes a trajectory with its verdict to one HTML file (`storage.sharing.html_file`).

    Raises `LoopError` if the run has no such trajectory or it cannot be read, and OSError if the file cannot be written.
    """
    place = place_of(folder, trajectory_id)
    stage = Stage.ROLLOUT if place.key.stage is Stage.JUDGE else place.key.stage
    store = TrajectoryStore(folder.stage_dir(place.key.iteration, stage))
    judged = read_verdicts(place.directory) if (place.directory / VERDICTS).exists() else ()
    verdict = next((one for one in judged if one.trajectory_id == trajectory_id), None)
    try:
        content = trajectory_file(store.read(trajectory_id), verdict, store.image)
    except CorruptTrajectory as error:
        raise LoopError(f"{error}; {on_run('doctor', folder.root)} looks at all of them") from error
    write_atomically(path, content)


def _schema(pa: Any, *, pictures: bool) -> "pyarrow.Schema":
    kinds = {
        WORDS: pa.string(),
        "int32": pa.int32(),
        "bool": pa.bool_(),
        "double": pa.float64(),
        "list<string>": pa.list_(pa.string()),
        "list<int32>": pa.list_(pa.int32()),
        "list<float>": pa.list_(pa.float32()),
    }
    fields = [(name, kinds[kind]) for name, kind in SCHEMA.items()]
    return pa.schema([*fields, ("image_bytes", pa.binary())] if pictures else fields)


def _rows(folder: RunFolder, *, pictures: bool) -> Iterator[dict[str, Any]]:
    for iteration in range(folder.config.iterations + 1):
        for stage in (Stage.ROLLOUT, Stage.EVALUATE):
            if not folder.is_done(iteration, stage):
                continue
            store = TrajectoryStore(folder.stage_dir(iteration, stage))
            judged = folder.stage_dir(iteration, Stage.JUDGE if stage is Stage.ROLLOUT else stage)
            verdicts = {v.trajectory_id: v for v in read_verdicts(judged)} if (judged / VERDICTS).exists() else {}
            for trajectory in store:
                around = {"run": folder.name, "stage": stage.value} | _about(trajectory, verdicts.get(trajectory.id))
                around |= _recorded(folder, store.root / trajectory.id)
                for place in range(max(1, len(trajectory.steps))):  # an episode without steps still has one row
                    row = around | (_step(trajectory, place) if trajectory.steps else {})
                    if (
                        pictures
                        and row.get("image")
                        and not (store.lacks_pictures and not store.has_image(row["image"]))
                    ):
                        row["image_bytes"] = store.image(row["image"])
                    yield row


def _about(trajectory: Trajectory, verdict: Verdict | None) -> dict[str, Any]:
    task = trajectory.task
    failure = trajectory.failure
    return {
        "iteration": trajectory.iteration,
        "trajectory_id": trajectory.id,
        "group": trajectory.group,
        "trajectory_index": trajectory.member,
        "policy_version": trajectory.policy_version,
        "task_id": task.id,
        "task_name": trajectory.goal or task.goal,
        "domain": task.domain,
        "subdomain": task.labels.get("subdomain"),
        "website": task.start_url,
        "difficulty": task.difficulty,
        "evaluator_reference": list(task.rubric),
        "reference_answer": task.reference_answer,
        "max_steps": task.max_steps,
        "environment": task.environment,
        "reward": verdict.reward if verdict else None,
        "evaluation": verdict.evidence if verdict else None,
        "judge": verdict.judge if verdict else None,
        "is_blocked": verdict.blocked if verdict else None,
        "stop": trajectory.stop.value,
        "answer": trajectory.answer,
        "failure": f"{failure.side}/{failure.code}" if failure else None,
    }


def _recorded(folder: RunFolder, directory: Path) -> dict[str, str]:
    """The first video, the trace and the log of requests of an episode, as paths below the run folder."""
    found: dict[str, str] = {}
    for path in recorded_in(directory):
        found.setdefault(kind_of(path.name), path.relative_to(folder.root).as_posix())
    return found


def _step(trajectory: Trajectory, place: int) -> dict[str, Any]:
    step = trajectory.steps[place]
    following = (
        trajectory.steps[place + 1].observation if place + 1 < len(trajectory.steps) else trajectory.final_observation
    )
    shot, after = step.observation.screenshot, following.screenshot if following else None
    row: dict[str, Any] = {
        "step": step.index,
        "url": step.observation.url,
        "title": step.observation.title,
        "image": shot.sha256 if shot else None,
        "same_as_next_screenshot": shot.sha256 == after.sha256 if shot and after else None,
        "action": step.action.model_dump_json() if step.action else None,
        "action_kind": step.action.kind if step.action else None,
        "feedback": step.feedback,
        "seconds": json.dumps(step.seconds),
    }
    return row | _response(step)


def _response(step: Step) -> dict[str, Any]:
    said = step.completion
    if said is None:
        return {}
    return {
        "raw_response": said.text,
        "prompt_tokens": len(said.prompt_token_ids),
        "token_ids": list(said.token_ids),
        "logprobs": list(said.logprobs),
        "finish_reason": said.finish_reason,
    }
