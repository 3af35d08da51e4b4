"""Keyboard actions: chords, text, filling fields."""

from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Keyboard

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


async def fill_coords(hand: Hand, action: models.FillCoords) -> None:
    hand.check_point(action.x, action.y)
    if (await hand.ask("setAt", action.x, action.y, action.value)).get("done"):
        return
    await hand.tab.page.mouse.click(action.x, action.y)
    await _fill(hand, action, await hand.ask("caret"), f"the element at ({action.x:g}, {action.y:g})")


async def fill_id(hand: Hand, action: models.FillId) -> None:
    spot = await hand.aim(action.id)
    if (await hand.ask_mark(action.id, "setById", action.value)).get("done"):
        return
    await hand.tab.page.mouse.click(spot["x"], spot["y"])
    await _fill(hand, action, await hand.ask_realm(action.id, "caret"), f"mark {action.id}")


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
    """Holds the keys meanwhile; keys that were held before stay held."""
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
    """Turns Playwright's error for an unknown key into an `ActionFailed`."""
    try:
        yield
    except PlaywrightError as error:
        if "Unknown key" not in error.message:
            raise
        raise ActionFailed(
            "UNKNOWN_KEY", f"the keyboard has no such key: {error.message.splitlines()[0][:200]}"
        ) from None


async def type_text(hand: Hand, action: models.TypeText) -> None:
    ending = (await hand.ask("caret")).get("lines", "enter") if "\n" in action.value else "enter"
    await _type(hand, action.value, ending, press_enter=action.press_enter)


async def tab_and_enter(hand: Hand, action: models.TabAndEnter) -> None:
    await hand.tab.page.keyboard.press("Tab")
    await hand.tab.page.keyboard.press("Enter")


async def _fill(hand: Hand, action: models.FillCoords | models.FillId, caret: dict[str, Any], named: str) -> None:
    """Types into the focused element. Raises `ActionFailed` if it takes no text."""
    if not caret["is_text"]:
        code, why = (
            ("READ_ONLY", "it is read-only") if caret.get("is_read_only") else ("NOT_EDITABLE", "it takes no text")
        )
        what = f", a {caret['role']}" if caret.get("role") else ""
        raise ActionFailed(code, f"nothing was typed into {named}{what}: {why}")
    if action.delete_existing and caret["erase"]:
        await hand.tab.page.keyboard.press("Control+a")
        await hand.tab.page.keyboard.press("Backspace")
    await _type(hand, action.value, caret["lines"], press_enter=action.press_enter)


async def _type(hand: Hand, value: str, line_ending: str, *, press_enter: bool) -> None:
    """Types text. A line end must not submit it, as Enter does in a chat."""
    keyboard = hand.tab.page.keyboard
    left = TYPED_LIMIT
    for number, line in enumerate(value.replace("\r\n", "\n").split("\n")):
        if number:
            await _end_line(keyboard, line_ending)
        await keyboard.type(line[:left])
        if rest := line[left:]:
            await keyboard.insert_text(rest)
        left = max(0, left - len(line))
    if press_enter:
        await keyboard.press("Enter")


async def _end_line(keyboard: Keyboard, line_ending: str) -> None:
    match line_ending:
        case "insert":
            await keyboard.insert_text("\n")
        case "shift":
            await keyboard.press("Shift+Enter")
        case "enter":
            await keyboard.press("Enter")
        case _:  # a single-line field: a space, as browsers do with a pasted line break
            await keyboard.insert_text(" ")


def _key(name: str) -> str:
    lowered = name.strip().lower()
    if lowered in KEYS:
        return KEYS[lowered]
    if lowered.startswith("f") and lowered[1:].isdigit():
        return lowered.upper()
    return name
