"""Failures of a model's server, as the agent's models report them -> the troubles of a judge."""

from agent.failures import EpisodeFailure
from judging.endpoints.protocol import EndpointError, Trouble

TROUBLES: dict[str, Trouble] = {
    "MODEL_TIMEOUT": "timeout",
    "MODEL_KEY": "misconfigured",
    "MODEL_REFUSED": "misconfigured",
    "PROMPT_REFUSED": "refused",
    "PROMPT_TOO_LONG": "too_long",
}


def trouble_of(error: EpisodeFailure) -> EndpointError:
    """The judge's trouble for a failed call; an unknown code means that the judge is unavailable."""
    failure = error.failure
    # The deadline of a judge is not `agent.completion_deadline_s`, which the shared code names.
    message = failure.message.replace(" (agent.completion_deadline_s)", "")
    return EndpointError(TROUBLES.get(failure.code, "unavailable"), message)
