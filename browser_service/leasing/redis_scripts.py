"""Lua scripts in a shared Redis: one deadline for every answer, one error for every failure."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from typing import Any, NoReturn

import redis.exceptions as failures
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from browser_service.errors import RegistryDown
from browser_service.leasing.leases import RETRY_AFTER_S

CONNECTIONS = 8
"""Scripts that run at the same time; Redis takes a fraction of a millisecond for each."""
RESUBSCRIBE_S = 0.5
PING_S = 10
"""Seconds without a message after which a subscription pings Redis."""

Source = Callable[[str], str]
"""The text of a script by its name."""

_PRELUDE = ("common", "ledger", "queue", "match")
_AWAY = (
    failures.ConnectionError,  # also: wrong password, still loading
    failures.TimeoutError,
    failures.ReadOnlyError,
    failures.OutOfMemoryError,
    failures.ClusterDownError,
    failures.TryAgainError,
    TimeoutError,
    OSError,
)
_UNABLE = re.compile(r"(?:^|-)(MISCONF|NOREPLICAS|BUSY|LOADING|READONLY|OOM)\b")
"""Answers of a Redis that is up and can't work: its disk is full or its replicas are away. Redis 6 has them in the
middle of a sentence."""


def lua_source(name: str) -> str:
    """The text of a script of `lua/`, after the common prelude."""
    folder = files("browser_service.leasing") / "lua"
    return "\n".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in (*_PRELUDE, name))


class RedisScripts:
    """Runs scripts whose keys all begin with `prefix`, a hash tag."""

    def __init__(self, url: str, prefix: str, *, deadline_s: float, source: Source = lua_source) -> None:
        """`url`: `redis://:password@host:6379/0`, `rediss://...` or `unix:///path/socket`. Connects when first used.

        Raises ValueError for another kind of address.
        """
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=deadline_s,
            socket_timeout=deadline_s,
            socket_connect_timeout=deadline_s,
            health_check_interval=PING_S,
            decode_responses=True,
            # One immediate retry, for a connection that was idle while Redis restarted; all scripts may run twice.
            retry=Retry(ConstantBackoff(0.02), 1, supported_errors=(failures.ConnectionError,)),
        )
        self._redis = Redis.from_pool(pool)
        self._prefix = prefix
        self._deadline_s = deadline_s
        self._source = source
        self._scripts: dict[str, Any] = {}  # AsyncScript, which redis-py does not type

    async def run(self, name: str, *args: str | int | float) -> Any:
        """Returns the script's answer. Raises `RegistryDown`."""
        if name not in self._scripts:
            self._scripts[name] = self._redis.register_script(self._source(name))
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._scripts[name](keys=[self._prefix], args=args)
        except _AWAY as error:
            self._refuse(f"gave no answer within {self._deadline_s:g} s ({type(error).__name__})", error)
        except failures.ResponseError as error:
            if not (unable := _UNABLE.search(str(error))):
                raise
            self._refuse(f"can't take anything in ({unable[1]})", error)

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        """Passes on published messages, forever. Messages published while Redis is away are lost."""
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
                    await subscription.subscribe(f"{self._prefix}:{channel}")
                    while True:
                        if message := await subscription.get_message(timeout=PING_S):
                            heard(message["data"])
            except _AWAY:
                await asyncio.sleep(RESUBSCRIBE_S)

    async def close(self) -> None:
        """Closes the connections."""
        with suppress(*_AWAY):
            async with asyncio.timeout(self._deadline_s):
                await self._redis.aclose()

    def _refuse(self, why: str, error: Exception) -> NoReturn:
        raise RegistryDown(
            f"the registry of leases (Redis) {why}; no new leases until it is back, running sessions go on",
            retry_after_s=RETRY_AFTER_S,
        ) from error
