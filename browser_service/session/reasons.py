"""Explains a document that did not load: the proxy's reason in place of Chromium's network error."""

from browser_service.egress.egress import Account
from browser_service.errors import EgressFailed
from browser_service.models import ActionError
from browser_service.tabs.tab import FailedDocument

CODES = {"policy": "NAV_BLOCKED", "site": "NAVIGATION_FAILED"}
PROXY_DOWN = "ERR_PROXY_CONNECTION_FAILED"
REFUSED_BY_CHROMIUM = ("ERR_UNSAFE_PORT", "ERR_UNKNOWN_URL_SCHEME", "ERR_DISALLOWED_URL_SCHEME", "ERR_UNSAFE_REDIRECT")


def explain(way_out: Account, failed: FailedDocument | None, error: ActionError | None) -> ActionError | None:
    """The error of a step, with the most specific cause. `failed`: the active tab's document, if it did not load.

    Raises `EgressFailed` when the proxy itself failed, even for a mere picture of the page: the agent would not see the
    site's own content.
    """
    if way_out.broken:
        raise EgressFailed(f"{way_out.broken.message}; ask for a new lease")
    if failed is None:
        return error
    if PROXY_DOWN in failed.reason:
        raise EgressFailed("the session lost its way to the network; ask for a new lease")
    if refused := next((reason for reason in REFUSED_BY_CHROMIUM if reason in failed.reason), None):
        return ActionError(
            code="NAV_BLOCKED", message=f"the browser refuses {failed.url[:300]}: {refused}", fault="policy"
        )
    trouble = way_out.trouble_with(failed.url)
    if trouble is None or trouble.fault == "infra":
        return error
    return ActionError(code=CODES[trouble.fault], message=trouble.message[:500], fault=trouble.fault)
