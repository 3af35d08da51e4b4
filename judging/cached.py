"""A judge with a verdict file: what is decided is never asked again, and each verdict is stored before it is returned."""

import asyncio
from typing import Protocol

from agent.types import Trajectory
from agent.verdict import Verdict
from judging.verdicts import VerdictFile

LAST_CALLS_S = 5.0
"""Seconds that calls in flight are waited for when the judges are closed, as in a cancelled stage."""


class KeyedJudge(Protocol):
    """A judge that names the question it would answer."""

    name: str

    def key(self, trajectory: Trajectory) -> str:
        """Hash of all that the verdict depends on."""
        ...

    async def judge(self, trajectory: Trajectory) -> Verdict:
        """Returns the verdict; its `key` is `key(trajectory)`."""
        ...


class Cached:
    """Looks a verdict up by its key before it asks. Equal questions at the same time are asked once."""

    def __init__(self, judge: KeyedJudge, file: VerdictFile) -> None:
        self.name = judge.name
        self._judge, self._file = judge, file
        self._asked: dict[tuple[str, str], asyncio.Task[Verdict]] = {}

    def key(self, trajectory: Trajectory) -> str:
        """The judge's own key."""
        return self._judge.key(trajectory)

    async def judge(self, trajectory: Trajectory) -> Verdict:
        """The stored verdict, or a new one that is on the disk when it is returned. An unjudged one is tried again."""
        question = (trajectory.id, self.key(trajectory))
        if (found := self._file.find(trajectory.id, self.name, question[1])) is not None:
            return found
        task = self._asked.get(question)
        if task is None:
            task = self._asked[question] = asyncio.ensure_future(self._ask(trajectory))
            task.add_done_callback(lambda _: self._asked.pop(question))
        # One of several callers may be cancelled; the call is paid for, so its verdict is stored all the same.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Waits for the calls in flight, which are paid, so that their verdicts are stored; after `LAST_CALLS_S` it cancels them."""
        asked = list(self._asked.values())
        if asked:
            _, late = await asyncio.wait(asked, timeout=LAST_CALLS_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _ask(self, trajectory: Trajectory) -> Verdict:
        verdict = await self._judge.judge(trajectory)
        await asyncio.to_thread(self._file.append, verdict)
        return verdict
