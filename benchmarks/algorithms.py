"""Compares presets of the policy update at equal episodes: the demo's loop per preset and seed.

    python -m benchmarks.algorithms [--presets grpo webgym ..] [--seeds 0 1 2] [--picture docs/pictures/algorithms.png]
                                    [--config configs/demo.yaml] [key=value ...]

A preset gives credit and loss; the learning rate, the optimiser steps and the epochs are those of the configuration
for all of them, so that only the algorithm differs. Prints mean and spread of held-out success, and draws success in
training by iteration. The demo takes about 10 minutes per preset and seed on 2 cores; an interrupted run is resumed, and
a finished one is only read.
"""

import argparse
import sys
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple, get_args

import yaml

from benchmarks.learning import play, rl_loop
from flows.settings.loop_config import load_config
from flows.tracking.summary import Row, rows
from storage.atomic import replacing
from training.algorithms.presets import PRESETS, PresetName
from training.config import UpdateConfig

OF_THE_LOOP = ("learning_rate", "warmup_steps", "minibatches", "epochs")
"""Keys of presets that the comparison leaves to the configuration."""


class Curve(NamedTuple):
    """Success of one loop by iteration, in [0, 1]."""

    preset: PresetName
    seed: int
    training: list[float]
    before: float
    after: float
    """Held-out success of the first and of the last policy."""


def main() -> int:
    """Runs all loops one after the other, prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--presets", nargs="*", default=list(PRESETS), choices=get_args(PresetName))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--config", type=Path, default=Path("configs/demo.yaml"))
    parser.add_argument("--picture", type=Path, help="PNG to draw")
    parser.add_argument("overrides", nargs="*", help="key=value, as for `rl-loop run`")
    options = parser.parse_args()
    loop = load_config(options.config, options.overrides).update
    curves: list[Curve] = []
    try:
        for seed in options.seeds:  # seed by seed, so that an interrupted comparison is of equal seeds
            for preset in options.presets:
                given = [*settings_of(preset, loop), f"seed={seed}", f"update.seed={seed}", *options.overrides]
                table = rows(play(options.config, given, name=f"algorithms-{preset}-{seed}"))
                curves.append(curve(table, preset=preset, seed=seed))
                print(line(curves[-1]), flush=True)
    finally:
        rl_loop("down", f"--config={options.config}")
    for preset in options.presets:
        print(summary(preset, [one for one in curves if one.preset == preset]))
    if options.picture:
        draw(curves, options.picture)
    return 0


def settings_of(preset: PresetName, loop: UpdateConfig) -> list[str]:
    """Overrides that set every key of credit and loss, whatever the configuration says about it, and leave the rest."""
    chosen: dict[str, Any] = {"preset": preset, **PRESETS["grpo"], **PRESETS[preset]}
    chosen |= {key: getattr(loop, key) for key in OF_THE_LOOP}
    return [f"update.{key}={yaml.safe_dump(value).splitlines()[0]}" for key, value in chosen.items()]


def curve(table: list[Row], *, preset: PresetName, seed: int) -> Curve:
    """Reads the table of a finished run."""
    measured = [row.heldout_success for row in table if row.heldout_success is not None]
    training = [row.train_success for row in table if row.train_success is not None]
    return Curve(preset, seed, training, before=measured[0], after=measured[-1])


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
    """Draws training success by iteration, a line per preset with the range of its seeds, and writes a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for preset in dict.fromkeys(one.preset for one in curves):
        columns = list(zip(*(one.training for one in curves if one.preset == preset), strict=False))
        at = range(1, len(columns) + 1)
        (drawn,) = axes.plot(at, [fmean(column) for column in columns], "o-", label=preset)
        low, high = [min(column) for column in columns], [max(column) for column in columns]
        axes.fill_between(at, low, high, color=drawn.get_color(), alpha=0.12)
    axes.set(
        xlabel="iteration", ylabel="success in training", title="presets at equal episodes, mean and range of seeds"
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    with replacing(path, durable=False, suffix=path.suffix) as partial:
        FigureCanvasAgg(figure).print_png(partial)


if __name__ == "__main__":
    sys.exit(main())
