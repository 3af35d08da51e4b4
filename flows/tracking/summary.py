"""Summary of a run in one table and one picture: success by iteration, seconds by stage."""

import json
from pathlib import Path
from typing import NamedTuple

from flows.settings.run_folder import RunFolder
from storage.atomic import replacing
from storage.stages import Stage, StageReport

CURVE = "learning_curve.png"


class Row(NamedTuple):
    """Numbers of one iteration. Values are None where the stage has not finished or was not due."""

    iteration: int
    train_success: float | None
    heldout_success: float | None
    steps_mean: float | None
    judging: str
    """Facts about trajectories that the judges left open or disagreed on; empty where there is nothing to say."""
    seconds: dict[Stage, float]
    overhead_share: float | None
    early_s: float = 0.0
    """Seconds in which the rollout's episodes were played before its stage, beside judging and updates."""


def rows(folder: RunFolder) -> list[Row]:
    """One row per iteration that has a finished stage."""
    table: list[Row] = []
    for iteration in range(folder.config.iterations + 1):
        reports = {stage: report for stage in Stage if (report := folder.report(iteration, stage))}
        if not reports:
            continue
        judged, evaluated = reports.get(Stage.JUDGE), reports.get(Stage.EVALUATE)
        counted = judged or evaluated
        table.append(
            Row(
                iteration=iteration,
                train_success=judged.metrics.get("success_rate") if judged else None,
                heldout_success=evaluated.metrics.get("success_rate") if evaluated else None,
                steps_mean=counted.metrics.get("steps_mean") if counted else None,
                judging=judging_of(counted) if counted else "",
                seconds={stage: report.seconds for stage, report in reports.items()},
                overhead_share=_overhead_share(folder.iteration_file(iteration)),
                early_s=played.metrics.get("early_s", 0.0) if (played := reports.get(Stage.ROLLOUT)) else 0.0,
            )
        )
    return table


def judging_of(report: StageReport) -> str:
    """The facts about a stage's judges that a reader should not miss.

    Example: `3 unjudged, judges disagree on 2 of 6, canaries 0 of 4, cost 0.12`
    """
    metrics = report.metrics
    facts: list[str] = []
    if metrics.get("unjudged") and metrics.get("judged"):  # an environment without any judge has nothing else
        facts.append(f"{metrics['unjudged']:.0f} unjudged")
    if metrics.get("judge_disagreements"):
        facts.append(f"judges disagree on {metrics['judge_disagreements']:.0f} of {metrics['judge_compared']:.0f}")
    if "canary_episodes" in metrics:
        facts.append(f"canaries {metrics['canary_successes']:.0f} of {metrics['canary_episodes']:.0f}")
    if metrics.get("judge_cost"):
        facts.append(f"cost {metrics['judge_cost']:.2f}")
    return ", ".join(facts)


def _overhead_share(path: Path) -> float | None:
    """The value in iteration.json; None if the iteration did not run in one go, or the file is damaged."""
    try:
        return float(json.loads(path.read_bytes())["overhead_share"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def draw_learning_curve(folder: RunFolder) -> Path | None:
    """Draws train and held-out success by iteration to the run folder's learning_curve.png. None without data."""
    table = rows(folder)
    train = [(row.iteration, row.train_success) for row in table if row.train_success is not None]
    heldout = [(row.iteration, row.heldout_success) for row in table if row.heldout_success is not None]
    if not train and not heldout:
        return None
    # Without pyplot: no global state, so that it may be drawn in a thread, and no search for a window system.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for label, points, style in (("training tasks (sampled)", train, "o-"), ("held-out tasks", heldout, "s--")):
        if points:
            axes.plot([iteration for iteration, _ in points], [rate for _, rate in points], style, label=label)
    axes.set(xlabel="iteration", ylabel="success rate", ylim=(-0.02, 1.02), title=folder.name)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    path = folder.root / CURVE
    # matplotlib chooses the format by the suffix.
    with replacing(path, durable=False, suffix=path.suffix) as partial:
        FigureCanvasAgg(figure).print_png(partial)
    return path
