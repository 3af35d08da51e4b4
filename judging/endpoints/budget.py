"""The budget of a judge, in tokens and in money, and the price list of its model."""

from pydantic import BaseModel, ConfigDict, Field

from judging.endpoints.protocol import BudgetSpent, Reply, Usage


class Price(BaseModel):
    """Price of a million tokens. Example: `Price(tokens_in=2.5, tokens_out=10)`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tokens_in: float = Field(default=0.0, ge=0)
    tokens_out: float = Field(default=0.0, ge=0)

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """Price of one call."""
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / 1_000_000


class Budget:
    """Counts the consumption of a judge and ends it. The only mutable state of the endpoints.

    A call is allowed until the limit is reached, so calls in flight at that moment may exceed it by their own cost.
    """

    def __init__(
        self, *, price: Price, most_tokens: int | None = None, most_cost: float | None = None, used: Usage | None = None
    ) -> None:
        """`used` is the consumption of earlier runs, which counts too. None: no limit."""
        self.used = used or Usage()
        self._price, self._most_tokens, self._most_cost = price, most_tokens, most_cost

    def check(self) -> None:
        """Raises `BudgetSpent` when no further call is allowed."""
        tokens = self.used.tokens_in + self.used.tokens_out
        if self._most_tokens is not None and tokens >= self._most_tokens:
            raise BudgetSpent(
                f"the judge's budget of {self._most_tokens} tokens is spent ({tokens} used); raise it and resume"
            )
        if self._most_cost is not None and self.used.cost >= self._most_cost:
            raise BudgetSpent(
                f"the judge's budget of {self._most_cost:g} is spent ({self.used.cost:.4f} used); raise it and resume"
            )

    def add(self, tokens_in: int, tokens_out: int) -> Usage:
        """Counts a call and returns its usage."""
        usage = Usage(1, tokens_in, tokens_out, self._price.of(tokens_in, tokens_out))
        self.used = self.used.plus(usage)
        return usage

    def add_reply(self, reply: Reply) -> Usage:
        """Counts a reply and returns its usage."""
        return self.add(reply.tokens_in, reply.tokens_out)
