"""What a configuration lets episodes reach, whatever environment they are played in: hosts that are shut, and isolation.

An environment adds the addresses that it serves from. Nothing here comes from a task but its split.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from agent.types import Reach, Task
from browser_service.models import Isolation

MOST_HOSTS = 1_000
"""Blocked hosts of one lease; a longer list is for the browser service's own file (BROWSER_SERVICE_BLOCKLIST)."""


def check_host(text: str) -> str:
    """A host that the browser service takes as one. Raises ValueError."""
    labels = text.split(".")
    if any(not 0 < len(label) <= 63 for label in labels):
        raise ValueError("expected a host such as shop.example.com, with one to 63 characters between its dots")
    if labels[-1].isdigit():
        ipaddress.IPv4Address(text)
    return text


Host = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"), AfterValidator(check_host)]
Hosts = Annotated[tuple[Host, ...], Field(max_length=MOST_HOSTS)]


def is_listed(host: str, listed: Sequence[str]) -> bool:
    """Whether a host, or one of the domains above it, is on a list."""
    return any(host == one or host.endswith(f".{one}") for one in listed)


@dataclass(frozen=True)
class Bounds:
    """What episodes may reach at most. Example: `Bounds(blocked_hosts=("ads.example.com",))`."""

    blocked_hosts: tuple[str, ...] = ()
    """For all of them."""
    left_alone: tuple[str, ...] = ()
    """Blocked too where training plays."""
    isolation: Isolation | None = None

    def reach(self, task: Task, *, sites: Sequence[str] = (), only_sites: bool = False) -> Reach:
        """What an episode of the task may reach whose environment serves from `sites`."""
        left_alone = self.left_alone if task.split == "train" else ()
        return Reach(
            sites=tuple(sites),
            only_sites=only_sites,
            blocked_hosts=tuple(dict.fromkeys((*self.blocked_hosts, *left_alone))),
            isolation=self.isolation,
        )


UNBOUNDED = Bounds()
"""The open web."""
