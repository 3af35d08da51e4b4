"""Several `WebEnv`s as one vectorised Gymnasium environment: their steps run at the same time.

Gymnasium's `SyncVectorEnv` would wait for one browser after the other, and `AsyncVectorEnv` needs a process for each,
although these environments do their work elsewhere: a thread for each is enough.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array
from numpy.typing import NDArray

from agent.failures import EpisodeFailure


class _Came(NamedTuple):
    observation: Any
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class ParallelVectorEnv(VectorEnv):
    """`num_envs` environments. An episode that ended is begun anew by the next step, whose action is not used.

    A failure that is not the agent's ends the episode as truncated, with the reward NaN, never 0, and
    `infos["failure"]` names it: leave such steps out.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(self, makers: Sequence[Callable[[], gymnasium.Env[Any, Any]]]) -> None:
        """`makers`: each makes one environment; give each its own world. Raises ValueError for none."""
        if not makers:
            raise ValueError("expected at least one environment, found none")
        self.envs = [make() for make in makers]
        self.num_envs = len(self.envs)
        self.single_observation_space, self.single_action_space = (
            self.envs[0].observation_space,
            self.envs[0].action_space,
        )
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._threads = ThreadPoolExecutor(self.num_envs, thread_name_prefix="web environment")
        self._seen: list[Any] = [None] * self.num_envs
        self._is_over = [False] * self.num_envs

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins an episode in each. `seed` counts up from one environment to the next. Raises `EpisodeFailure`."""
        seeds = (
            seed
            if isinstance(seed, list)
            else [None if seed is None else seed + place for place in range(self.num_envs)]
        )
        begun = [
            self._threads.submit(env.reset, seed=one, options=options)
            for env, one in zip(self.envs, seeds, strict=True)
        ]
        came = [future.result() for future in begun]
        self._seen = [observation for observation, _ in came]
        self._is_over = [False] * self.num_envs
        return self._batch(), self._infos([info for _, info in came])

    def step(
        self, actions: Any
    ) -> tuple[Any, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Acts in each at the same time."""
        chosen = list(gymnasium.vector.utils.iterate(self.action_space, actions))
        came = list(self._threads.map(self._step, range(self.num_envs), chosen))
        self._seen = [one.observation for one in came]
        self._is_over = [one.terminated or one.truncated for one in came]
        return (
            self._batch(),
            np.array([one.reward for one in came], dtype=np.float64),
            np.array([one.terminated for one in came]),
            np.array([one.truncated for one in came]),
            self._infos([one.info for one in came]),
        )

    def close_extras(self, **kwargs: Any) -> None:
        """Closes the environments."""
        list(self._threads.map(lambda env: env.close(), self.envs))
        self._threads.shutdown()

    def _step(self, place: int, action: Any) -> _Came:
        env = self.envs[place]
        try:
            if self._is_over[place]:
                observation, info = env.reset()
                return _Came(observation, 0.0, False, False, info)
            observation, reward, terminated, truncated, info = env.step(action)
            return _Came(observation, float(reward), terminated, truncated, info)
        except EpisodeFailure as error:
            return _Came(self._seen[place], float("nan"), False, True, {"failure": str(error)})

    def _batch(self) -> Any:
        empty = create_empty_array(self.single_observation_space, n=self.num_envs, fn=np.zeros)
        return deepcopy(concatenate(self.single_observation_space, self._seen, empty))

    def _infos(self, found: list[dict[str, Any]]) -> dict[str, Any]:
        infos: dict[str, Any] = {}
        for place, info in enumerate(found):
            infos = self._add_info(infos, info, place)
        return infos
