"""A run folder as a table: one line per iteration from the stages' done.json, the configuration, the current stage."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import yaml

from dashboard.store import ITERATION, Damaged, M, RunsDir
from dashboard.views import IterationView, RunLink, RunSummary, RunView, StageView
from storage.progress import Progress, progress_files, sum_of
from storage.run_layout import DONE, RunLayout, RunRecord
from storage.stages import Stage, StageReport

CURVE = "learning_curve.png"
MOST_FLOW_RUNS = 5
"""Flow runs of Prefect that are linked, the newest ones: each resume of a run is one."""


class Config(NamedTuple):
    """Content of config.yaml that is shown."""

    lines: list[tuple[str, str]]
    iterations: int | None


def run_view(runs: RunsDir, name: str, prefect_ui: str = "") -> RunView:
    """Returns a run with its table. Raises `dashboard.store.NotFound`."""
    return _Reader(runs, name).view(prefect_ui)


def run_summary(runs: RunsDir, name: str) -> RunSummary:
    """Returns a run's line in the list. Raises `dashboard.store.NotFound`."""
    view = run_view(runs, name)
    return RunSummary.model_validate(view.model_dump(include=set(RunSummary.model_fields)))


def _links(record: RunRecord, prefect_ui: str) -> list[RunLink]:
    """The run in MLflow and in Prefect. Other schemes than http are left out: a run folder may come from elsewhere."""
    places = []
    if record.mlflow_run_id:
        places.append(
            ("MLflow", record.mlflow_run_id, f"{record.mlflow_uri or ''}/#/runs/{quote(record.mlflow_run_id)}")
        )
    for flow_run in record.prefect_flow_runs[-MOST_FLOW_RUNS:]:
        places.append(("Prefect", flow_run, f"{prefect_ui}/runs/flow-run/{quote(flow_run)}"))
    return [
        RunLink(name=name, id=run_id, url=url if urlsplit(url).scheme in ("http", "https") else "")
        for name, run_id, url in places
    ]


class _Reader:
    """Reads one run. A damaged file is listed in `problems` and does not hide the rest."""

    def __init__(self, runs: RunsDir, name: str) -> None:
        self._runs = runs
        self._root = runs.run(name)
        self._layout = RunLayout(self._root)
        self._problems: list[str] = []

    def view(self, prefect_ui: str) -> RunView:
        record = self._json(self._layout.record_file, RunRecord)
        config = self._config()
        table = [self._iteration(folder) for folder in self._iterations()]
        finished = [row.iteration for row in table if any(stage.finished for stage in row.stages)]
        heldout = [row.heldout_success for row in table if row.heldout_success is not None]
        train = [row.train_success for row in table if row.train_success is not None]
        return RunView(
            name=self._root.name,
            created=record.created if record else "",
            iterations=max(finished, default=0),
            iterations_planned=config.iterations,
            finished=config.iterations is not None and self._is_evaluated(config.iterations),
            now=_now(table),
            changed=self._changed(),
            heldout_first=heldout[0] if heldout else None,
            heldout_last=heldout[-1] if heldout else None,
            train_last=train[-1] if train else None,
            problems=self._problems,
            links=_links(record, prefect_ui) if record else [],
            has_curve=self._runs.has(self._root / CURVE),
            config=config.lines,
            table=table,
        )

    def _iterations(self) -> list[Path]:
        folders = (path for path in self._layout.iteration_dirs() if ITERATION.fullmatch(path.name))
        return [path for path in folders if path.is_dir() and self._runs.contains(path)]

    def _iteration(self, folder: Path) -> IterationView:
        stages = {str(name): self._stage(folder / name) for name in Stage if (folder / name).is_dir()}
        judged, evaluated = stages.get("judge"), stages.get("evaluate")
        seconds = [stage.seconds for stage in stages.values() if stage.seconds is not None]
        return IterationView(
            iteration=int(folder.name),
            train_success=judged.metrics.get("success_rate") if judged else None,
            heldout_success=evaluated.metrics.get("success_rate") if evaluated else None,
            steps_mean=next(
                (s.metrics["steps_mean"] for s in (judged, evaluated) if s and "steps_mean" in s.metrics), None
            ),
            seconds=sum(seconds) if seconds else None,
            stages=list(stages.values()),
        )

    def _stage(self, folder: Path) -> StageView:
        report = self._json(folder / DONE, StageReport)
        if report is not None:
            return StageView(
                stage=folder.name,
                finished=True,
                seconds=report.seconds,
                counts=report.counts,
                metrics=dict(report.metrics),
                histograms=report.histograms,
                alarms=list(report.alarms),
            )
        found = [self._json(path, Progress) for path in progress_files(folder)]
        now = sum_of(progress for progress in found if progress is not None)
        return StageView(
            stage=folder.name,
            finished=False,
            done=now.done,
            total=now.total,
            note=now.note,
        )

    def _config(self) -> Config:
        path = self._layout.config_file
        try:
            if not self._runs.has(path):
                raise ValueError("there is no such file")
            return read_config(path, path.stat().st_mtime_ns)
        except (OSError, ValueError, yaml.YAMLError) as error:
            self._problems.append(f"{self._runs.label(path)}: {' '.join(str(error).split())[:300]}")
            return Config([], None)

    def _is_evaluated(self, iteration: int) -> bool:
        """True if the iteration has been evaluated, as the last one always is."""
        return self._layout.is_done(iteration, Stage.EVALUATE)

    def _changed(self) -> float:
        stages = (path for one in self._layout.iteration_dirs() for path in one.glob("*/"))
        return max(path.stat().st_mtime for path in (self._layout.record_file, *stages))

    def _json(self, path: Path, model: type[M]) -> M | None:
        try:
            return self._runs.json(path, model)
        except Damaged as error:
            self._problems.append(str(error))
            return None


def _now(table: list[IterationView]) -> str:
    """The newest stage in words. Example: `iteration 3, rollout 12/64`."""
    if not table or not table[-1].stages:
        return "nothing yet"
    stages = table[-1].stages
    stage = next((stage for stage in stages if not stage.finished), stages[-1])
    words = f"iteration {table[-1].iteration}, {stage.stage.replace('_', ' ')}"
    if stage.finished:
        return f"{words} finished"
    return f"{words} {stage.done}/{stage.total}" if stage.total else f"{words} {stage.note}".rstrip()


@lru_cache(maxsize=64)
def read_config(path: Path, changed: int) -> Config:
    """Cached by the time of the last change. Raises OSError, ValueError, yaml.YAMLError."""
    data = yaml.safe_load(path.read_text())
    if not isinstance(data, dict):
        raise ValueError("expected a mapping of sections")
    planned = data.get("iterations")
    return Config(_lines(data), planned if isinstance(planned, int) else None)


def _lines(data: Mapping[Any, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested mappings as lines with dotted keys. Example: `("rollout.group_size", "4")`."""
    lines: list[tuple[str, str]] = []
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            lines += _lines(value, f"{prefix}{key}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
            lines.append((f"{prefix}{key}", text))
    return lines
