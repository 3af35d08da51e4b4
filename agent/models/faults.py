"""How a model's server fails, chat servers and vendors alike: a refusal, a missed deadline; and whether to try again."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from agent.failures import EpisodeFailure, failed

RETRIES = 2
"""How often one question is asked again after an answer that may be better next time (429, 5xx) or a lost connection."""
TEMPORARY = frozenset({408, 409, 425, 429})
"""Statuses below 500 that may go away by themselves."""
READ = 2_000
"""Characters of an answer that are searched: what servers say comes first, what they repeat of the request after it."""
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

    It is the policy's only if the answer blames the prompt. The same statuses stand for a wrong name of the model, a
    parameter that it does not take, even a wrong key (Gemini): none of that may become a reward of 0.
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
    """Bounds all of one answer, however slowly it drips and however often it is asked for. Raises `EpisodeFailure`."""
    try:
        async with asyncio.timeout(deadline_s):
            yield
    except TimeoutError:
        message = f"{who} did not answer within {deadline_s:g} s (agent.completion_deadline_s)"
        raise failed("infra", "MODEL_TIMEOUT", message, retryable=True) from None
