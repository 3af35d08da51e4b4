"""Compares presets of the policy update at equal episodes: the demo's loop per preset and seed.

    python -m benchmarks.algorithms [--presets grpo webgym ..] [--seeds 0 1 2] [--config configs/demo.yaml] [key=value ...]
                                    [--figures docs/pictures/algorithms.jsonl [--run-nothing]] [--picture docs/pictures/algorithms.png]

A preset gives credit and loss; the learning rate, the optimiser steps and the epochs are those of the configuration
for all of them, so that only the algorithm differs. Prints mean and spread of held-out success, and draws success in
training by iteration. The demo takes about 7 minutes per preset and seed on 2 cores; an interrupted run is resumed, and
a finished one is only read. With `--figures` the curves are kept in a file, a line per loop: loops of the same
configuration and overrides found there are not run again, so that a comparison can grow over days and machines.
"""

import argparse
import sys
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from benchmarks.learning import play, rl_loop
from flows.settings.loop_config import load_config
from flows.tracking.summary import Row, rows
from storage.atomic import replacing
from storage.errors import LoopError
from training.algorithms.presets import PRESETS, PresetName
from training.config import UpdateConfig

OF_THE_LOOP = ("learning_rate", "warmup_steps", "minibatches", "epochs")
"""Keys of presets that the comparison leaves to the configuration."""


class Loop(BaseModel, frozen=True, extra="forbid"):
    """Identity of one loop of the comparison."""

    preset: PresetName
    seed: int
    config: str
    overrides: tuple[str, ...] = ()


class Curve(Loop, frozen=True):
    """Success of one loop by iteration, in [0, 1]."""

    training: tuple[float, ...]
    before: float
    after: float
    """Held-out success of the first and of the last policy."""

    def of(self, loop: Loop) -> bool:
        """True if the curve was measured on this loop."""
        return all(getattr(self, key) == getattr(loop, key) for key in Loop.model_fields)


def main() -> int:
    """Runs all loops one after the other, prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--presets", nargs="*", default=list(PRESETS), choices=get_args(PresetName))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--config", type=Path, default=Path("configs/demo.yaml"))
    parser.add_argument("--figures", type=Path, help="JSON lines: the curves of finished loops, read and added to")
    parser.add_argument(
        "--run-nothing", action="store_true", help="only print and draw the loops in the file of figures"
    )
    parser.add_argument("--picture", type=Path, help="PNG to draw")
    parser.add_argument("overrides", nargs="*", help="key=value, as for `rl-loop run`")
    options = parser.parse_args()
    try:
        known = read_figures(options.figures)
        load_config(options.config, options.overrides)
    except (LoopError, ValueError) as error:
        parser.error(str(error))
    loops = [  # seed by seed, so that an interrupted comparison is of equal seeds
        Loop(preset=preset, seed=seed, config=str(options.config), overrides=tuple(options.overrides))
        for seed in options.seeds
        for preset in options.presets
    ]
    if options.run_nothing:
        loops = [loop for loop in loops if any(curve.of(loop) for curve in known)]
    curves = compare(loops, known, options.figures)
    for preset in options.presets:
        if found := [one for one in curves if one.preset == preset]:
            print(summary(preset, found))
    if options.picture and curves:
        draw(curves, options.picture)
    return 0


def compare(loops: list[Loop], known: list[Curve], figures: Path | None) -> list[Curve]:
    """Plays the loops that are not among the known curves, prints each and appends it to the file of figures."""
    curves: list[Curve] = []
    played = False
    try:
        for loop in loops:
            found = next((curve for curve in known if curve.of(loop)), None)
            if found is None:
                played = True
                found = run(loop)
                if figures is not None:
                    with figures.open("a") as file:
                        file.write(found.model_dump_json() + "\n")
            curves.append(found)
            print(line(found), flush=True)
    finally:
        if played:
            rl_loop("down", f"--config={loops[0].config}")
    return curves


def read_figures(path: Path | None) -> list[Curve]:
    """Reads the curves of a file of figures. Raises ValueError with a sentence when a line is none."""
    if path is None or not path.exists():
        return []
    curves: list[Curve] = []
    for number, text in enumerate(path.read_text().splitlines(), start=1):
        try:
            curves.append(Curve.model_validate_json(text))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "line"
            raise ValueError(
                f"{path}, line {number}: {where}: {first['msg']}; remove the line to run that loop again"
            ) from None
    return curves


def run(loop: Loop) -> Curve:
    """Plays one loop, or resumes it, and reads its table."""
    config = Path(loop.config)
    given = [
        *settings_of(loop.preset, load_config(config, list(loop.overrides)).update),
        f"seed={loop.seed}",
        f"update.seed={loop.seed}",
        *loop.overrides,
    ]
    return curve(rows(play(config, given, name=f"algorithms-{loop.preset}-{loop.seed}")), loop)


def settings_of(preset: PresetName, loop: UpdateConfig) -> list[str]:
    """Overrides that set every key of credit and loss, whatever the configuration says about it, and leave the rest."""
    chosen: dict[str, Any] = {"preset": preset, **PRESETS["grpo"], **PRESETS[preset]}
    chosen |= {key: getattr(loop, key) for key in OF_THE_LOOP}
    return [f"update.{key}={yaml.safe_dump(value).splitlines()[0]}" for key, value in chosen.items()]


def curve(table: list[Row], loop: Loop) -> Curve:
    """Reads the table of a finished run."""
    measured = [row.heldout_success for row in table if row.heldout_success is not None]
    training = tuple(round(row.train_success, 4) for row in table if row.train_success is not None)
    return Curve(**loop.model_dump(), training=training, before=round(measured[0], 4), after=round(measured[-1], 4))


def line(one: Curve) -> str:
    """One row of the table."""
    by_iteration = " ".join(f"{success:.0%}" for success in one.training)
    return (
        f"{one.preset:<10}  seed {one.seed}  held-out {one.before:6.1%} -> {one.after:6.1%}  "
        f"gain {100 * (one.after - one.before):+6.1f} points  training {by_iteration}"
    )


def summary(preset: PresetName, curves: list[Curve]) -> str:
    """Mean and spread over the seeds of a preset."""
    gains = [100 * (one.after - one.before) for one in curves]
    after = fmean(one.after for one in curves)
    spread = f" ± {stdev(gains):.1f}" if len(gains) > 1 else ""
    return f"{preset:<10}  {len(curves)} seeds  held-out after {after:6.1%}  gain {fmean(gains):+6.1f}{spread} points"


def draw(curves: list[Curve], path: Path) -> None:
    """Draws training success by iteration and writes a PNG: a panel per preset, its seeds thin, the other means grey."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    presets = list(dict.fromkeys(one.preset for one in curves))
    means = {preset: mean_curve([one for one in curves if one.preset == preset]) for preset in presets}
    columns = min(4, len(presets))
    lines = -(-len(presets) // columns)
    figure = Figure(figsize=(2.6 * columns + 0.6, 2.4 * lines + 0.6), layout="constrained")
    panels = list(figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flat)
    for panel in panels[len(presets) :]:
        panel.remove()
    for preset, panel in zip(presets, panels, strict=False):
        for other in presets:
            panel.plot(range(1, len(means[other]) + 1), means[other], color="0.85", linewidth=1)
        for one in curves:
            if one.preset == preset:
                panel.plot(range(1, len(one.training) + 1), one.training, color="C0", linewidth=0.8, alpha=0.6)
        panel.plot(range(1, len(means[preset]) + 1), means[preset], "o-", color="C0", markersize=4)
        panel.set_title(preset, fontsize=10)
        panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
    figure.supxlabel("iteration", fontsize=10)
    figure.supylabel("success in training", fontsize=10)
    with replacing(path, durable=False, suffix=path.suffix) as partial:
        FigureCanvasAgg(figure).print_png(partial)


def mean_curve(curves: list[Curve]) -> list[float]:
    """Mean over seeds, by iteration, as far as all of them went."""
    return [fmean(column) for column in zip(*(one.training for one in curves), strict=False)]


if __name__ == "__main__":
    sys.exit(main())
