"""Rewards of a group -> advantages of its members: pure numbers, no tensors.

The advantage of a trajectory is broadcast to every token that it sampled. With a mean over all tokens of an optimiser
step (`loss_type="dapo"`) that equals AsyncWebRL's "advantage / constant k" per step, up to a constant.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agent.types import Trajectory


def group_advantages(
    rewards: NDArray[np.float64],
    penalties: NDArray[np.float64] | None = None,
    *,
    scale: Literal["std", "none"],
    epsilon: float,
    min_std: float = 0.0,
) -> NDArray[np.float64]:
    """Advantages (G,) of the G trajectories of one task from their rewards (G,): `A_i = R_i - mean(R)`.

    `penalties` (G,) of shaping are centred too and subtracted after the scaling, `A_i - (P_i - mean(P))`: in a group
    whose rewards agree the scale is arbitrary, and dividing by it would turn one penalty of 0.05 among eight successes
    into -2.5. So shaping never moves an advantage by more than the penalty itself.

    `std` divides by the sample standard deviation plus epsilon (GRPO, DeepSeekMath 2402.03300), `none` does not
    (Dr. GRPO 2503.20783). With one success in four, `[1, 0, 0, 0]`: mean 0.25, standard deviation 0.5, so

        std:  [ 1.5, -0.5, -0.5, -0.5]   (divided by 0.5 + epsilon)
        none: [ 0.75, -0.25, -0.25, -0.25]

    and `[1, 0]` gives `[0.707, -0.707]`. `min_std` is a lower bound of the divisor: without it a reward difference of
    0.01, which is a judge's noise, would get the advantage of a failure among successes: seven rewards of 1 and one of
    0.99 give -2.4 without it, and -0.17 with 0.05. A group without spread gives zeros. Raises ValueError for fewer than two.
    """
    if rewards.ndim != 1 or len(rewards) < 2:
        raise ValueError(f"expected the rewards of at least two trajectories, found shape {rewards.shape}")
    advantages = rewards - rewards.mean()
    if scale == "std":
        advantages = advantages / (max(float(rewards.std(ddof=1)), min_std) + epsilon)
    return advantages if penalties is None else advantages - (penalties - penalties.mean())


def format_errors(trajectory: Trajectory) -> int:
    """Counts the outputs of the model that could not be parsed into an action."""
    return sum(step.is_unparsed for step in trajectory.steps)


def repeats(trajectory: Trajectory) -> int:
    """Counts the steps that repeat the previous step's action on an identical screenshot."""
    count = 0
    for before, now in zip(trajectory.steps, trajectory.steps[1:], strict=False):
        then, here = before.observation.screenshot, now.observation.screenshot
        unchanged = then is not None and here is not None and then.sha256 == here.sha256
        count += unchanged and now.action is not None and now.action == before.action
    return count
