"""Confirmations: whatever the policy, none is given in silence, and every decision is written down."""

import asyncio
from typing import Any, Literal

import pytest

from agent.config import AgentConfig
from agent.episodes.safety import decide, refusal
from agent.types import AgentAction, Turn
from browser_service.models import ClickId

TURN = Turn(completion=None, action=ClickId(id=1), confirm="Accept the cookies?")


async def yes(asked: str, action: AgentAction) -> bool:
    assert (asked, action) == ("Accept the cookies?", ClickId(id=1))
    return True


async def no(asked: str, action: AgentAction) -> bool:
    return False


async def asleep(asked: str, action: AgentAction) -> bool:
    await asyncio.sleep(5)
    return True


@pytest.mark.parametrize(
    ("safety", "person", "decision", "by"),
    [
        ("ask", None, "unanswered", "configuration"),
        ("ask", yes, "allowed", "person"),
        ("ask", no, "denied", "person"),
        ("ask", asleep, "unanswered", "person"),
        ("deny", yes, "denied", "configuration"),
        ("allow", no, "allowed", "configuration"),
    ],
)
async def test_the_policy_decides(safety: Literal["ask", "deny", "allow"], person: Any, decision: str, by: str) -> None:
    decided = await decide(TURN, AgentConfig(safety=safety, confirm_deadline_s=0.05), person)
    assert decided is not None
    assert (decided.asked, decided.decision, decided.by) == ("Accept the cookies?", decision, by)
    assert bool(refusal(decided)) == (decision != "allowed")


async def test_nothing_to_confirm_is_no_decision() -> None:
    turn = Turn(completion=None, action=ClickId(id=1))
    assert await decide(turn, AgentConfig(), None) is None
