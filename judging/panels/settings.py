"""Settings of a panel of judge models."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent.verdict import Confidence

Rule = Literal["agree", "best_of_three", "escalate"]
SIZES: dict[Rule, range] = {"agree": range(2, 6), "best_of_three": range(3, 4), "escalate": range(2, 3)}
"""Possible numbers of members."""


class PanelSettings(BaseModel):
    """Section `judge.panel`. Example: `{rule: escalate, members: [cheap, strong]}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rule: Rule = "agree"
    """`agree`: all members must decide the same, otherwise the episode stays unjudged. `best_of_three`: a success of the
    first member needs a second one, its "no success" stands. `escalate`: the second member decides where the first is
    unsure."""
    members: Annotated[list[str], Field(min_length=2)]
    """Names of `judge.models`, in the order in which they are asked."""
    sure: Confidence = "high"
    """`escalate`: least confidence, declared by the first member, with which its verdict stands. `low`: it is not asked
    for one, and only replies that cannot be used are escalated."""

    @model_validator(mode="after")
    def _has_members(self) -> "PanelSettings":
        allowed = SIZES[self.rule]
        if len(self.members) not in allowed:
            expected = f"{allowed[0]}" if len(allowed) == 1 else f"{allowed[0]} to {allowed[-1]}"
            raise ValueError(f"rule {self.rule} needs {expected} members, found {len(self.members)}")
        if len(set(self.members)) < len(self.members):
            raise ValueError(f"members names a judge model twice: {', '.join(self.members)}")
        return self

    def asks_confidence(self, member: str) -> bool:
        """True if this member is asked how sure it is."""
        return self.rule == "escalate" and self.sure != "low" and member == self.members[0]
