"""Rewards -> advantages of trajectories: pure numbers, no tensors.

The advantage of a trajectory is broadcast to every token that it sampled. AsyncWebRL divides it by a constant k; with a
mean over tokens (`normaliser: tokens`) that is the same loss times 1/k, so it has no option of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Scale = Literal["std", "batch_std", "none"]
Baseline = Literal["group", "leave_one_out"]


def group_advantages(
    rewards: Numbers,
    penalties: Numbers | None = None,
    *,
    scale: Scale,
    epsilon: float,
    min_std: float = 0.0,
    baseline: Baseline = "group",
    batch_std: float = 0.0,
) -> Numbers:
    """Advantages (G,) of the G trajectories of one task from their rewards (G,): `A_i = R_i - mean(R)`.

    `penalties` (G,) of shaping are centred too and subtracted after the scaling, `A_i - (P_i - mean(P))`: in a group
    whose rewards agree the scale is arbitrary, and dividing by it would turn one penalty of 0.05 among eight successes
    into -2.5. So shaping never moves an advantage by more than the penalty itself.

    `std` divides by the sample standard deviation plus epsilon (GRPO, DeepSeekMath 2402.03300), `none` does not
    (Dr. GRPO 2503.20783), `batch_std` divides by that of all rewards of the update (Lite PPO 2508.08221). With one
    success in four, `[1, 0, 0, 0]`: mean 0.25, standard deviation 0.5, so

        std:  [ 1.5, -0.5, -0.5, -0.5]   (divided by 0.5 + epsilon)
        none: [ 0.75, -0.25, -0.25, -0.25]

    and `[1, 0]` gives `[0.707, -0.707]`. AsyncWebRL's population standard deviation makes them larger by the constant
    factor sqrt(G / (G - 1)). `min_std` is a lower bound of the divisor: without it a reward difference of 0.01, which is
    a judge's noise, would get the advantage of a failure among successes: seven rewards of 1 and one of 0.99 give -2.4
    without it, and -0.17 with 0.05. A group without spread gives zeros. Raises ValueError for fewer than two.
    """
    if rewards.ndim != 1 or len(rewards) < 2:
        raise ValueError(f"expected the rewards of at least two trajectories, found shape {rewards.shape}")
    advantages = leave_one_out(rewards) if baseline == "leave_one_out" else rewards - rewards.mean()
    if scale != "none":
        std = float(rewards.std(ddof=1)) if scale == "std" else batch_std
        advantages = advantages / (max(std, min_std) + epsilon)
    return advantages if penalties is None else advantages - (penalties - penalties.mean())


def leave_one_out(rewards: Numbers) -> Numbers:
    """Advantages (G,) against the mean of the others: `A_i = R_i - mean(R without i)` (RLOO 2402.14740).

    Equal to `G / (G - 1) * (R_i - mean(R))`. `[1, 0, 0, 0]` gives `[1, -1/3, -1/3, -1/3]`.
    """
    return (rewards - rewards.mean()) * (len(rewards) / (len(rewards) - 1))


def spread(rewards: Sequence[float]) -> float:
    """Sample standard deviation of all rewards of an update, for `batch_std`; 0 for fewer than two."""
    return float(np.std(np.asarray(rewards, dtype=np.float64), ddof=1)) if len(rewards) > 1 else 0.0


def ema_baselines(
    rewards: Mapping[str, Sequence[float]], known: Mapping[str, float], *, decay: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Baselines of tasks for this update, and those for the next: a moving average of each task's mean reward.

    REINFORCE (Williams 1992) with a baseline b per task: `A = R - b`, then `b <- decay * b + (1 - decay) * mean(R)`. A
    task that was never seen begins at the mean of all rewards of the update, every task counting once. With b = 0.5,
    rewards `[1, 0, 1, 1]` and a decay of 0.9: advantages `[0.5, -0.5, 0.5, 0.5]`, and b becomes 0.525.
    """
    means = {task: float(np.mean(some)) for task, some in rewards.items() if len(some)}
    start = float(np.mean([means[task] for task in sorted(means)])) if means else 0.0
    now = {task: known.get(task, start) for task in means}
    later = {task: decay * now[task] + (1 - decay) * mean for task, mean in means.items()}
    return now, dict(known) | later
