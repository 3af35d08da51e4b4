"""What the mouse does: click, drag, hover, scroll, choose."""

from browser_service import models
from browser_service.commands.hand import Hand
from browser_service.commands.keyboard import holding

DRAG_STEPS = 8


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
    mouse = hand.tab.page.mouse
    async with holding(hand, action.hold):
        await mouse.move(action.x, action.y)
        await mouse.down()
        await mouse.move(action.to_x, action.to_y, steps=DRAG_STEPS)
        await mouse.up()


async def mouse_down(hand: Hand, action: models.MouseDown) -> None:
    hand.check_point(action.x, action.y)
    await hand.tab.page.mouse.move(action.x, action.y)
    await hand.tab.page.mouse.down(button=action.button)
    hand.tab.held.add(action.button)


async def mouse_up(hand: Hand, action: models.MouseUp) -> None:
    hand.check_point(action.x, action.y)
    await hand.tab.page.mouse.move(action.x, action.y)
    await hand.tab.page.mouse.up(button=action.button)
    hand.tab.held.discard(action.button)


async def hover_coords(hand: Hand, action: models.HoverCoords) -> None:
    hand.check_point(action.x, action.y)
    async with holding(hand, action.hold):
        await hand.tab.page.mouse.move(action.x, action.y)


async def hover_id(hand: Hand, action: models.HoverId) -> None:
    spot = await hand.aim(action.id)
    await hand.tab.page.mouse.move(spot["x"], spot["y"])


async def hover_and_scroll_coords(hand: Hand, action: models.HoverAndScrollCoords) -> None:
    hand.check_point(action.x, action.y)
    await hand.tab.page.mouse.move(action.x, action.y)
    await hand.ask("scrollAt", action.x, action.y, action.direction)


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


async def select_option(hand: Hand, action: models.SelectOption) -> None:
    await hand.ask_mark(action.id, "choose", action.label)
