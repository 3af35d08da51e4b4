"""Puts the log-in state of a lease into its context, before the first page."""

from typing import Any

from playwright.async_api import BrowserContext

from browser_service.models import LoginState


async def sign_in(context: BrowserContext, login: LoginState) -> None:
    """Sets cookies and local storage. Raises Playwright's error for a cookie that Chromium refuses.

    Local storage belongs to an origin, so Playwright opens a page of its own for it; cookies alone are a single call.
    """
    state: dict[str, Any] = login.model_dump(by_alias=True)
    if login.origins:
        await context.set_storage_state(state)  # ty: ignore[invalid-argument-type]
    elif login.cookies:
        await context.add_cookies(state["cookies"])
