"""Serves a static application from the caller's event loop; an episode costs a token and a state in memory."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self
from urllib.parse import urlsplit

from browser_service.models import Cookie, LoginState
from environments.base import Place
from environments.providers.static.application import StaticApplication
from environments.providers.static.episode import StaticEpisode
from environments.providers.static.server import SESSION, Pages, build_app
from environments.web import serving


class StaticProvider:
    """Places of a static application. Implements `environments.base.Provider`."""

    def __init__(self, application: StaticApplication, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._application, self._host, self._port = application, host, port
        self._running = AsyncExitStack()
        self._pages: Pages | None = None
        self._url = ""

    async def __aenter__(self) -> Self:
        """Starts the server. Raises OSError if its port is taken."""
        pages = Pages(self._application)
        app = build_app(pages, host=self._host)
        self._url = await self._running.enter_async_context(serving(app, host=self._host, port=self._port))
        self._pages = pages
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._pages = None
        await self._running.aclose()

    @asynccontextmanager
    async def fresh(self, trajectory_id: str) -> AsyncGenerator[Place[StaticEpisode]]:
        """An episode without state at an address of its own; the application's `set_up` gives it the state."""
        if self._pages is None:
            raise RuntimeError(f"{self._application.name} is not running; enter it with `async with` before serving.")
        pages, episode = self._pages, StaticEpisode()
        pages.episodes[episode.token] = episode
        path = f"/e/{episode.token}/"
        address = urlsplit(self._url)
        try:
            yield Place(
                url=f"{self._url}{path}{self._application.first_page}",
                sites=(address.netloc,),
                handle=episode,
                login=self._login(episode, path) if self._application.sign_in_page else None,
            )
        finally:
            del pages.episodes[episode.token]

    def _login(self, episode: StaticEpisode, path: str) -> LoginState:
        (session,) = episode.sessions
        cookie = Cookie(name=SESSION, value=session, domain=self._host, path=path, httpOnly=True, sameSite="Strict")
        return LoginState(cookies=[cookie])
