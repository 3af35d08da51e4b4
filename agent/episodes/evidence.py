"""Reads the end of an episode from its site, while the site is still there."""

import asyncio
import logging
from typing import Any

from agent.failures import failed
from agent.types import Site

logger = logging.getLogger(__name__)

END_STATE_DEADLINE_S = 20.0
"""Seconds for reading the end state: a query on the site's own database, or a look into its process."""


async def end_of(site: Site) -> dict[str, Any]:
    """The site's end state, for its verifier.

    Without it an episode can't be judged, so it is played again: raises `EpisodeFailure` (infra).
    """
    try:
        async with asyncio.timeout(END_STATE_DEADLINE_S):
            return await site.final_state()
    except Exception as error:  # an environment's own code may raise anything
        what = f"no answer within {END_STATE_DEADLINE_S:g} s" if isinstance(error, TimeoutError) else str(error)
        raise failed("infra", "NO_END_STATE", f"the site's end state can't be read: {what}", retryable=True) from error


async def end_after_failure(site: Site) -> dict[str, Any]:
    """The site's end state after a failure; `{}` when it can't be read, because the failure is the better reason."""
    try:
        return await end_of(site)
    except Exception as error:
        logger.info("after a failure: %s", error)
        return {}
