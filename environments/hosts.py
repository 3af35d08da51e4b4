"""Hosts that training does not visit: listed ones, and hosts with an open circuit breaker. Evaluation plays all."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from environments.bounds import Hosts, is_listed
from environments.history import Outcome


class BlockingConfig(BaseModel):
    """Section `environment.blocking`. Example: `BlockingConfig(hosts=("example.com",), open_after=3)`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    hosts: Hosts = ()
    """Hosts that training never visits, their subdomains included: no task that begins there is drawn, and no browser of a
    training episode reaches them. Evaluation does; see `environment.blocked_hosts`."""
    open_after: Annotated[int, Field(ge=0)] = 3
    """Consecutive episodes that a host blocked or broke before training skips it; 0: never."""
    expires_h: Annotated[float, Field(gt=0)] = 12.0
    """Hours after which a host is tried again. One more bad episode then opens its breaker for as long again."""
    end_episodes: bool | None = None
    """End an episode at a page that refuses the visit, by rules that need no model; it is blocked, and not failed. None:
    on the live web only. Evaluation does so, too."""
    pages: Annotated[int, Field(ge=1, le=100)] = 2
    """Consecutive blocked pages that end an episode; before the last one the agent may wait, or turn back."""
    pause_after: Annotated[int, Field(ge=0)] = 3
    """Episodes of a host that were blocked or could not reach it within `pause_window_s`, without a good one between
    them, after which no further episode begins there for `pause_s`; 0: never."""
    pause_window_s: Annotated[float, Field(gt=0)] = 600.0
    pause_s: Annotated[float, Field(gt=0)] = 120.0
    """Seconds without a new episode on the host. A single one tries it again after that."""
    most_pauses: Annotated[int, Field(ge=1)] = 3
    """Pauses in a row after which the stage gives up the host's remaining episodes: they are stored as broken by the
    site, with no reward."""


class HostBreaker:
    """A circuit breaker per host.

    closed ── `open_after` bad episodes in a row ──► open ── `expires_h` ──► half open ── a bad episode ──► open
                                                                                       └─ a good one ──► closed
    """

    def __init__(self, config: BlockingConfig) -> None:
        self._config = config
        self._bad: dict[str, int] = {}
        self._last: dict[str, datetime] = {}

    def record(self, host: str, *, good: int, bad: int, at: datetime) -> None:
        """Records episodes on a host. One good episode among those that ended together shows that the site works."""
        if good:
            self._bad.pop(host, None)
        elif bad:
            self._bad[host] = self._bad.get(host, 0) + bad
            self._last[host] = at

    def is_open(self, host: str, *, now: datetime) -> bool:
        """True if training should not visit the host now."""
        if is_listed(host, self._config.hosts):
            return True
        if not self._config.open_after or self._bad.get(host, 0) < self._config.open_after:
            return False
        return now - self._last[host] < timedelta(hours=self._config.expires_h)


def breaker_from(outcomes: Iterable[Outcome], config: BlockingConfig) -> HostBreaker:
    """Replays the outcomes of earlier iterations, in order, and returns the resulting breaker."""
    breaker = HostBreaker(config)
    for outcome in outcomes:
        if outcome.host and outcome.at:
            bad = outcome.blocked + outcome.site_failures
            breaker.record(outcome.host, good=outcome.well, bad=bad, at=datetime.fromisoformat(outcome.at))
    return breaker
