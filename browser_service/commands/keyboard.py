"""What the keyboard does: chords, text, filling fields."""

from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager

from playwright.async_api import Error as PlaywrightError

from browser_service import models
from browser_service.commands.hand import ActionFailed, Hand

TYPED_LIMIT = 300  # characters sent as single key presses; the rest is inserted at once
KEYS = {
    "alt": "Alt", "option": "Alt", "arrowdown": "ArrowDown", "down": "ArrowDown", "arrowleft": "ArrowLeft",
    "left": "ArrowLeft", "arrowright": "ArrowRight", "right": "ArrowRight", "arrowup": "ArrowUp", "up": "ArrowUp",
    "backspace": "Backspace", "capslock": "CapsLock", "cmd": "Meta", "command": "Meta", "meta": "Meta", "super": "Meta",
    "win": "Meta", "ctrl": "Control", "control": "Control", "del": "Delete", "delete": "Delete", "end": "End",
    "enter": "Enter", "return": "Enter", "esc": "Escape", "escape": "Escape", "home": "Home", "insert": "Insert",
    "pagedown": "PageDown", "page_down": "PageDown", "pageup": "PageUp", "page_up": "PageUp", "shift": "Shift",
    "space": "Space", "tab": "Tab",
}  # fmt: skip
SET_NOT_TYPED = frozenset({"date", "time", "month", "week", "datetime-local", "color", "range"})


async def fill_coords(hand: Hand, action: models.FillCoords) -> None:
    hand.check_point(action.x, action.y)
    await hand.tab.page.mouse.click(action.x, action.y)
    await _fill(hand, action)


async def fill_id(hand: Hand, action: models.FillId) -> None:
    spot = await hand.aim(action.id)
    if spot["type"] in SET_NOT_TYPED:
        await hand.ask_mark(action.id, "setValue", action.value)
        return
    await hand.tab.page.mouse.click(spot["x"], spot["y"])
    await _fill(hand, action)


async def keypress(hand: Hand, action: models.Keypress) -> None:
    *held, last = action.keys
    async with holding(hand, held):
        with _known_keys():
            await hand.tab.page.keyboard.press(_key(last), delay=action.duration * 1_000)


async def key_down(hand: Hand, action: models.KeyDown) -> None:
    for name in action.keys:
        with _known_keys():
            await hand.tab.page.keyboard.down(_key(name))
        hand.tab.held_keys.add(_key(name))


async def key_up(hand: Hand, action: models.KeyUp) -> None:
    for name in action.keys:
        with _known_keys():
            await hand.tab.page.keyboard.up(_key(name))
        hand.tab.held_keys.discard(_key(name))


@asynccontextmanager
async def holding(hand: Hand, keys: Iterable[str]) -> AsyncGenerator[None]:
    """Holds the keys meanwhile; those that were held before stay so."""
    page, pressed = hand.tab.page, []
    try:
        for key in [key for name in keys if (key := _key(name)) not in hand.tab.held_keys]:
            with _known_keys():
                await page.keyboard.down(key)
            pressed.append(key)
        yield
    finally:
        if not page.is_closed():
            for key in reversed(pressed):
                await page.keyboard.up(key)


@contextmanager
def _known_keys() -> Generator[None]:
    """Playwright's refusal of a key becomes an `ActionFailed`."""
    try:
        yield
    except PlaywrightError as error:
        if "Unknown key" not in error.message:
            raise
        raise ActionFailed(
            "UNKNOWN_KEY", f"the keyboard has no such key: {error.message.splitlines()[0][:200]}"
        ) from None


async def type_text(hand: Hand, action: models.TypeText) -> None:
    await _type(hand, action.value, press_enter=action.press_enter)


async def tab_and_enter(hand: Hand, action: models.TabAndEnter) -> None:
    await hand.tab.page.keyboard.press("Tab")
    await hand.tab.page.keyboard.press("Enter")


async def _fill(hand: Hand, action: models.FillCoords | models.FillId) -> None:
    if action.delete_existing:
        await hand.tab.page.keyboard.press("Control+a")
        await hand.tab.page.keyboard.press("Backspace")
    await _type(hand, action.value, press_enter=action.press_enter)


async def _type(hand: Hand, value: str, *, press_enter: bool) -> None:
    keyboard = hand.tab.page.keyboard
    await keyboard.type(value[:TYPED_LIMIT])
    if rest := value[TYPED_LIMIT:]:
        await keyboard.insert_text(rest)
    if press_enter:
        await keyboard.press("Enter")


def _key(name: str) -> str:
    lowered = name.strip().lower()
    if lowered in KEYS:
        return KEYS[lowered]
    if lowered.startswith("f") and lowered[1:].isdigit():
        return lowered.upper()
    return name
