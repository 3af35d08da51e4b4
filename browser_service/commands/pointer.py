"""Mouse actions: click, drag, hover, scroll, choose."""

import asyncio
import time

from browser_service import models
from browser_service.commands.hand import Hand
from browser_service.commands.keyboard import holding

WHEEL = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
WHEEL_PIXELS = 400
"""Distance of a wheel turn over a cross-origin frame."""
DRAG_STEPS = 16
STEP_S = 0.012
"""Pause between two points of a drag: pages that follow the pointer once per frame see each of them."""
GRIP_S = 0.06
"""Pause of a drag after the button is pressed and after the first small move."""
RESTING_S = 0.05
"""Time between two mouse events of a resting pointer."""
REST_S = 0.2
"""Pause over the goal before the button is released: lists that make room are animated."""


async def click_coords(hand: Hand, action: models.ClickCoords) -> None:
    hand.check_point(action.x, action.y)
    async with holding(hand, action.hold):
        await hand.tab.page.mouse.click(action.x, action.y, button=action.button, click_count=action.clicks)


async def click_id(hand: Hand, action: models.ClickId) -> None:
    spot = await hand.aim(action.id)
    await hand.tab.page.mouse.click(spot["x"], spot["y"], button=action.button, click_count=action.clicks)


async def drag(hand: Hand, action: models.Drag) -> None:
    hand.check_point(action.x, action.y)
    hand.check_point(action.to_x, action.to_y)
    async with holding(hand, action.hold):
        await _drag(hand, (action.x, action.y), (action.to_x, action.to_y), rest_s=action.rest_s)


async def drag_id(hand: Hand, action: models.DragId) -> None:
    spot = await hand.aim(action.id)
    if action.to_id is None:
        goal = (spot["x"] + action.dx, spot["y"] + action.dy)
        hand.check_point(*goal)
    else:
        to = await hand.aim(action.to_id)
        spot = await hand.aim(action.id)  # the goal may have been scrolled into view
        goal = (to["x"], to["y"])
    await _drag(hand, (spot["x"], spot["y"]), goal, rest_s=action.rest_s)


async def _drag(hand: Hand, start: tuple[float, float], goal: tuple[float, float], *, rest_s: float) -> None:
    """Drags the element at `start` as a person does: presses, begins slowly, rests over the goal, releases."""
    mouse = hand.tab.page.mouse
    (x, y), (to_x, to_y) = start, goal
    await mouse.move(x, y)
    await mouse.down()
    try:
        await asyncio.sleep(GRIP_S)
        for step in range(1, DRAG_STEPS + 1):
            share = (step / DRAG_STEPS) ** 1.5
            await mouse.move(x + (to_x - x) * share, y + (to_y - y) * share)
            await asyncio.sleep(GRIP_S if step == 1 else STEP_S)
        await rest(hand, goal, REST_S + rest_s)
    finally:
        await mouse.up()


async def rest(hand: Hand, point: tuple[float, float], seconds: float) -> None:
    """Rests at a point with the button held: browsers repeat drag events there, DevTools sends only moves."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(left, RESTING_S))
        await hand.tab.page.mouse.move(*point)


async def mouse_down(hand: Hand, action: models.MouseDown) -> None:
    hand.check_point(action.x, action.y)
    await hand.tab.page.mouse.move(action.x, action.y)
    await hand.tab.page.mouse.down(button=action.button)
    hand.tab.held.add(action.button)
    hand.tab.pointer = (action.x, action.y)


async def mouse_up(hand: Hand, action: models.MouseUp) -> None:
    hand.check_point(action.x, action.y)
    await hand.tab.page.mouse.move(action.x, action.y)
    await hand.tab.page.mouse.up(button=action.button)
    hand.tab.held.discard(action.button)


async def hover_coords(hand: Hand, action: models.HoverCoords) -> None:
    hand.check_point(action.x, action.y)
    async with holding(hand, action.hold):
        await hand.tab.page.mouse.move(action.x, action.y)
    hand.tab.pointer = (action.x, action.y)


async def hover_id(hand: Hand, action: models.HoverId) -> None:
    spot = await hand.aim(action.id)
    await hand.tab.page.mouse.move(spot["x"], spot["y"])


async def hover_and_scroll_coords(hand: Hand, action: models.HoverAndScrollCoords) -> None:
    hand.check_point(action.x, action.y)
    await hand.tab.page.mouse.move(action.x, action.y)
    if (await hand.ask("scrollAt", action.x, action.y, action.direction)).get("foreign"):
        dx, dy = WHEEL[action.direction]
        await hand.tab.page.mouse.wheel(dx * WHEEL_PIXELS, dy * WHEEL_PIXELS)


async def scroll_coords(hand: Hand, action: models.ScrollCoords) -> None:
    hand.check_point(action.x, action.y)
    async with holding(hand, action.hold):
        await hand.tab.page.mouse.move(action.x, action.y)
        await hand.tab.page.mouse.wheel(action.dx, action.dy)


async def scroll_id(hand: Hand, action: models.ScrollId) -> None:
    await hand.ask_mark(action.id, "scrollMark", action.direction)


async def page_down(hand: Hand, action: models.PageDown) -> None:
    await hand.ask("scrollPage", action.amount, action.full_page)


async def page_up(hand: Hand, action: models.PageUp) -> None:
    await hand.ask("scrollPage", -action.amount, action.full_page)


async def select_coords(hand: Hand, action: models.SelectCoords) -> None:
    hand.check_point(action.x, action.y)
    await hand.ask("chooseAt", action.x, action.y, action.label, action.selected)


async def select_option(hand: Hand, action: models.SelectOption) -> None:
    await hand.ask_mark(action.id, "choose", action.label, action.selected)
