"""The command table: the kind of an action -> the small function that carries it out on the active tab.

A handler returns when the input is delivered; `session/settle.py` waits for the page's reaction. An action that can't
have an effect raises `ActionFailed`, which becomes the `error` of an ordinary reply.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from browser_service import models
from browser_service.commands import files, keyboard, navigation, pointer
from browser_service.commands.files import folder_of
from browser_service.commands.hand import ActionFailed, Hand
from browser_service.commands.navigation import check_address

__all__ = ["TABLE", "ActionFailed", "Hand", "check_address", "folder_of", "own_seconds", "perform"]
NAVIGATIONS = frozenset({"visit_page", "open_tab", "back", "forward", "reload"})


async def perform(action: models.Action, hand: Hand) -> None:
    """Carries out one action. Raises `ActionFailed`, or Playwright's error when the page is gone."""
    await TABLE[action.kind](hand, action)


def own_seconds(action: models.Action, navigation_deadline_s: float) -> float:
    """Seconds that an action takes by itself, in addition to the deadline of a call."""
    if isinstance(action, models.Sleep | models.Keypress):
        return action.duration
    if isinstance(action, models.Drag | models.DragId):
        return action.rest_s
    return navigation_deadline_s if action.kind in NAVIGATIONS else 0.0


async def sleep(hand: Hand, action: models.Sleep) -> None:
    if hand.tab.held and hand.tab.pointer:
        await pointer.rest(hand, hand.tab.pointer, action.duration)
    else:
        await asyncio.sleep(action.duration)


async def observe(hand: Hand, action: models.Observe) -> None:
    return


TABLE: dict[str, Callable[[Hand, Any], Awaitable[None]]] = {
    handler.__name__: handler
    for handler in (
        navigation.visit_page,
        navigation.back,
        navigation.forward,
        navigation.reload,
        navigation.open_tab,
        navigation.switch_tab,
        navigation.close_tab,
        pointer.click_coords,
        pointer.click_id,
        pointer.drag,
        pointer.drag_id,
        pointer.mouse_down,
        pointer.mouse_up,
        pointer.hover_coords,
        pointer.hover_id,
        pointer.hover_and_scroll_coords,
        pointer.scroll_id,
        pointer.scroll_coords,
        pointer.page_down,
        pointer.page_up,
        pointer.select_option,
        pointer.select_coords,
        keyboard.fill_coords,
        keyboard.fill_id,
        keyboard.keypress,
        keyboard.key_down,
        keyboard.key_up,
        keyboard.type_text,
        keyboard.tab_and_enter,
        files.upload,
        files.upload_coords,
        sleep,
        observe,
    )
}
