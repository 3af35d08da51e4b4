"""A judge model with its limits: calls at once, and the budget."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from judging.endpoints.budget import Budget
from judging.endpoints.estimates import tokens_of
from judging.endpoints.protocol import Endpoint, EndpointError, Json, Part, Reply, Usage


class Asked(NamedTuple):
    """A reply, and the consumption of the call."""

    reply: Reply
    usage: Usage


class Metered:
    """An endpoint whose calls are limited and counted. Use it on one event loop. The budget may be shared."""

    def __init__(self, endpoint: Endpoint, budget: Budget, *, concurrency: int) -> None:
        """The time of a call is the endpoint's; waiting for a free place does not count."""
        self.model = endpoint.model
        self.budget = budget
        self._endpoint = endpoint
        self._places = asyncio.Semaphore(concurrency)

    async def ask(self, system: str, parts: Sequence[Part], schema: Json) -> Asked:
        """Returns the reply with its usage. Raises `EndpointError`, `BudgetSpent` without any call."""
        async with self._places:
            self.budget.check()
            try:
                reply = await self._endpoint.ask(system, parts, schema)
            except EndpointError as error:
                if error.trouble == "timeout":  # the server may still have read, and charged, the prompt
                    error.usage = self.budget.add(tokens_of(system, *parts), 0)
                raise
            return Asked(reply, self.budget.add_reply(reply))

    async def close(self) -> None:
        """Closes the endpoint."""
        await self._endpoint.close()
