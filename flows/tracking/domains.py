"""Success by domain and iteration as a picture, for the run folder and MLflow."""

from collections.abc import Iterable
from pathlib import Path

from flows.tracking.tables import groups
from storage.atomic import replacing
from storage.stages import Stage, StageReport

HEATMAP = "success_by_domain.png"
MOST_DOMAINS = 40
"""Domains that are shown: the ones with most judged episodes."""
MOST_WIDTH = 20.0
"""Of the picture, in inches of 100 pixels; the columns of a long run get narrower."""


def draw_domains(reports: Iterable[StageReport], path: Path) -> Path | None:
    """Draws the success rate by domain (row) and iteration (column) of the training tasks. None for fewer than two domains."""
    cells = [
        row for report in reports if report.stage is Stage.JUDGE for row in groups(report) if row["kind"] == "domain"
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
    figure = Figure(
        figsize=(min(2.5 + 0.45 * len(iterations), MOST_WIDTH), 1.5 + 0.3 * len(domains)), layout="constrained"
    )
    axes = figure.add_subplot()
    image = axes.imshow(grid, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    axes.set_yticks(range(len(domains)), domains, fontsize="small", parse_math=False)
    step = -(-len(iterations) // 20)
    axes.set_xticks(range(0, len(iterations), step), [str(one) for one in iterations[::step]])
    axes.set(xlabel="iteration", title="success on training tasks")
    figure.colorbar(image, ax=axes, format=lambda value, _: f"{value:.0%}")
    with replacing(path, durable=False, suffix=path.suffix) as partial:
        FigureCanvasAgg(figure).print_png(partial)
    return path


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
