"""Names of containers: `rollout-<role>-<episode>`, such as `rollout-pg-17f2a91c`, so that a person sees what is whose."""

import secrets
from collections.abc import Mapping

ROLE = "rl-loop.environment.role"
"""Label with the container's name in its specification, such as `pg`."""
WAITING = "spare-"
"""Beginning of the episode's part in the name of a container that waits for one."""


def name_of(role: str, episode: str) -> str:
    """The name of an episode's container. Example: `name_of("pg", "17f2a91c") == "rollout-pg-17f2a91c"`."""
    return f"rollout-{role}-{episode}"


def waiting() -> str:
    """A new name for an episode that is not known yet."""
    return f"{WAITING}{secrets.token_hex(4)}"


def another(name: str) -> str:
    """A name in place of one that is taken: two runs on a machine may have equal episodes."""
    return f"{name}-{secrets.token_hex(2)}"


def episode_in(name: str, labels: Mapping[str, str]) -> str:
    """The episode that a container serves, by its name; empty for one that waits, or has no such name."""
    prefix = name_of(labels.get(ROLE, ""), "")
    episode = name.removeprefix(prefix) if name.startswith(prefix) else ""
    return "" if episode.startswith(WAITING) else episode
