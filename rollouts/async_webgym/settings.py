"""WebGym's settings -> this project's: retries and pools, step budgets by difficulty."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from agent.limits import CallLimits

BANDS = {"easy": "1-3", "medium": "4-6", "hard": "7-"}
"""WebGym's names for difficulties, by the number of facts."""
POOLS = {
    "allocate": "allocate",
    "release": "release",
    "navigate": "navigate",
    "screenshot": "screenshot",
    "ac_tree": "metadata",
    "execute": "execute",
}
"""WebGym's `http_pools` with an equal in `CallLimits`. `metadata` and `page_metadata` come with other calls here."""
LONGEST_WAIT_S, LONGEST_STEP_S, MOST_ATTEMPTS = 600.0, 120.0, 20
"""Largest values of `agent.lease_wait_s`, `agent.step_deadline_s` and `rollout.max_attempts`."""
Seconds = Annotated[float, Field(gt=0)]


class RetryPolicy(BaseModel):
    """The original's `retry_policy`, with its defaults. Example: `{"operation_timeout": 120, "max_retries": 2}`."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    wait_timeout: Seconds = 3_600.0
    """Seconds to wait for a browser; at most `LONGEST_WAIT_S` are waited in one request."""
    operation_timeout: Seconds = 240.0
    """Seconds of one step of the browser; at most `LONGEST_STEP_S` are used."""
    max_retries: Annotated[int, Field(ge=0)] = 2
    """Attempts at an episode that the infrastructure broke, after the first. A call that acts is never repeated."""
    http_pools: dict[str, int] = {}
    max_vllm_sessions: Annotated[int, Field(ge=1)] = 32

    @property
    def limits(self) -> CallLimits:
        """Calls at the same time, by kind."""
        return limits_of(self.http_pools, self.max_vllm_sessions)


def limits_of(pools: Mapping[str, Any], sessions: int | None) -> CallLimits:
    """The limits of `http_pools` and `max_vllm_sessions`. A pool without an equal, or of no process, sets none."""
    given = {POOLS[name]: size for name, size in pools.items() if name in POOLS and isinstance(size, int) and size > 0}
    return CallLimits(**given | ({"model": sessions} if sessions else {}))


def horizon_of(steps: object, name: str) -> dict[str, int]:
    """Step budgets by band, from `{easy: 10, medium: 20, hard: 30}`; an empty list or mapping sets none.

    Raises ValueError for anything else.
    """
    if isinstance(steps, list | tuple) and not steps:
        return {}
    if not isinstance(steps, Mapping):
        raise ValueError(f"{name}: expected steps for easy, medium and hard, found {str(steps)[:60]}")
    if unknown := sorted(str(key) for key in steps if key not in BANDS):
        raise ValueError(f"{name}: expected easy, medium and hard, found {', '.join(unknown)[:60]}")
    found = {BANDS[key]: steps[key] for key in BANDS if key in steps}
    if wrong := [value for value in found.values() if not isinstance(value, int) or not 1 <= value <= 1_000]:
        raise ValueError(f"{name}: expected 1 to 1,000 steps, found {wrong[0]!r:.60}")
    return found


def field_of(config: object, name: str) -> Any:
    """A field of a mapping or of an object with attributes, as OmegaConf makes; None if it has none."""
    if isinstance(config, Mapping):
        return config.get(name)
    return getattr(config, name, None)
