"""People decide first: a judge that asks nobody about a trajectory on which a person has decided."""

from collections.abc import Mapping

from agent.types import Trajectory
from agent.verdict import Judge, Verdict


class PeopleFirst:
    """A person's verdict where there is one, otherwise the judge's. Implements `agent.verdict.Judge`."""

    def __init__(self, judge: Judge, people: Mapping[str, Verdict]) -> None:
        """`people` has the verdicts by trajectory id, as `storage.human_verdicts.latest` gives them."""
        self.name = judge.name
        self._judge, self._people = judge, people

    async def judge(self, trajectory: Trajectory) -> Verdict:
        """The verdict that holds."""
        found = self._people.get(trajectory.id)
        return found if found is not None else await self._judge.judge(trajectory)
