"""Learning curves of several runs in one picture."""

from collections.abc import Sequence
from pathlib import Path

from flows.settings.run_folder import RunFolder
from flows.tracking.summary import rows
from storage.atomic import replacing
from storage.errors import LoopError


def draw_curves(folders: Sequence[RunFolder], path: Path) -> Path:
    """Draws training success (thin) and held-out success (marked) by iteration, a colour per run, as a PNG.

    Raises `LoopError` if `path` cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for number, folder in enumerate(folders):
        color = f"C{number}"
        table = rows(folder)
        train = [(row.iteration, row.train_success) for row in table if row.train_success is not None]
        heldout = [(row.iteration, row.heldout_success) for row in table if row.heldout_success is not None]
        axes.plot(
            *_columns(train), "-", color=color, alpha=0.5, linewidth=1, label=f"{folder.name}, training (sampled)"
        )
        axes.plot(*_columns(heldout), "s--", color=color, label=f"{folder.name}, held out")
    axes.set(xlabel="iteration", ylabel="success rate", ylim=(-0.02, 1.02))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize="small")
    try:
        with replacing(path, durable=False, suffix=".png") as partial:
            FigureCanvasAgg(figure).print_png(partial)
    except OSError as error:
        raise LoopError(f"{path} cannot be written: {error.strerror or error}; choose another --picture") from error
    return path


def _columns(points: list[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [iteration for iteration, _ in points], [rate for _, rate in points]
