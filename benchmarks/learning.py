"""Measures learning: the demo's loop over several seeds, and the same loops with their rewards shuffled.

    python -m benchmarks.learning [--config configs/demo.yaml] [--seeds 0 1 2] [--control-seeds 0 1 2] [key=value ...]

Prints held-out success before the first and after the last iteration, and by how much the last iteration's success in
training is below the best one's. Averaged over the seeds, the loop must gain at least 30 points and end within 3 points of
its best; with shuffled rewards it must gain nothing. A run that was interrupted is resumed, not repeated.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from flows.tracking.summary import rows
from storage.run_layout import is_run


class Outcome(NamedTuple):
    """Held-out success of one loop, in [0, 1], and its duration."""

    seed: int
    shuffled: bool
    before: float
    after: float
    decline: float
    """The best success in training less that of the last iteration."""
    minutes: float
    overhead: float
    checkpoint_to_served_s: float

    @property
    def gain(self) -> float:
        """Change in held-out success."""
        return self.after - self.before


def main() -> int:
    """Runs the loops one after the other and prints the table. Returns 1 when the loop gained too little."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, default=Path("configs/demo.yaml"))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--control-seeds", type=int, nargs="*", default=[0, 1, 2], help="loops with shuffled rewards")
    parser.add_argument("overrides", nargs="*", help="key=value, as for `rl-loop run`")
    options = parser.parse_args()
    loops = [(seed, False) for seed in options.seeds] + [(seed, True) for seed in options.control_seeds]
    outcomes: list[Outcome] = []
    try:
        for seed, shuffled in loops:
            overrides = [*options.overrides, f"seed={seed}", f"update.seed={seed}", f"judge.shuffle_rewards={shuffled}"]
            name = f"learning-{'shuffled' if shuffled else 'true'}-{seed}"
            folder = play(options.config, overrides, name=name)
            outcomes.append(outcome(folder, seed=seed, shuffled=shuffled))
            print(line(outcomes[-1]), flush=True)
    finally:
        rl_loop("down", f"--config={options.config}")
    return summary(outcomes)


def play(config_file: Path, overrides: list[str], *, name: str) -> RunFolder:
    """Runs one whole loop through the command line, as a user would, or resumes it. Returns the finished run."""
    folder = load_config(config_file, overrides).runs_dir / name
    if is_run(folder):
        rl_loop("resume", name, f"--config={config_file}")
    else:
        rl_loop("run", str(config_file), *overrides, f"--name={name}")
    return RunFolder.open(folder)


def rl_loop(*arguments: str) -> None:
    """Runs `rl-loop` in a separate process. Raises CalledProcessError when it fails."""
    subprocess.run([sys.executable, "-m", "flows.cli", *arguments], check=True, stdout=sys.stderr)


def outcome(folder: RunFolder, *, seed: int, shuffled: bool) -> Outcome:
    """Reads a finished run's folder."""
    table = rows(folder)
    measured = [row.heldout_success for row in table if row.heldout_success is not None]
    reports = list(folder.reports())
    trained = [row.train_success for row in table if row.train_success is not None]
    shares = [row.overhead_share for row in table if row.overhead_share is not None]
    served = [s for report in reports if (s := report.metrics.get("checkpoint_to_served_s")) is not None]
    return Outcome(
        seed=seed,
        shuffled=shuffled,
        before=measured[0],
        after=measured[-1],
        decline=max(trained) - trained[-1],
        minutes=sum(report.seconds for report in reports) / 60,
        overhead=fmean(shares) if shares else float("nan"),
        checkpoint_to_served_s=max(served) if served else float("nan"),
    )


def line(outcome: Outcome) -> str:
    """One row of the table."""
    rewards = "shuffled" if outcome.shuffled else "true"
    return (
        f"seed {outcome.seed}  rewards {rewards:<8}  held-out {outcome.before:6.1%} -> {outcome.after:6.1%}  "
        f"gain {100 * outcome.gain:+6.1f} points  below its best {100 * outcome.decline:4.1f}  "
        f"{outcome.minutes:5.1f} min  overhead {outcome.overhead:5.1%}  "
        f"checkpoint to served {outcome.checkpoint_to_served_s:.2f} s"
    )


def summary(outcomes: list[Outcome]) -> int:
    """Prints the averages; returns 0 when the loop with true rewards gains enough and ends near its best."""
    true = [one for one in outcomes if not one.shuffled]
    shuffled = [outcome.gain for outcome in outcomes if outcome.shuffled]
    if shuffled:
        print(f"mean gain with shuffled rewards: {100 * fmean(shuffled):+.1f} points over {len(shuffled)} seeds")
    if not true:
        return 0
    gain, decline = fmean(one.gain for one in true), fmean(one.decline for one in true)
    print(f"mean gain with true rewards: {100 * gain:+.1f} points over {len(true)} seeds (required: +30)")
    print(f"last iteration below the best: {100 * decline:.1f} points on average (at most 3)")
    return 0 if gain >= 0.30 and decline <= 0.03 else 1


if __name__ == "__main__":
    sys.exit(main())
