"""The intervals of a run's stages as a picture: which of rollout, judging, update and evaluation overlap.

The rollout's are those of its episodes (`rollout/intervals.jsonl`), the others' those of their reports.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flows.settings.run_folder import RunFolder
from rollouts.measures.intervals import EPISODES, read_intervals, united
from storage.atomic import replacing
from storage.stages import Stage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TIMELINE = "timeline.png"
COLOURS = ("#4c78a8", "#f58518")
"""Of even and odd iterations."""
MOST_NUMBERS = 25
"""Iterations of a row whose number is written: more would cover one another."""


class Span(NamedTuple):
    """A time in which a stage of an iteration worked, in seconds of the epoch."""

    stage: Stage
    iteration: int
    began: float
    ended: float


def spans_of(folder: RunFolder) -> list[Span]:
    """All spans of a run, in order of stage and iteration. A rollout has several where no episode was played between."""
    found = [
        Span(Stage.ROLLOUT, iteration, *span)
        for iteration in range(1, folder.config.iterations + 1)
        for span in united(read_intervals(folder.stage_dir(iteration, Stage.ROLLOUT) / EPISODES))
    ]
    found += [
        Span(report.stage, report.iteration, report.ended_at - report.seconds, report.ended_at)
        for report in folder.reports()
        if report.stage is not Stage.ROLLOUT and report.finished_at
    ]
    return sorted(found, key=lambda span: (list(Stage).index(span.stage), span.iteration, span.began))


def draw_timeline(folder: RunFolder) -> Path | None:
    """Draws a row per stage to the run folder's timeline.png. None without data."""
    spans = spans_of(folder)
    if not spans:
        return None
    # Without pyplot: no global state, so that it may be drawn in a thread, and no search for a window system.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.8), layout="constrained")
    axes = figure.add_subplot()
    draw_spans(axes, spans)
    axes.set(xlabel="seconds", title=f"{folder.name}: iterations by stage (overlap: {folder.config.rollout.overlap})")
    path = folder.root / TIMELINE
    with replacing(path, durable=False, suffix=path.suffix) as partial:
        FigureCanvasAgg(figure).print_png(partial)
    return path


def draw_spans(axes: "Axes", spans: Sequence[Span]) -> None:
    """Draws a row per stage, with the number of the iteration in some spans; the first span begins at 0."""
    start = min(span.began for span in spans)
    stages = [stage for stage in Stage if any(span.stage is stage for span in spans)]
    numbered = -(-max(span.iteration for span in spans) // MOST_NUMBERS)
    for row, stage in enumerate(stages):
        own = [span for span in spans if span.stage is stage]
        bars = [(span.began - start, span.ended - span.began) for span in own]
        colours = [COLOURS[span.iteration % 2] for span in own]
        axes.broken_barh(bars, (row - 0.35, 0.7), facecolors=colours, edgecolor=colours, linewidth=0.4, alpha=0.75)
        for span, (begin, length) in zip(own, bars, strict=True):
            if span.iteration % max(1, numbered) == 0:
                middle = begin + length / 2
                axes.text(middle, row, str(span.iteration), ha="center", va="center", fontsize=7)
    axes.set_yticks(range(len(stages)), [stage.replace("_", " ") for stage in stages])
    axes.invert_yaxis()
