"""The board of several masters, in their common Redis."""

import json
import math
from collections.abc import Sequence
from typing import Any

from browser_service.leasing.board import Notice, Posted
from browser_service.leasing.redis_scripts import RedisScripts


class RedisBoard:
    """The board of several masters, on the clock of their Redis."""

    def __init__(self, scripts: RedisScripts, times: tuple[int, int]) -> None:
        """`times`: the first arguments of every script of the store."""
        self._scripts = scripts
        self._times = times

    async def exchange(self, notices: Sequence[Notice]) -> list[Posted]:
        written = [
            {
                "kind": notice.kind,
                "name": notice.name,
                "ttl_ms": math.ceil(notice.ttl_s * 1_000),
                "data": json.dumps(notice.data),
                "version": notice.version,
            }
            for notice in notices
        ]
        rows = await self._scripts.run("board", *self._times, json.dumps(written))
        return [_as_posted(json.loads(row)) for row in rows]


def _as_posted(row: dict[str, Any]) -> Posted:
    return Posted(
        kind=row["kind"],
        name=row["name"],
        ttl_s=row["ttl_ms"] / 1_000,
        data=json.loads(row["data"]),
        version=row["version"],
        age_s=max(0, row["age_ms"]) / 1_000,
    )
