"""Failures that the scheduler itself makes or reacts to."""

from agent.types import Failure

BROWSERS_LOST = frozenset({"UNREACHABLE", "DRAINING"})
SERVICE_LOST = BROWSERS_LOST | {"MODEL_GONE", "MODEL_UNREACHABLE", "POLICY_CHANGED"}
"""Failure codes that mean a lost service of this loop, not a failed episode; a vendor's model is no such service."""
REFUSALS = 4
"""Episodes in a row broken by the configuration after which no further one begins; one refused key is enough."""
ABANDONED = Failure(side="infra", code="ABANDONED", message="its rank was stopped", retryable=True)
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
