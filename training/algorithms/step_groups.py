"""Step advantages (GiGPO): steps of a group that began at the same page are compared with one another."""

from collections.abc import Hashable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Walk(NamedTuple):
    """One trajectory of a group: its reward, and the anchor of each of its turns (the page where the turn began)."""

    reward: float
    anchors: Sequence[Hashable]


def step_advantages(
    walks: Sequence[Walk],
    *,
    discount: float,
    scale: Literal["std", "batch_std", "none"],
    epsilon: float,
    min_std: float = 0.0,
    batch_std: float = 0.0,
) -> list[NDArray[np.float64]]:
    """Advantages of every turn, (T_i,) per trajectory of one group (GiGPO 2505.10978, equations 6 to 8).

    Turn j of T has the return `discount ** (T - 1 - j) * reward`, because the reward comes at the end. Its advantage is
    the return minus the mean over all turns of the group with the same anchor, divided as rewards are. A turn whose
    anchor nobody else has gets 0.

    Example: a success a -> b and a failure a -> c with a discount of 0.5: the returns at `a` are 0.5 and 0, so the
    advantages are [0.25, 0] and [-0.25, 0].
    """
    returns = [_returns(walk, discount) for walk in walks]
    advantages = [np.zeros(len(walk.anchors)) for walk in walks]
    places: dict[Hashable, list[tuple[int, int]]] = {}
    for row, walk in enumerate(walks):
        for turn, anchor in enumerate(walk.anchors):
            places.setdefault(anchor, []).append((row, turn))
    for same in (some for some in places.values() if len(some) > 1):
        values = np.array([returns[row][turn] for row, turn in same])
        centred = values - values.mean()
        if scale != "none":
            std = float(values.std(ddof=1)) if scale == "std" else batch_std
            centred = centred / (max(std, min_std) + epsilon)
        for (row, turn), advantage in zip(same, centred, strict=True):
            advantages[row][turn] = advantage
    return advantages


def _returns(walk: Walk, discount: float) -> NDArray[np.float64]:
    turns = len(walk.anchors)
    return walk.reward * discount ** np.arange(turns - 1, -1, -1, dtype=np.float64)
