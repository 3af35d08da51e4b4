"""Bounds that a configuration sets on episodes of every environment: blocked hosts, and isolation.

An environment adds the addresses that it serves from. The only field of a task that is used is its split.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from agent.types import Reach, Task
from browser_service.models import Isolation

MOST_HOSTS = 1_000
"""Largest number of blocked hosts of a lease; put a longer list into the browser service's file
(BROWSER_SERVICE_BLOCKLIST)."""


def check_host(text: str) -> str:
    """Returns a host that the browser service accepts. Raises ValueError."""
    labels = text.split(".")
    if any(not 0 < len(label) <= 63 for label in labels):
        raise ValueError("expected a host such as shop.example.com, with one to 63 characters between its dots")
    if labels[-1].isdigit():
        ipaddress.IPv4Address(text)
    return text


Host = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"), AfterValidator(check_host)]
Hosts = Annotated[tuple[Host, ...], Field(max_length=MOST_HOSTS)]


def is_listed(host: str, listed: Sequence[str]) -> bool:
    """True if a host, or one of the domains above it, is in the list."""
    return any(host == one or host.endswith(f".{one}") for one in listed)


@dataclass(frozen=True)
class Bounds:
    """Upper bound of the reach of episodes. Example: `Bounds(blocked_hosts=("ads.example.com",))`."""

    blocked_hosts: tuple[str, ...] = ()
    """Blocked in all episodes."""
    left_alone: tuple[str, ...] = ()
    """Also blocked in training episodes."""
    isolation: Isolation | None = None

    def reach(self, task: Task, *, sites: Sequence[str] = (), only_sites: bool = False) -> Reach:
        """Returns the reach of an episode of the task, whose environment serves from `sites`."""
        left_alone = self.left_alone if task.split == "train" else ()
        return Reach(
            sites=tuple(sites),
            only_sites=only_sites,
            blocked_hosts=tuple(dict.fromkeys((*self.blocked_hosts, *left_alone))),
            isolation=self.isolation,
        )


UNBOUNDED = Bounds()
"""No bounds: the open web."""
