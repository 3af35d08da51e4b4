"""An installed application as the environments see it: its templates, and its database as the state."""

from collections.abc import Callable, Sequence
from typing import Any

from browser_service.models import Viewport
from environments.applications.hosted.provider import HostedEpisode, read_rows
from environments.tasks.templates import Template, Templates

VIEWPORT = Viewport(width=1280, height=720)


class HostedApplication:
    """Implements `environments.tasks.application.Application`; every episode begins in the same state."""

    viewport = VIEWPORT

    def __init__(self, name: str, templates: Sequence[Template], start: Callable[[], Any]) -> None:
        """`start`: the start state as the templates see it."""
        self.name, self.templates, self._start = name, Templates(name, templates), start

    def start(self, seed: int) -> Any:
        """The start state: the same for every seed; only the task's parameters differ."""
        return self._start()

    async def set_up(self, handle: HostedEpisode, seed: int) -> None:
        """Nothing: a clone of the template is in its start state."""

    async def read(self, handle: HostedEpisode) -> dict[str, Any]:
        """Rows by table and key. Raises `EnvironmentBroken`."""
        return await read_rows(handle)
