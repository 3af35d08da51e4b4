"""A scripted solution that does not know its page is a failure of the policy's side, not the end of the stage."""

import pytest

from agent.failures import EpisodeFailure
from agent.models.scripted import Scripted
from agent.types import AgentAction, Task
from browser_service.models import Observation, Viewport

PAGE = Observation(url="http://a.test/", title="", viewport=Viewport())


def lost(*where: object, step: int) -> AgentAction:
    raise RuntimeError("there is no such button")


async def test_a_solution_that_fails_breaks_its_episode_only() -> None:
    with pytest.raises(EpisodeFailure) as broken:
        await Scripted(lost).act(Task(id="t.1", environment="e"), "", [], PAGE, {})
    assert (broken.value.failure.side, broken.value.failure.code) == ("policy", "UNSOLVABLE")
    assert not broken.value.failure.retryable
