"""Key names of vendors (X11, Playwright, upper case) -> key names of the browser service."""

KEYS = {
    "prior": "PageUp", "page_up": "PageUp", "pgup": "PageUp", "next": "PageDown", "page_down": "PageDown",
    "pgdn": "PageDown", "return": "Enter", "kp_enter": "Enter", "linefeed": "Enter", "escape": "Escape", "esc": "Escape",
    "backspace": "Backspace", "back_space": "Backspace", "delete": "Delete", "del": "Delete", "ctrl": "Control",
    "control_l": "Control", "control_r": "Control", "controlormeta": "Control", "shift_l": "Shift", "shift_r": "Shift",
    "alt_l": "Alt", "alt_r": "Alt", "option": "Alt", "super": "Meta", "super_l": "Meta", "win": "Meta", "cmd": "Meta",
    "command": "Meta", "up": "ArrowUp", "down": "ArrowDown", "left": "ArrowLeft", "right": "ArrowRight",
    "arrowup": "ArrowUp", "arrowdown": "ArrowDown", "arrowleft": "ArrowLeft", "arrowright": "ArrowRight",
    "space": "Space", "spacebar": "Space", "plus": "+", "minus": "-", "equal": "=", "period": ".", "comma": ",",
    "slash": "/", "backslash": "\\", "semicolon": ";", "apostrophe": "'", "grave": "`", "bracketleft": "[",
    "bracketright": "]", "enter": "Enter", "tab": "Tab", "home": "Home", "end": "End", "insert": "Insert",
    "control": "Control", "shift": "Shift", "alt": "Alt", "meta": "Meta",
}  # fmt: skip


def chord(text: str) -> list[str]:
    """The keys of a chord. Example: `ctrl+shift+Page_Down` -> `["Control", "Shift", "PageDown"]`; `ctrl++` ends in plus."""
    names = text.strip().split("+")
    if len(names) > 1 and not names[-1]:  # "ctrl++", or "+" alone
        names = [*[name for name in names if name], "plus"]
    return [key(name) for name in names if name.strip()]


def key(name: str) -> str:
    """One key. A single letter keeps its case."""
    name = name.strip()
    return name if len(name) == 1 else KEYS.get(name.lower(), name)
