"""The tables of a run in MLflow: one artifact per kind, which grows by a row per iteration.

    tables/rollout.csv, evaluate.csv, train.csv    every number of the finished stages
    tables/by_group.csv                            success by domain and by difficulty, a row per iteration and group
    tables/histograms.csv                          rewards, advantages, gap and lag of the updates, a row per bin

They are written again as a whole from the run folder, so a crash can neither lose nor repeat a row. A file per iteration
would make MLflow's list of artifacts unreadable.
"""

import csv
import io
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from flows.settings.run_folder import RunFolder
from flows.tracking.curated import everything
from flows.tracking.pages import PREFIX
from storage.stages import StageReport

if TYPE_CHECKING:
    from mlflow import MlflowClient

OF_GROUP = re.compile(r"(?P<metric>.+)_by_(?P<kind>difficulty|domain)/(?P<group>.+)")
"""A metric of one group; see `agent.metrics`. Example: `success_rate_by_domain/click-link`."""


def log_tables(client: "MlflowClient", run_id: str, folder: RunFolder) -> None:
    """Replaces the run's tables."""
    for name, text in tables(folder.reports()).items():
        client.log_text(run_id, text, f"tables/{name}.csv")


def tables(reports: Iterable[StageReport]) -> dict[str, str]:
    """The tables as CSV, by name. A table without rows is left out."""
    rows: dict[str, dict[int, dict[str, float]]] = {}
    by_group: list[dict[str, object]] = []
    histograms: list[dict[str, object]] = []
    for report in reports:
        known = everything(report) | {f"{report.stage}_s": report.seconds}
        alone = {key: value for key, value in known.items() if not of_group(key)}
        rows.setdefault(PREFIX[report.stage], {}).setdefault(report.iteration, {}).update(alone)
        by_group += groups(report)
        histograms += bins(report)
    found = {
        name: _csv([{"iteration": iteration, **row} for iteration, row in sorted(each.items())], first=("iteration",))
        for name, each in rows.items()
    }
    if by_group:
        found["by_group"] = _csv(by_group, first=("iteration", "stage", "kind", "group"))
    if histograms:
        found["histograms"] = _csv(histograms, first=("iteration", "of", "low", "high", "count"))
    return found


@lru_cache(maxsize=10_000)  # the names of a long run's reports are few, and are asked for after every stage
def of_group(key: str) -> tuple[str, str, str] | None:
    """Metric, kind and name of a group's metric, None for one of the whole stage.

    Example: `of_group("success_rate_by_domain/click-link")` is `("success_rate", "domain", "click-link")`.
    """
    match = OF_GROUP.fullmatch(key)
    return (match["metric"], match["kind"], match["group"]) if match else None


def groups(report: StageReport) -> list[dict[str, object]]:
    """A row per group of a report, with its metrics."""
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for key, value in report.metrics.items():
        if found := of_group(key):
            metric, kind, group = found
            first = {"iteration": report.iteration, "stage": PREFIX[report.stage], "kind": kind, "group": group}
            rows.setdefault((kind, group), dict(first))[metric] = value
    return list(rows.values())


def bins(report: StageReport) -> list[dict[str, object]]:
    """A row per bin of a report's histograms that is not empty."""
    return [
        {"iteration": report.iteration, "of": name, "low": low, "high": high, "count": count}
        for name, one in report.histograms.items()
        for low, high, count in zip(one.edges[:-1], one.edges[1:], one.counts, strict=True)
        if count
    ]


def _csv(rows: list[dict[str, object]], *, first: tuple[str, ...]) -> str:
    """Rows with the union of their columns, the columns `first` first, then the others by name."""
    columns = [*first, *sorted({key for row in rows for key in row}.difference(first))]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _safe(value) for key, value in row.items()} for row in rows)
    return out.getvalue()


def _safe(value: object) -> object:
    """A name that a spreadsheet would read as a formula is quoted: domains come from task files."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value
