"""Tasks of BrowserGym as foreign tasks: those whose `setup` opens one address, and whose `validate` reads page and chat.

    ForeignEnvironment("assistantbench", {"qa": browsergym_task(AssistantBenchTask, task_id="..")})

Here the browser belongs to the browser service, so the task gets a page that only tells the end. A task that does more
with it (signs in, runs scripts) raises `NeedsPage`: at `setup` it can't be made, at `validate` it stays without a reward.
"""

from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from environments.foreign.environment import End, ForeignTask


class NeedsPage(RuntimeError):
    """The task does more with the page than there is here. One sentence."""


class BrowserGymTask(Protocol):
    """The part of `browsergym.core.task.AbstractBrowserTask` that is used."""

    def setup(self, page: Any) -> tuple[Any, dict[str, Any]]:
        """Opens the start page; returns the goal, and anything else."""
        ...

    def validate(self, page: Any, chat_messages: list[dict[str, Any]]) -> tuple[float, bool, str, dict[str, Any]]:
        """Reward, end, message, anything else."""
        ...


class EndPage:
    """A page of Playwright, as far as it is known here: it opens one address, and tells address and title of the end."""

    def __init__(self, url: str = "", title: str = "") -> None:
        self.url, self._title = url, title

    def goto(self, url: str, **options: Any) -> None:
        """Notes the address."""
        self.url = url

    def title(self) -> str:
        """The title of the last page."""
        return self._title

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NeedsPage(f"expected a task that needs url, title() and goto() of a page, found one that needs {name}")


class Adapted:
    """One task of BrowserGym. Implements `ForeignTask`."""

    def __init__(self, task: BrowserGymTask) -> None:
        """Raises `NeedsPage` if its `setup` does more than open an address, ValueError if it opens none or has no goal."""
        self._task, page = task, EndPage()
        goal, _ = task.setup(page)
        self.start_url, self.goal = page.url, _text(goal)
        if not self.start_url or not self.goal:
            raise ValueError(f"{type(task).__name__}: expected a start address and a goal, found none")

    def check(self, end: End) -> float:
        """The reward of `validate`, with the answer as the assistant's last message."""
        messages: list[dict[str, Any]] = [{"role": "user", "message": end.goal}]
        if end.answer is not None:
            messages.append({"role": "assistant", "message": end.answer})
        reward, *_ = self._task.validate(EndPage(end.url, end.title), messages)
        return float(reward)


def browsergym_task(task: Callable[..., BrowserGymTask], **options: Any) -> Callable[[int], ForeignTask]:
    """A family of tasks, made as BrowserGym makes them: `task(seed, **options)`."""
    return lambda seed: Adapted(task(seed, **options))


def _text(goal: Any) -> str:
    """A goal as text: BrowserGym has a text, or the parts of a message."""
    if isinstance(goal, str):
        return goal
    parts = goal if isinstance(goal, list | tuple) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))
