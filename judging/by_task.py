"""Asks the chain of each task: the task's own, otherwise its environment's, otherwise the configuration's."""

from collections.abc import Mapping
from functools import cache

from agent.types import JudgeName, Trajectory
from agent.verdict import Judge, Verdict
from judging.chain import Chain
from judging.config import JudgeConfig


class ByTask:
    """The judges of a configuration. Implements `agent.verdict.Judge`."""

    name = "chain"

    def __init__(self, config: JudgeConfig, judges: Mapping[JudgeName, Judge], *, quick: bool = False) -> None:
        """`quick`: a judge that is not in `judges` is passed over, instead of leaving its tasks unjudged."""
        self._config, self._judges, self._quick = config, judges, quick
        self._chain = cache(self._make_chain)

    async def judge(self, trajectory: Trajectory) -> Verdict:
        """The verdict of the task's chain."""
        return await self._chain(self._config.chain_of(trajectory.task)).judge(trajectory)

    def _make_chain(self, names: tuple[JudgeName, ...]) -> Judge:
        known = [name for name in names if name in self._judges]
        if self._quick:
            return Chain([self._judges[name] for name in known]) if known else _Missing(self.name, "asked later")
        asked = [self._judges.get(name) or _Missing(name, self._config.lack_of(name)) for name in names]
        return Chain(asked, ask_all=self._config.ask_all)


class _Missing:
    """Stands for a judge that a task names and the configuration does not have."""

    def __init__(self, name: str, lack: str) -> None:
        self.name, self._lack = name, lack

    async def judge(self, trajectory: Trajectory) -> Verdict:
        why = f"not judged: the task names the judge {self.name}, {self._lack}"
        return Verdict(
            trajectory_id=trajectory.id, reward=None, judge=self.name, unjudged="misconfigured", evidence=why[:500]
        )
