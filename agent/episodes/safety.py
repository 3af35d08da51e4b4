"""Requests of a vendor's model for a person's confirmation, decided by the configuration. Never accepted silently."""

import asyncio
from collections.abc import Awaitable, Callable

from agent.config import AgentConfig
from agent.types import AgentAction, SafetyDecision, Turn

Confirm = Callable[[str, AgentAction], Awaitable[bool]]
"""Asks a person: called with the request and the action, returns True if it may be carried out."""


async def decide(turn: Turn, config: AgentConfig, confirm: Confirm | None) -> SafetyDecision | None:
    """Decides about a turn; None without a confirmation to give. Unanswered without a person, or an answer in time."""
    if turn.confirm is None or turn.action is None:
        return None
    if config.safety != "ask":
        decision = "allowed" if config.safety == "allow" else "denied"
        return SafetyDecision(asked=turn.confirm, decision=decision, by="configuration")
    if confirm is None:
        return SafetyDecision(asked=turn.confirm, decision="unanswered", by="configuration")
    try:
        async with asyncio.timeout(config.confirm_deadline_s):
            allowed = await confirm(turn.confirm, turn.action)
    except TimeoutError:
        return SafetyDecision(asked=turn.confirm, decision="unanswered", by="person")
    return SafetyDecision(asked=turn.confirm, decision="allowed" if allowed else "denied", by="person")


def refusal(decision: SafetyDecision) -> str:
    """Feedback to the agent about an action that was not carried out; empty for an allowed one."""
    match decision.decision:
        case "allowed":
            return ""
        case "denied":
            return f"not carried out: the confirmation was refused ({decision.asked[:200]}); find another way or stop"
        case "unanswered":
            return f"not carried out: nobody confirmed it ({decision.asked[:200]})"
