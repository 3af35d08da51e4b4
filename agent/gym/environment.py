"""Real browsers and real tasks as a Gymnasium environment: `reset` and `step` for agents from outside this project.

One episode is one call of `agent.episodes.episode.play` with one leased browser, in an event loop in this environment's own
thread, so the lease is renewed while the agent thinks. `flows.gym_env` makes it from a configuration.
"""

import base64
import time
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from anyio.from_thread import BlockingPortal, start_blocking_portal
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played, play
from agent.episodes.episode_record import by_reference
from agent.failures import EpisodeFailure, failed
from agent.gym.hosted import Tasks, World, with_marks
from agent.gym.spaces import ActionText, observation_space, pixels, seen, turn_of
from agent.gym.stepped import Pause, SteppedEpisode
from agent.judging.verifier import Check, verdict_of
from agent.recording import EpisodeStore
from agent.types import AgentAction, Policy, Step, StopReason, Task, Trajectory, Turn
from browser_service.client import BrowserPool
from browser_service.models import Observation


class _Running(NamedTuple):
    portal: BlockingPortal
    pool: BrowserPool
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
        self._config = with_marks(config or AgentConfig())
        if self._config.record.is_on and store is None:
            raise ValueError(
                "agent.record asks for films or traces, and there is no store for them; pass one, or set it to none"
            )
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"expected render_mode None or rgb_array, found {render_mode!r}")
        self.render_mode = render_mode
        self.viewport = world.viewport
        self.observation_space = observation_space(world.viewport)
        self.action_space = ActionText(world.viewport)
        self._world, self._tasks, self._check = world, tasks, check or world.check
        self._make_pool = partial(BrowserPool, browsers, api_key)
        self._reuse, self._store = reuse, store
        self._running: _Running | None = None
        self._episode: SteppedEpisode | None = None
        self._task_id = self._id = ""
        self._episodes = 0
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
        self._task_id = task.id
        self._episodes += 1
        self._id = f"gym-{task.id}-{self._episodes:06d}"
        slot = EpisodeKey(task, self._id, group=task.id, member=0, iteration=0)
        self._episode = SteppedEpisode(lambda policy: self._play(slot, policy, running.pool))
        found = running.portal.call(self._episode.begin)
        if isinstance(found, Played):
            self._keep(found)
            raise self._broken(found.trajectory)
        info = self._info(found.observation, None) | {"seconds": {"reset": time.monotonic() - began}}
        return self._seen(found), info

    def step(self, action: str | AgentAction | Turn) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Acts, waits until the page has settled, and observes.

        Raises `EpisodeFailure` when the browser, the site or the judge broke, `ResetNeeded` without an episode.
        """
        if self._episode is None or self._running is None:
            raise ResetNeeded("there is no episode; call reset() first")
        found = self._running.portal.call(self._episode.step, turn_of(action))
        if isinstance(found, Played):
            return self._ended(found, self._running.portal)
        return self._seen(found), 0.0, False, False, self._info(found.observation, found.last)

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
        return self._tasks.draw(self.np_random) if name is None else self._tasks.find(name)

    def _started(self) -> _Running:
        if self._running is None:
            with ExitStack() as stack:
                portal = stack.enter_context(start_blocking_portal(name="web environment"))
                pool = stack.enter_context(portal.wrap_async_context_manager(self._open()))
                self._running = _Running(portal, pool, stack.pop_all())
        return self._running

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[BrowserPool]:
        async with self._world, self._make_pool() as pool:
            yield pool

    async def _play(self, slot: EpisodeKey, policy: Policy, pool: BrowserPool) -> Played:
        return await play(
            slot,
            EpisodeSetup(
                policy=policy,
                pool=pool,
                serve=self._world.serve,
                viewport=self._world.viewport,
                config=self._config,
                reuse=self._reuse,
            ),
            recording=self._store.begin(slot.trajectory_id) if self._store else None,
        )

    def _break_off(self) -> None:
        if self._episode is not None and self._running is not None:
            episode, self._episode = self._episode, None
            self._running.portal.call(episode.stop)
            if self._store is not None:
                self._store.forget(self._id)

    def _ended(
        self, played: Played, portal: BlockingPortal
    ) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Ends the episode: the last observation and the reward."""
        self._episode = None
        self._keep(played)
        trajectory = played.trajectory
        last = trajectory.final_observation
        failure = trajectory.failure
        if last is None or last.screenshot is None or (failure is not None and failure.side != "policy"):
            raise self._broken(trajectory)
        verdict = portal.call(verdict_of, self._check, trajectory)
        if self._store is not None:
            self._store.keep_by_rule(self._config.record, trajectory, verdict)
        if verdict.reward is None:
            raise failed("judge", "UNJUDGED", f"{trajectory.id}: {verdict.evidence}", retryable=False)
        self._picture = played.images[last.screenshot.sha256]
        info = self._info(last, trajectory.steps[-1] if trajectory.steps else None)
        info |= {"stop": trajectory.stop.value, "verdict": verdict, "trajectory": trajectory}
        truncated = trajectory.stop is StopReason.MAX_STEPS
        return seen(trajectory.goal, last, self._picture), verdict.reward, not truncated, truncated, info

    def _keep(self, played: Played) -> None:
        if self._store is not None:
            self._store.write(played.trajectory, played.images)

    def _broken(self, trajectory: Trajectory) -> EpisodeFailure:
        self._episode = None
        if trajectory.failure is None:
            return failed("infra", "NO_PICTURE", f"{trajectory.id} ended without a picture of the page", retryable=True)
        return EpisodeFailure(trajectory.failure)

    def _seen(self, pause: Pause) -> dict[str, Any]:
        shot = pause.observation.screenshot
        if shot is None or shot.data is None:
            self._break_off()
            raise failed("infra", "NO_PICTURE", f"{self._task_id}: the page came without a picture", retryable=True)
        self._picture = base64.b64decode(shot.data)
        return seen(pause.goal, pause.observation, self._picture)

    def _info(self, observation: Observation, last: Step | None) -> dict[str, Any]:
        return {
            "task": self._task_id,
            "observation": by_reference(observation),  # a caller that keeps every info would keep each picture twice
            "feedback": last.feedback if last else "",
            "effect": last.effect if last else "",
            "seconds": dict(last.seconds) if last else {},
        }
