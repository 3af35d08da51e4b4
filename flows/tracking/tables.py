"""The tables of a run in MLflow: one artifact per kind, which grows by a row per iteration, and the success by domain.

    tables/rollout.csv, evaluate.csv, train.csv    every number of the finished stages
    tables/by_group.csv                            success by domain and by difficulty, a row per iteration and group
    success_by_domain.png                          the same as a picture

They are written again as a whole from the run folder, so a crash can neither lose nor repeat a row. A file per iteration
would make MLflow's list of artifacts unreadable.
"""

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from flows.settings.run_folder import RunFolder
from flows.tracking.curated import everything
from flows.tracking.pages import PREFIX
from storage.atomic import replacing
from storage.stages import Stage, StageReport

if TYPE_CHECKING:
    from mlflow import MlflowClient

HEATMAP = "success_by_domain.png"
OF_GROUP = re.compile(r"(?P<metric>.+)_by_(?P<kind>difficulty|domain)/(?P<group>.+)")
"""A metric of one group; see `agent.metrics`. Example: `success_rate_by_domain/click-link`."""
MOST_DOMAINS = 40
"""Domains of the picture: the ones with most judged episodes."""


def log_tables(client: "MlflowClient", run_id: str, folder: RunFolder) -> None:
    """Replaces the run's tables, and the picture if there are domains to compare."""
    reports = folder.reports()
    for name, text in tables(reports).items():
        client.log_text(run_id, text, f"tables/{name}.csv")
    picture = draw_domains(reports, folder.root / HEATMAP)
    if picture is not None:
        client.log_artifact(run_id, str(picture))


def tables(reports: Iterable[StageReport]) -> dict[str, str]:
    """The tables as CSV, by name. A table without rows is left out."""
    rows: dict[str, dict[int, dict[str, float]]] = {}
    groups: list[dict[str, object]] = []
    for report in reports:
        known = everything(report) | {f"{report.stage}_s": report.seconds}
        alone = {key: value for key, value in known.items() if not OF_GROUP.fullmatch(key)}
        rows.setdefault(PREFIX[report.stage], {}).setdefault(report.iteration, {}).update(alone)
        groups += _groups(report)
    found = {
        name: _csv([{"iteration": iteration, **row} for iteration, row in sorted(each.items())])
        for name, each in rows.items()
    }
    return found | ({"by_group": _csv(groups)} if groups else {})


def draw_domains(reports: Iterable[StageReport], path: Path) -> Path | None:
    """Draws the success rate by domain (row) and iteration (column) of the training tasks. None for fewer than two domains."""
    cells = [
        row for report in reports if report.stage is Stage.JUDGE for row in _groups(report) if row["kind"] == "domain"
    ]
    sizes: dict[str, float] = {}
    for row in cells:
        sizes[str(row["group"])] = sizes.get(str(row["group"]), 0.0) + _number(row.get("judged"))
    domains = sorted(sorted(sizes, key=lambda name: -sizes[name])[:MOST_DOMAINS])
    iterations = sorted({int(_number(row["iteration"])) for row in cells})
    if len(domains) < 2:
        return None
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    grid = np.full((len(domains), len(iterations)), np.nan)
    for row in cells:
        if row["group"] in domains and "success_rate" in row:
            place = domains.index(str(row["group"])), iterations.index(int(_number(row["iteration"])))
            grid[place] = _number(row["success_rate"])
    figure = Figure(figsize=(2.5 + 0.45 * len(iterations), 1.5 + 0.3 * len(domains)), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(grid, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    axes.set_yticks(range(len(domains)), domains, fontsize="small")
    step = -(-len(iterations) // 20)
    axes.set_xticks(range(0, len(iterations), step), [str(one) for one in iterations[::step]])
    axes.set(xlabel="iteration", title="success on training tasks")
    figure.colorbar(image, ax=axes, format=lambda value, _: f"{value:.0%}")
    with replacing(path, durable=False, suffix=path.suffix) as partial:
        FigureCanvasAgg(figure).print_png(partial)
    return path


def _groups(report: StageReport) -> list[dict[str, object]]:
    """A row per group of a report, with its metrics."""
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for key, value in report.metrics.items():
        if match := OF_GROUP.fullmatch(key):
            kind, group = match["kind"], match["group"]
            first = {"iteration": report.iteration, "stage": PREFIX[report.stage], "kind": kind, "group": group}
            rows.setdefault((kind, group), dict(first))[match["metric"]] = value
    return list(rows.values())


def _csv(rows: list[dict[str, object]]) -> str:
    """Rows with the union of their columns, the first row's columns first, then the others by name."""
    first = list(rows[0])[:4] if "kind" in rows[0] else ["iteration"]
    columns = [*first, *sorted({key for row in rows for key in row}.difference(first))]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _safe(value) for key, value in row.items()} for row in rows)
    return out.getvalue()


def _safe(value: object) -> object:
    """A name that a spreadsheet would read as a formula is quoted: domains come from task files."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
