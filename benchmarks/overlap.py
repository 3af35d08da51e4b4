"""Trajectories per hour when rollouts go on while judging, update and publish run: `rollout.overlap`.

    python -m benchmarks.overlap [--seeds 0 1 2] [--iterations 12] [--picture docs/pictures/overlap.png]
    python -m benchmarks.overlap --learning [--seeds 0 1 2] [--config configs/demo.yaml] [key=value ...]

The scheduler is the real one: plans, shard workers, pacing, carry-over, the run folder. On a virtual clock, so that hours
take seconds and every run is the same, episodes are walks over pages whose latency has heavy tails (Pareto, as in
benchmarks/slow_pages.py), and judge, update and publish are waits as long as the synchronous rollout, in equal parts of
a tenth, eight tenths and a tenth. Required: one_step and async keep at least 0.9 of what the longer of rollout and
judge + update + publish allows, at least 1.5 times sync, and no sample is older than the run allows.

`--learning` runs the real loop per mode and seed instead, and prints held-out success after equal updates.
"""

import argparse
import sys
from pathlib import Path
from statistics import fmean, stdev

from benchmarks.learning import play as run_loop
from benchmarks.learning import rl_loop
from benchmarks.overlapped_walks import GROUPS, MEMBERS, Result, measure
from flows.tracking.summary import rows
from flows.tracking.timeline import draw_spans
from storage.atomic import replacing

MODES = ("sync", "one_step", "async")
SHOWN = 5
"""Iterations in the picture."""


def line(result: Result, sync: Result) -> str:
    """One row of the table, against what the longer of rollout and update allows."""
    bound = bound_of(sync)
    return (
        f"{result.mode:<9} seed {result.seed}  {result.kept:>5} kept  {result.per_hour:7.0f} /h  "
        f"{result.per_hour / sync.per_hour:5.2f} of sync  {result.per_hour / bound:5.2f} of the bound  "
        f"samples at most {result.oldest} versions old"
    )


def bound_of(sync: Result) -> float:
    """Trajectories per hour if the shorter of rollout and update cost nothing."""
    return 3600 * GROUPS * MEMBERS / max(sync.rollout_s, sync.update_s)


def throughput(seeds: list[int], iterations: int, picture: Path | None) -> bool:
    """Prints the table; returns True if all requirements hold. `picture`: PNG of the first seed's intervals."""
    holds, first = True, list[Result]()
    for seed in seeds:
        rollout_s = measure("sync", seed, iterations, 0.0).rollout_s
        sync = measure("sync", seed, iterations, rollout_s)
        print(f"seed {seed}: rollout {rollout_s:.1f} s, judge + update + publish {rollout_s:.1f} s")
        print(line(sync, sync), flush=True)
        for mode, most in (("one_step", 1), ("async", 2)):
            found = measure(mode, seed, iterations, rollout_s)
            print(line(found, sync), flush=True)
            fast = found.per_hour >= 0.9 * bound_of(sync) and found.per_hour >= 1.5 * sync.per_hour
            holds = holds and fast and found.oldest <= most
            first += [sync, found] if mode == "one_step" and not first else [found]
    if picture:
        draw(first[: len(MODES)], picture)
    print(f"at least 0.9 of the bound and 1.5 of sync, no sample too old: {'ok' if holds else 'MISSED'}")
    return holds


def draw(results: list[Result], path: Path) -> None:
    """Draws the intervals of several modes below each other, on one axis of time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.4), layout="constrained")
    for axes, result in zip(figure.subplots(len(results), sharex=True), results, strict=True):
        draw_spans(axes, [span for span in result.spans if span.iteration <= SHOWN])
        axes.set_title(f"{result.mode}: {result.per_hour:.0f} trajectories per hour", fontsize=9)
    figure.supxlabel("seconds; the numbers are iterations", fontsize=9)
    with replacing(path, durable=False, suffix=path.suffix) as partial:
        FigureCanvasAgg(figure).print_png(partial)


def learning(config: Path, seeds: list[int], overrides: list[str]) -> bool:
    """Runs the loop per mode and seed, or reads a finished run; prints held-out success after equal updates."""
    after: dict[str, list[float]] = {mode: [] for mode in MODES}
    try:
        for seed in seeds:
            for mode in MODES:
                given = [*overrides, f"rollout.overlap={mode}", f"seed={seed}", f"update.seed={seed}"]
                folder = run_loop(config, given, name=f"overlap-{mode.replace('_', '-')}-{seed}")
                table = rows(folder)
                measured = [row.heldout_success for row in table if row.heldout_success is not None]
                after[mode].append(measured[-1])
                minutes = sum(sum(row.seconds.values()) for row in table) / 60
                print(f"{mode:<9} seed {seed}  held-out {measured[0]:.1%} -> {measured[-1]:.1%}  {minutes:.1f} min")
    finally:
        rl_loop("down", f"--config={config}")
    for mode, found in after.items():
        spread = f" ± {100 * stdev(found):.1f}" if len(found) > 1 else ""
        print(f"{mode:<9} {len(found)} seeds  held-out after {100 * fmean(found):.1f}{spread} %")
    return True


def main() -> int:
    """Returns 1 when a requirement was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--iterations", type=int, default=12)
    parser.add_argument("--picture", type=Path, help="PNG to draw: the intervals of the first seed")
    parser.add_argument("--learning", action="store_true", help="run the real loop instead, per mode and seed")
    parser.add_argument("--config", type=Path, default=Path("configs/demo.yaml"))
    parser.add_argument("overrides", nargs="*", help="key=value for --learning, as for `rl-loop run`")
    options = parser.parse_args()
    if options.learning:
        return 0 if learning(options.config, options.seeds, options.overrides) else 1
    return 0 if throughput(options.seeds, options.iterations, options.picture) else 1


if __name__ == "__main__":
    sys.exit(main())
