"""A static application: pages in a folder, a start state, actions, task templates."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from browser_service.models import Viewport
from environments.base import EnvironmentBroken
from environments.providers.static.episode import StaticEpisode
from environments.providers.static.visits import Action, State, View
from environments.tasks.templates import Template, Templates

VIEWPORT = Viewport(width=1024, height=768)


class StaticApplication:
    """Pages with state. Implements `environments.tasks.application.Application`.

    A page `pages/cart.html` is a Jinja template with the variables `state`, `query`, `signed_in`, `notice` and those of
    its view. A form that posts to `add_to_cart` runs the action of this name. Every other file is sent as it is.
    """

    def __init__(
        self,
        name: str,
        *,
        pages: Path,
        start: Callable[[int], State],
        actions: Mapping[str, Action],
        templates: Sequence[Template],
        views: Mapping[str, View] | None = None,
        sign_in_page: str = "",
        first_page: str = "index.html",
        viewport: Viewport = VIEWPORT,
    ) -> None:
        """`start`: the start state of a seed, always the same. `views`: further variables by page. `sign_in_page`: page
        for visitors who are not signed in, who see no other page; empty: there are no accounts. An episode starts
        signed in. Raises ValueError for templates that don't fit together, OSError without the first page."""
        if not (pages / first_page).is_file():
            raise FileNotFoundError(f"{name}: expected the page {pages / first_page}, found none; write it")
        self.name, self.viewport = name, viewport
        self.templates = Templates(name, templates)
        self.pages, self.first_page, self.sign_in_page = pages, first_page, sign_in_page
        self.actions, self.views = dict(actions), dict(views or {})
        self._start = start

    def start(self, seed: int) -> State:
        """The start state of a seed."""
        return self._start(seed)

    async def set_up(self, handle: StaticEpisode, seed: int) -> None:
        """Gives an episode its start state."""
        handle.state = self._start(seed)

    async def read(self, handle: StaticEpisode) -> dict[str, Any]:
        """The episode's state. Raises `EnvironmentBroken` if a page or an action had an error."""
        assert handle.state is not None, "read before set_up"
        if handle.problem:
            raise EnvironmentBroken(f"an error of the application itself: {handle.problem}")
        return handle.state.model_dump(mode="json")
