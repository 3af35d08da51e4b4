"""Failures of episodes that a shard worker ends itself, or never begins."""

from agent.types import Failure

ABANDONED = Failure(side="infra", code="ABANDONED", message="its shard worker was stopped", retryable=True)
STRAGGLER = Failure(
    side="infra",
    code="STRAGGLER",
    message="the stage ended before the episode did (rollout.stragglers: kill)",
    retryable=False,
)
HOST_PAUSED = Failure(
    side="site",
    code="HOST_PAUSED",
    message="its host blocked visits or could not be reached, again and again (environment.blocking.most_pauses)",
    retryable=False,
)
