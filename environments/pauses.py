"""Pauses of hosts while a stage is played: a site that refuses visits, or is down, is left alone for a while.

open ── `pause_after` bad episodes ──► paused ── `pause_s` ──► one episode tries ── good ──► open
                                         ▲                       └─ bad ─┐
                                         └───────────────────────────────┘  `most_pauses` in a row: given up
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from environments.hosts import BlockingConfig


@dataclass
class _Host:
    bad: list[float] = field(default_factory=list)
    """Times of the bad episodes since the last good one or the last pause."""
    pauses: int = 0
    """Pauses in a row."""
    until: float = 0.0
    trying: str | None = None
    """The episode that tries the host after a pause."""


class HostPauses:
    """The hosts of one process, whatever the shard of an episode. Belongs to an event loop."""

    def __init__(self, config: BlockingConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config, self._clock = config, clock
        self._hosts: dict[str, _Host] = {}

    def may_begin(self, host: str) -> bool:
        """True if an episode may begin on the host now."""
        state = self._hosts.get(host)
        if state is None or not state.pauses:
            return True
        return self._clock() >= state.until and state.trying is None

    def begin(self, host: str, episode: str) -> None:
        """Records that an episode begins."""
        if (state := self._hosts.get(host)) and state.pauses:
            state.trying = state.trying or episode

    def end(self, host: str, episode: str, *, good: bool = False, bad: bool = False) -> bool:
        """Records the end of an episode, or of one attempt at it; neither good nor bad: it tells nothing of the host.

        True if a pause begins.
        """
        if not host or not self._config.pause_after:
            return False
        state = self._hosts.setdefault(host, _Host())
        was_trying = state.trying == episode
        if was_trying:
            state.trying = None
        now = self._clock()
        if good:
            del self._hosts[host]
            return False
        if not bad or now < state.until:  # episodes that had begun before the pause
            return False
        state.bad = [at for at in state.bad if now - at < self._config.pause_window_s] + [now]
        if len(state.bad) < self._config.pause_after and not was_trying:
            return False
        state.bad.clear()
        state.pauses += 1
        state.until = now + self._config.pause_s
        return True

    def is_given_up(self, host: str) -> bool:
        """True if the host's waiting episodes should not be played: it was paused too often in a row."""
        state = self._hosts.get(host)
        return state is not None and state.pauses >= self._config.most_pauses and self._clock() < state.until
