"""Real browsers and real tasks as a Gymnasium environment: `reset` and `step` for agents from outside this project.

One episode is one of `agent.gym.hosted.EpisodeHost`, with one leased browser, in an event loop in this environment's own
thread, so the lease is renewed while the agent thinks. `flows.gym_env` makes it from a configuration.
"""

import time
from contextlib import ExitStack
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from anyio.from_thread import BlockingPortal, start_blocking_portal
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from agent.config import AgentConfig
from agent.failures import EpisodeFailure
from agent.gym.hosted import EpisodeHost, HostedEpisode
from agent.gym.moments import Moment
from agent.gym.spaces import ActionText, observation_space, pixels, seen, turn_of
from agent.gym.worlds import Tasks, World
from agent.judging.verifier import Check
from agent.recording import EpisodeStore
from agent.types import AgentAction, Task, Turn


class _Running(NamedTuple):
    portal: BlockingPortal
    stack: ExitStack


class WebEnv(gymnasium.Env[dict[str, Any], str | AgentAction | Turn]):
    """Tasks in a real browser. Spaces and helpers are in `agent.gym.spaces`.

    `step` takes an action as JSON text or as a model of `agent.types`. Text that is no action costs a step, and the
    error is in `info["feedback"]`; `agent.max_format_errors` of them in a row end the episode, as in training. The
    reward comes with the last step, from the world's verifier or from `check`; before that it is 0. A failure that is
    not the agent's is never a reward: `reset` and `step` raise `agent.failures.EpisodeFailure`, whose `failure` has the
    side that broke (infra, site, judge) and whether to retry. The next `reset` starts a new episode.

    `info`: task (its id), observation (the whole model), feedback and effect of the action, seconds by phase; with the last
    step also stop (the reason), verdict and trajectory (all the evidence).
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 1}

    def __init__(
        self,
        world: World,
        *,
        tasks: Tasks,
        browsers: str,
        api_key: str | None = None,
        config: AgentConfig | None = None,
        check: Check | None = None,
        reuse: str | None = None,
        render_mode: str | None = None,
        store: EpisodeStore | None = None,
    ) -> None:
        """Starts nothing; the first `reset` does. `browsers` is the address of a browser service; `reuse`: see
        `LeaseRequest`. `store` keeps every finished episode, as training does, with the recordings of `config.record`;
        an episode with the same number in it is replaced, so give each environment and process a folder of its own.

        Used from `config`: the deadlines, `max_format_errors`, and whether marks are drawn into the pictures. Give each
        environment its own `world`.
        """
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"expected render_mode None or rgb_array, found {render_mode!r}")
        self.render_mode = render_mode
        self.viewport = world.viewport
        self.observation_space = observation_space(world.viewport)
        self.action_space = ActionText(world.viewport)
        self._host = EpisodeHost(
            world,
            tasks=tasks,
            browsers=browsers,
            api_key=api_key,
            config=config,
            check=check,
            reuse=reuse,
            store=store,
            name="gym",
        )
        self._running: _Running | None = None
        self._episode: HostedEpisode | None = None
        self._picture = b""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begins an episode of the task in `options={"task": id}`, or of one drawn by the seed.

        Raises `EpisodeFailure` when no browser or start page is available, ValueError for an unknown task or option.
        """
        super().reset(seed=seed)
        began = time.monotonic()
        task = self._chosen(options or {})
        running = self._started()
        self._break_off()
        self._episode = running.portal.call(self._host.begin_task, task)
        now = self._episode.now
        return self._seen(now), self._info(now) | {"seconds": {"reset": time.monotonic() - began}}

    def step(self, action: str | AgentAction | Turn) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Acts, waits until the page has settled, and observes.

        Raises `EpisodeFailure` when the browser, the site or the judge broke, `ResetNeeded` without an episode.
        """
        if self._episode is None or self._running is None:
            raise ResetNeeded("there is no episode; call reset() first")
        try:
            now = self._running.portal.call(self._episode.step, turn_of(action))
        except EpisodeFailure:
            self._episode = None
            raise
        info = self._info(now)
        if now.trajectory is not None:
            self._episode = None
            info |= {"stop": now.trajectory.stop.value, "verdict": now.verdict, "trajectory": now.trajectory}
        is_terminated = now.is_over and not now.is_truncated
        return self._seen(now), now.reward, is_terminated, now.is_truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """The last seen page, with render mode `rgb_array`."""
        if self.render_mode is None:
            return None
        if not self._picture:
            raise ResetNeeded("there is nothing to show yet; call reset() first")
        return pixels(self._picture)

    def close(self) -> None:
        """Returns the browser and stops the world."""
        self._break_off()
        if self._running is not None:
            running, self._running = self._running, None
            running.stack.close()

    def _chosen(self, options: dict[str, Any]) -> Task:
        if unknown := options.keys() - {"task"}:
            raise ValueError(f"expected no option but task, found {', '.join(sorted(unknown))}")
        name = options.get("task")
        return self._host.tasks.draw(self.np_random) if name is None else self._host.tasks.find(name)

    def _started(self) -> _Running:
        if self._running is None:
            with ExitStack() as stack:
                portal = stack.enter_context(start_blocking_portal(name="web environment"))
                stack.enter_context(portal.wrap_async_context_manager(self._host))
                self._running = _Running(portal, stack.pop_all())
        return self._running

    def _break_off(self) -> None:
        if self._episode is not None and self._running is not None:
            episode, self._episode = self._episode, None
            self._running.portal.call(episode.close)

    def _seen(self, now: Moment) -> dict[str, Any]:
        self._picture = now.picture
        return seen(now.goal, now.observation, now.picture)

    def _info(self, now: Moment) -> dict[str, Any]:
        return {
            "task": now.task.id,
            "observation": now.observation,
            "feedback": now.last.feedback if now.last else "",
            "effect": now.last.effect if now.last else "",
            "seconds": dict(now.last.seconds) if now.last else {},
        }
