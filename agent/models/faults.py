"""Failures of a model's server, chat servers and vendors alike: a refusal, a missed deadline; and whether to retry."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from agent.failures import EpisodeFailure, failed

RETRIES = 2
"""Number of retries after a temporary error (429, 5xx) or a lost connection."""
TEMPORARY = frozenset({408, 409, 425, 429})
"""Temporary statuses below 500."""
READ = 2_000
"""Characters of an answer that are searched: the error comes first, a copy of the request after it."""
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|limit|size)|(?:model|prompt) length|prompt (?:is )?too long|too many (?:input )?tokens"
    r"|input token count",
    re.IGNORECASE,
)
_AGAINST_A_POLICY = re.compile(
    r"\bsafety\b(?! (?:check|setting))|content[ _](?:policy|filter|management)|usage polic", re.IGNORECASE
)


def refused(status: int, message: str) -> EpisodeFailure:
    """The failure for an error status; `message` is the server's answer in words, without the key.

    It is the policy's only if the answer blames the prompt. The same statuses also mean a wrong model name, an
    unsupported parameter, even a wrong key (Gemini): none of these may become a reward of 0.
    """
    if status in (401, 403):
        return failed("infra", "MODEL_KEY", message, retryable=False)
    about_the_prompt = message[:READ] if status in (400, 422) else ""
    if status == 413 or _TOO_LONG.search(about_the_prompt):
        return failed("policy", "PROMPT_TOO_LONG", message, retryable=False)
    if _AGAINST_A_POLICY.search(about_the_prompt):
        return failed("policy", "PROMPT_REFUSED", message, retryable=False)
    if 400 <= status < 500 and status not in TEMPORARY:
        return failed("infra", "MODEL_REFUSED", message, retryable=False)
    return failed("infra", "MODEL_ERROR", message, retryable=True)


@asynccontextmanager
async def answered_within(deadline_s: float, who: str) -> AsyncGenerator[None]:
    """Bounds the total time of one answer, its retries included. Raises `EpisodeFailure`."""
    try:
        async with asyncio.timeout(deadline_s):
            yield
    except TimeoutError:
        message = f"{who} did not answer within {deadline_s:g} s (agent.completion_deadline_s)"
        raise failed("infra", "MODEL_TIMEOUT", message, retryable=True) from None
