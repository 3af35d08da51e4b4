"""The two calls of WebGym's evaluator, on this project's judges. None means that it could not be decided."""

from agent.types import Trajectory
from agent.verdict import Judge
from judging.block_detector import BlockDetector


class WebGymEvaluator:
    """An evaluator with WebGym's calls. A blocked or unjudged episode has no reward, where WebGym gives 0 or 1."""

    def __init__(self, judge: Judge, detector: BlockDetector) -> None:
        self._judge, self._detector = judge, detector

    async def get_verifiable_reward(self, trajectory: Trajectory) -> float | None:
        """The reward from 0 to 1."""
        return (await self._judge.judge(trajectory)).reward

    async def check_if_blocked(self, trajectory: Trajectory) -> bool | None:
        """True if the site refused the visit."""
        return (await self._detector.check(trajectory)).blocked
