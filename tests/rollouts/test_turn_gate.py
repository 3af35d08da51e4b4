"""Paused episodes continue with the policy published meanwhile, unless a vendor's model plays them."""

import pytest

from agent.config import AgentConfig
from agent.models.openai_chat import OpenAIChat, Served
from rollouts.measures.usage import ServerMeter
from rollouts.turn_gate import TurnGate

OURS, THEIRS = Served("policy-1", "demo:0001", 1), Served("their-model", None, None)


@pytest.mark.parametrize(("asked", "afterwards"), [(OURS, Served("policy-2", "demo:0002", 2)), (THEIRS, THEIRS)])
async def test_only_the_policy_that_is_trained_is_replaced(asked: Served, afterwards: Served) -> None:
    async with OpenAIChat(AgentConfig(), asked, base_url="http://127.0.0.1:9") as chat:
        gate = TurnGate(chat, ServerMeter())
        await gate.hold(1.0)
        gate.resume_with(Served("policy-2", "demo:0002", 2))
        assert gate.is_open and chat.served == afterwards
