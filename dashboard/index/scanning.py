"""Brings the index in step with the run folders: reads what is new or changed, removes what is gone.

Tolerant of runs that go on: a stage is read again until it is finished and its files rest, a damaged trajectory is left out
and named, a folder that vanishes while it is read is read at the next pass.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from agent.verdict import Verdict
from dashboard.database.opening import Database
from dashboard.database.tables import JudgmentRow, RolloutRow, StageRow, TaskRow
from dashboard.index.reading import Slim, outcome_of, read_slim, row_of
from dashboard.runs import read_config
from dashboard.store import ITERATION, VERDICTS_OF, Damaged, NotFound, RunsDir
from storage.packs import PACK
from storage.run_layout import DONE, RunLayout
from storage.verdicts import VERDICTS

log = logging.getLogger(__name__)

BATCH = 500
"""Rows of one transaction: other writers wait for no longer than that takes."""


class StageFolder(NamedTuple):
    """A stage folder with trajectories."""

    run: str
    iteration: int
    stage: str
    path: Path

    @property
    def place(self) -> str:
        """Its key in the database."""
        return f"{self.run}/{self.iteration:04d}/{self.stage}"


class Scanned(NamedTuple):
    """Result of a pass."""

    read: int
    """Trajectories that were new or changed."""
    removed: int
    problems: list[str]
    """Sentences about what could not be read."""


class Scanner:
    """The index of one runs directory. One scanner at a time per database."""

    def __init__(self, runs: RunsDir, database: Database) -> None:
        self._runs = runs
        self._database = database
        self._judged: dict[str, str] = {}
        """State of the verdicts when a stage was last read by this scanner."""

    def rebuild(self) -> Scanned:
        """Makes the index again from nothing."""
        with self._database.write() as session:
            session.execute(delete(RolloutRow).where(RolloutRow.source == "run"))
            session.execute(delete(StageRow))
        return self.scan()

    def scan(self) -> Scanned:
        """One pass over all runs."""
        stages = {stage.place: stage for stage in self._stages()}
        with self._database.read() as session:
            known = dict(session.execute(select(StageRow.place, StageRow.signature)).all())
        removed = self._forget(known.keys() - stages.keys())
        read, problems = 0, list[str]()
        for place, stage in stages.items():
            with suppress(FileNotFoundError, NotFound):  # deleted meanwhile
                signature = self._signature(stage)
                if known.get(place) != signature:
                    read += self._scan_stage(stage, signature, problems)
        return Scanned(read, removed, problems)

    def _stages(self) -> Iterator[StageFolder]:
        for run in self._runs.names():
            for folder in RunLayout(self._runs.root / run).iteration_dirs():
                for stage in VERDICTS_OF:
                    path = folder / stage
                    if ITERATION.fullmatch(folder.name) and path.is_dir() and self._runs.contains(path):
                        yield StageFolder(run, int(folder.name), stage, path)

    def _signature(self, stage: StageFolder) -> str:
        """The state of a stage's files. A stage that goes on has none that could be met again."""
        verdicts = stage.path.parent / VERDICTS_OF[stage.stage]
        files = [
            stage.path,
            stage.path / DONE,
            stage.path / PACK,
            verdicts / VERDICTS,
            verdicts / DONE,
        ]
        times = [path.stat().st_mtime_ns if path.exists() else 0 for path in files]
        return ",".join(map(str, times))

    def _scan_stage(self, stage: StageFolder, signature: str, problems: list[str]) -> int:
        verdicts = self._verdicts(stage, problems)
        judged = (stage.path.parent / VERDICTS_OF[stage.stage] / DONE).is_file()
        model = self._model(stage)
        state = signature.split(",", 3)[3]
        again, self._judged[stage.place] = self._judged.get(stage.place) != state, state
        with self._database.read() as session:
            at = (RolloutRow.run == stage.run, RolloutRow.iteration == stage.iteration, RolloutRow.stage == stage.stage)
            found = session.execute(
                select(RolloutRow.trajectory_id, RolloutRow.changed).where(*at, RolloutRow.source == "run")
            )
            known = dict(found.all())
        ids = self._runs.trajectory_ids(stage.path)
        self._remove(stage, known.keys() - set(ids))
        read, whole = 0, True
        for batch in _batches(ids):
            new: list[tuple[Slim, dict[str, Any]]] = []
            for trajectory_id in batch:
                try:
                    changed = self._runs.trajectory(stage.path, trajectory_id).stat().st_mtime
                    if known.get(trajectory_id) == changed:
                        continue
                    slim = read_slim(stage.path, trajectory_id)
                except (Damaged, NotFound, FileNotFoundError) as error:
                    problems.append(f"{stage.place}: {error}")
                    whole = isinstance(error, Damaged) and whole
                    continue
                new.append((slim, row_of(slim, place=stage[:3], model=model, changed=changed)))
            if new:
                self._store(new, known, verdicts, judged=judged)
            if again and (old := known.keys() & set(batch) - {slim.id for slim, _ in new}):
                self._judge_again(stage, old, verdicts, judged=judged)
            read += len(new)
        if whole and (stage.path / DONE).is_file():
            with self._database.write() as session:
                session.merge(StageRow(place=stage.place, signature=signature))
        return read

    def _store(
        self,
        new: list[tuple[Slim, dict[str, Any]]],
        known: dict[str, float],
        verdicts: dict[str, Verdict],
        *,
        judged: bool,
    ) -> None:
        with self._database.write() as session:
            rows = [row | outcome_of(row, verdicts.get(slim.id), judged=judged) for slim, row in new]
            fresh = [row for row in rows if row["trajectory_id"] not in known]
            if fresh:
                session.execute(insert(RolloutRow), _with_people(session, fresh))
            for row in rows:
                if row["trajectory_id"] in known:
                    session.execute(update(RolloutRow).where(RolloutRow.id == row["id"]).values(**row))
            _add_tasks(session, [slim for slim, _ in new], rows)

    def _judge_again(self, stage: StageFolder, ids: set[str], verdicts: dict[str, Verdict], *, judged: bool) -> None:
        """Writes new verdicts on trajectories that have not changed."""
        at = (RolloutRow.run == stage.run, RolloutRow.iteration == stage.iteration, RolloutRow.stage == stage.stage)
        with self._database.write() as session:
            for row in session.scalars(select(RolloutRow).where(*at, RolloutRow.trajectory_id.in_(ids))):
                failure = {"failure_side": row.failure_side, "failure_code": row.failure_code}
                for name, value in outcome_of(failure, verdicts.get(row.trajectory_id), judged=judged).items():
                    setattr(row, name, value)

    def _verdicts(self, stage: StageFolder, problems: list[str]) -> dict[str, Verdict]:
        try:
            return self._runs.verdicts(stage.path)
        except Damaged as error:
            problems.append(str(error))
            return {}

    def _model(self, stage: StageFolder) -> str:
        """The model that acted, as the run's configuration names it; `policy` for the one in training."""
        path = RunLayout(self._runs.root / stage.run).config_file
        try:
            lines = dict(read_config(path, path.stat().st_mtime_ns).lines)
        except Exception:
            return ""
        of_stage = "evaluate.model" if stage.stage == "evaluate" and "evaluate.model.kind" in lines else "agent.model"
        kind = lines.get(f"{of_stage}.kind", "policy")
        return lines.get(f"{of_stage}.model", kind)

    def _remove(self, stage: StageFolder, ids: set[str]) -> None:
        for batch in _batches(sorted(ids)):
            at = (RolloutRow.run == stage.run, RolloutRow.iteration == stage.iteration, RolloutRow.stage == stage.stage)
            with self._database.write() as session:
                session.execute(delete(RolloutRow).where(*at, RolloutRow.trajectory_id.in_(batch)))

    def _forget(self, places: set[str]) -> int:
        """Removes the rows of stages that are gone."""
        for place in places:
            run, iteration, stage = place.split("/")
            at = (RolloutRow.run == run, RolloutRow.iteration == int(iteration), RolloutRow.stage == stage)
            with self._database.write() as session:
                session.execute(delete(RolloutRow).where(*at, RolloutRow.source == "run"))
                session.execute(delete(StageRow).where(StageRow.place == place))
        return len(places)


def _batches(ids: list[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _with_people(session: Session, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the verdicts that people gave before the index was made again."""
    wanted = select(JudgmentRow.rollout_id, JudgmentRow.success).where(
        JudgmentRow.human.is_(True), JudgmentRow.rollout_id.in_([row["id"] for row in rows])
    )
    people = dict(session.execute(wanted.order_by(JudgmentRow.number)).all())
    return [row | {"human": people.get(row["id"])} for row in rows]


def _add_tasks(session: Session, found: list[Slim], rows: list[dict[str, Any]]) -> None:
    """Adds the tasks that are not there yet; an uploaded one stays as it is."""
    tasks = {slim.task.id: (slim, row) for slim, row in zip(found, rows, strict=True)}
    there = set(session.scalars(select(TaskRow.id).where(TaskRow.id.in_(list(tasks)))))
    new = [
        {
            "id": slim.task.id,
            "environment": slim.task.environment[:100],
            "goal": row["goal"],
            "domain": slim.task.domain[:200],
            "answer": slim.task.reference_answer,
            "source": "run",
            "content": slim.task.model_dump(mode="json"),
            "created_at": row["created_at"],
        }
        for slim, row in tasks.values()
        if slim.task.id not in there
    ]
    if new:
        session.execute(insert(TaskRow), new)
