"""A run's trajectories in WebGym's fields, in files by split, iteration and rank: JSON lines and Parquet; no pickles

OUT/train_trajectories/train_trajectories.iteration3_rank_0.jsonl    a line per trajectory
OUT/train_trajectories/train_trajectories.iteration3_rank_0.parquet  a row per trajectory
OUT/images/<trajectory>/step_000.png                                 with pictures
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from PIL import Image

from agent.types import Trajectory
from agent.verdict import Verdict
from flows.settings.hints import on_run
from flows.settings.run_folder import RunFolder
from rollouts.async_webgym.records import webgym_steps
from rollouts.plan import assigned, read_plan
from storage.atomic import replacing, write_atomically
from storage.errors import LoopError
from storage.stages import Stage
from storage.store import CorruptTrajectory, TrajectoryStore
from storage.verdicts import VERDICTS, read_verdicts

Form = Literal["jsonl", "parquet"]
ROWS_PER_GROUP = 50
"""Trajectories that are written to a Parquet file at once."""


class Written(NamedTuple):
    """A file of an export. Example: `Written(Path("out/train_trajectories/..jsonl"), trajectories=128)`."""

    path: Path
    trajectories: int


class Part(NamedTuple):
    """The trajectories of one rank in one stage."""

    split: str
    iteration: int
    rank: int
    names: list[str]

    def path(self, out: Path, form: Form) -> Path:
        """Its file, named as WebGym names it."""
        name = f"{self.split}_trajectories"
        return out / name / f"{name}.iteration{self.iteration}_rank_{self.rank}.{form}"


def export_webgym(
    folder: RunFolder, out: Path, *, forms: tuple[Form, ...] = ("jsonl", "parquet"), pictures: bool = False
) -> list[Written]:
    """Writes the trajectories of finished stages; returns the files. A file that exists is replaced as a whole.

    `pictures` writes the screenshots as PNG, as WebGym's are; without it `image_path` is null.
    Raises `LoopError` if a trajectory can't be read or pyarrow is missing, OSError if a file can't be written.
    """
    written = []
    for iteration in range(folder.config.iterations + 1):
        for stage, split in ((Stage.ROLLOUT, "train"), (Stage.EVALUATE, "test")):
            if not folder.is_done(iteration, stage):
                continue
            source = _Source(folder, iteration, stage, out if pictures else None)
            for rank, groups in enumerate(assigned(read_plan(folder, iteration, stage) or [], _weights(folder))):
                names = [name for group in groups for name in group.names() if source.store.has(name)]
                part = Part(split, iteration, rank, names)
                for form in forms if names else ():
                    path = part.path(out, form)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    _WRITERS[form](path, source.records(part))
                    written.append(Written(path, len(names)))
    return written


def _weights(folder: RunFolder) -> list[float]:
    return folder.config.rollout.weights()


class _Source:
    """The trajectories and verdicts of one stage."""

    def __init__(self, folder: RunFolder, iteration: int, stage: Stage, images: Path | None) -> None:
        self.store = TrajectoryStore(folder.stage_dir(iteration, stage))
        judged = folder.stage_dir(iteration, Stage.JUDGE if stage is Stage.ROLLOUT else stage)
        self._folder, self._images = folder, images
        self._verdicts: dict[str, Verdict] = (
            {one.trajectory_id: one for one in read_verdicts(judged)} if (judged / VERDICTS).exists() else {}
        )

    def records(self, part: Part) -> Iterator[dict[str, Any]]:
        """One record per trajectory: its metadata and its steps. Raises `LoopError`."""
        for index, name in enumerate(part.names):
            try:
                trajectory = self.store.read(name)
                yield self._record(trajectory, part, index)
            except (CorruptTrajectory, FileNotFoundError) as error:
                raise LoopError(f"{error}; {on_run('doctor', self._folder.root)} looks at all of them") from error

    def _record(self, trajectory: Trajectory, part: Part, index: int) -> dict[str, Any]:
        verdict = self._verdicts.get(trajectory.id)
        config = self._folder.config
        tasks = config.environment.tasks
        steps = webgym_steps(
            trajectory,
            verdict,
            index=index,
            image_path=lambda sha256, place: self._picture(trajectory.id, sha256, place),
        )
        metadata = {
            "run": self._folder.name,
            "trajectory_id": trajectory.id,
            "iteration": part.iteration,
            "rank": part.rank,
            "split": part.split,
            "solution_model": config.agent.model.kind,
            "policy_version": trajectory.policy_version,
            "judge": verdict.judge if verdict else None,
            "judge_model": verdict.model if verdict else None,
            "dataset_file": None if tasks is None else tasks.train if part.split == "train" else tasks.heldout,
            "server_size": config.rollout.concurrency,
            "max_steps": trajectory.task.max_steps,
        }
        return {"trajectory": steps, "metadata": metadata}

    def _picture(self, name: str, sha256: str, place: int) -> str | None:
        """Writes a picture as PNG; returns its path below the folder of the export."""
        if self._images is None or not self.store.has_image(sha256):
            return None
        path = self._images / "images" / name / f"step_{place:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        png = io.BytesIO()
        Image.open(io.BytesIO(self.store.image(sha256))).convert("RGB").save(png, "PNG")
        write_atomically(path, png.getvalue(), durable=False)
        return path.relative_to(self._images).as_posix()


def _write_jsonl(path: Path, records: Iterator[dict[str, Any]]) -> None:
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        file.flush()


def _write_parquet(path: Path, records: Iterator[dict[str, Any]]) -> None:
    """Fields whose keys vary (an action's arguments, a reply's parts, the page's data) are JSON as text."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise LoopError("Parquet needs pyarrow: pip install -e '.[data]' -c constraints.txt") from None
    from flows.webgym.parquet import flat_record, schema

    kinds, waiting = schema(), list[dict[str, Any]]()
    with replacing(path) as partial, pq.ParquetWriter(partial, kinds, compression="zstd") as writer:
        for record in records:
            waiting.append(flat_record(record))
            if len(waiting) >= ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(waiting, schema=kinds))
                waiting = []
        writer.write_table(pa.Table.from_pylist(waiting, schema=kinds))


_WRITERS = {"jsonl": _write_jsonl, "parquet": _write_parquet}
