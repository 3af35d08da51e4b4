"""Our environments as an OpenEnv server, with the fields of OpenEnv's `browsergym_env`, so that its client fits.

    rl-loop openenv configs/demo.yaml --port 8900

    reset  {"task": "click-button.7"} or {"seed": 3}; without both, any task
    step   {"action_str": "click('3')"}; the reward comes with `done`

Each session has a browser of its own. Failures that are not the agent's are errors of the call, never a reward. There is
no log-in: the server listens on loopback, and refuses every request of a web page.
"""

import base64
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from openenv.core.env_server.http_server import create_fastapi_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State

from agent.gym.browsergym_actions import browsergym_turn
from agent.gym.hosted import EpisodeHost, HostedEpisode
from agent.gym.moments import Moment, elements_of

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class WebAction(Action):
    """An action in BrowserGym's notation."""

    action_str: str
    """Example: `click('3')`, `fill('5', 'text')`, `send_msg_to_user('42')`."""


class WebObservation(Observation):
    """The page after an action, in the fields of OpenEnv's `browsergym_env`."""

    text: str = ""
    """The page's elements, a line for each with its id."""
    url: str = ""
    screenshot: list[list[list[int]]] | None = None
    """Always null: `picture` has the same in a hundredth of the bytes."""
    picture: str = ""
    """The screenshot, base64; its format is the configuration's `agent.image_format`."""
    goal: str = ""
    axtree_txt: str = ""
    pruned_html: str = ""
    error: str = ""
    """Why the last action failed, or what it changed."""
    last_action_error: bool = False


class WebState(State):
    """The task of a session, and its progress."""

    benchmark: str = ""
    task_name: str = ""
    task_id: str | None = None
    goal: str = ""
    current_url: str = ""
    max_steps: int | None = None
    cum_reward: float = 0.0


class WebEnvironment(Environment[WebAction, WebObservation, WebState]):
    """One session. Its calls come from the server's threads, and are carried out in the host's event loop."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, host: EpisodeHost, portal: BlockingPortal) -> None:
        super().__init__()
        self._host, self._portal = host, portal
        self._episode: HostedEpisode | None = None
        self._state = WebState()

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, *, task: str | None = None, **kwargs: Any
    ) -> WebObservation:
        """Begins an episode of `task`, or of one drawn by the seed. Raises `EpisodeFailure`, ValueError."""
        self.close()
        begin = self._host.begin
        self._episode = episode = self._portal.call(lambda: begin(task=task, seed=seed))
        now = episode.now
        self._state = WebState(
            episode_id=episode_id,
            benchmark=now.task.environment,
            task_name=now.task.domain,
            task_id=now.task.id,
            goal=now.goal,
            current_url=now.observation.url,
            max_steps=now.task.max_steps,
        )
        return _observation(now)

    def step(self, action: WebAction, timeout_s: float | None = None, **kwargs: Any) -> WebObservation:
        """Acts. The deadlines are the configuration's. Raises `EpisodeFailure`, ValueError without an episode."""
        if self._episode is None:
            raise ValueError("there is no episode; call reset first")
        episode, turn = self._episode, browsergym_turn(action.action_str, self._episode.now.observation)
        now = self._portal.call(episode.step, turn)
        self._state = self._state.model_copy(
            update={
                "step_count": self._state.step_count + 1,
                "current_url": now.observation.url,
                "cum_reward": now.reward,
            }
        )
        return _observation(now)

    @property
    def state(self) -> WebState:
        """The session's task, and its progress."""
        return self._state

    def close(self) -> None:
        """Gives the browser back."""
        if self._episode is not None:
            episode, self._episode = self._episode, None
            self._portal.call(episode.close)


@contextmanager
def openenv_app(host: EpisodeHost, *, sessions: int) -> Generator[FastAPI]:
    """The server's application while its host is open in a thread of its own; at most `sessions` at the same time."""
    with start_blocking_portal(name="openenv host") as portal, portal.wrap_async_context_manager(host):
        # The class is named, because the server looks there for SUPPORTS_CONCURRENT_SESSIONS.
        class Session(WebEnvironment):
            def __init__(self) -> None:
                super().__init__(host, portal)

        app = create_fastapi_app(Session, WebAction, WebObservation, max_concurrent_envs=sessions)
        app.add_middleware(OnlyPrograms)
        yield app


class OnlyPrograms:
    """Refuses requests that a web page makes: they have an origin, or name this machine by a name of their own."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or answers 403."""
        headers = {name.lower(): value for name, value in scope.get("headers", [])}
        host = headers.get(b"host", b"").decode("latin-1").rpartition(":")[0] or headers.get(b"host", b"").decode(
            "latin-1"
        )
        if scope["type"] == "lifespan" or (b"origin" not in headers and host in LOOPBACK):
            return await self._app(scope, receive, send)
        if scope["type"] == "websocket":
            await receive()
            return await send({"type": "websocket.close", "code": 1008})
        await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
        await send(
            {"type": "http.response.body", "body": b"this server is for programs on this machine, not for pages"}
        )


def _observation(now: Moment) -> WebObservation:
    elements = elements_of(now.observation)
    return WebObservation(
        done=now.is_over,
        reward=now.reward,
        text=elements,
        axtree_txt=elements,
        url=now.observation.url,
        picture=base64.b64encode(now.picture).decode(),
        goal=now.goal,
        error=now.feedback,
        last_action_error=now.last is not None and bool(now.last.feedback),
    )
