"""Finished episodes without a browser, and a rubric judge that reads their pictures."""

import hashlib
from typing import Any

from agent.types import AgentAction, Answer, Completion, Failure, Step, StopReason, Task, Trajectory
from browser_service.models import ClickCoords, Observation, Screenshot, Viewport
from judging.endpoints.budget import Budget, Price
from judging.endpoints.metered import Metered
from judging.endpoints.openai_compatible import OpenAICompatible
from judging.rubric.judge import RubricJudge
from judging.rubric.settings import RubricSettings

SECRET = b"the tests' own secret"
RUBRIC = ("The price of the lamp is shown", "The lamp is in the basket")


class Episodes:
    """Builds trajectories; `pictures` holds the bytes of their screenshots by hash."""

    def __init__(self) -> None:
        self.pictures: dict[str, bytes] = {}

    def page(self, number: int, *, picture: bool = True, **fields: Any) -> Observation:
        data = b"\x89PNG picture %d" % number
        sha256 = hashlib.sha256(data).hexdigest()
        self.pictures[sha256] = data
        shot = Screenshot(sha256=sha256, media_type="image/png", width=64, height=40) if picture else None
        known: dict[str, Any] = {"url": f"http://shop/{number}", "title": f"Page {number}"} | fields
        return Observation(viewport=Viewport(), screenshot=shot, **known)

    def read(self, sha256: str) -> bytes:
        """Like `TrajectoryStore.image`."""
        if sha256 not in self.pictures:
            raise FileNotFoundError(sha256)
        return self.pictures[sha256]

    def episode(
        self,
        *pages: Observation,
        answer: str | None = "The lamp costs 42 EUR.",
        actions: dict[int, AgentAction] | None = None,
        thoughts: str = "",
        rubric: tuple[str, ...] = RUBRIC,
        reference: str | None = None,
        goal: str = "How much is the lamp? Put it into the basket.",
        name: str = "t.1-m0",
        failure: Failure | None = None,
    ) -> Trajectory:
        """An episode over these pages, by default three; the last one is the page after the last action."""
        seen = pages or tuple(self.page(number) for number in (1, 2, 3))
        steps = tuple(
            Step(
                index=index,
                observation=each,
                completion=Completion(text="click(5, 5)", thoughts=thoughts),
                action=(actions or {}).get(index, ClickCoords(x=5, y=5)),
                effect="the page changed",
            )
            for index, each in enumerate(seen[:-1])
        )
        if answer is not None and steps:
            steps = (*steps[:-1], steps[-1].model_copy(update={"action": Answer(text=answer)}))
        return Trajectory(
            id=name,
            task=Task(id="t.1", environment="live", rubric=rubric, reference_answer=reference),
            goal=goal,
            group="t.1",
            member=0,
            iteration=0,
            steps=steps,
            stop=StopReason.FAILED if failure else StopReason.ANSWERED if answer is not None else StopReason.MAX_STEPS,
            final_observation=seen[-1],
            answer=answer,
            failure=failure,
        )


def metered(url: str, *, concurrency: int = 8, deadline_s: float = 10, **limits: Any) -> Metered:
    """A judge model at a loopback server; `limits` are the budget's."""
    endpoint = OpenAICompatible("judge-1", base_url=url, deadline_s=deadline_s)
    budget = Budget(price=Price(tokens_in=1, tokens_out=10), **limits)
    return Metered(endpoint, budget, concurrency=concurrency)


def rubric_judge(model: Metered, episodes: Episodes, **settings: Any) -> RubricJudge:
    """A rubric judge whose markers are the same in each run."""
    return RubricJudge(model, episodes.read, RubricSettings(**settings), secret=SECRET)
