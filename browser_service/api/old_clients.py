"""What clients of OmniBoxes may send and what they are answered: as lenient as OmniBoxes was, and no more.

Such a client looks at the status alone, and sends a command again after any other than 200. So 200 means: it happened, or it
could not have happened there either. Where something was not as asked, the body says so beside the `success`.
"""

from typing import Any

from browser_service.models import ActionError, Viewport, Wire

ARRIVALS = frozenset({"visit_page", "open_tab", "forward", "reload"})
"""Commands that are nothing but a document that comes; when it does not come, nothing happened."""
SILENT = frozenset({"NO_HISTORY", "OUT_OF_VIEW", "NOT_EDITABLE", "READ_ONLY", "UNKNOWN_KEY", "NOTHING_COPIED"})
"""What OmniBoxes did not notice, and so answered with success."""
SILENT_FOR = {"scroll_id": frozenset({"UNKNOWN_MARK", "STALE_MARK"})}
MODES = ("set_of_marks", "coordinates")


def lenient(arguments: dict[str, Any], kind: type[Wire], viewport: Viewport) -> tuple[dict[str, Any], str]:
    """The arguments as this service takes them, and what was changed about them ("" when nothing was).

    Unknown arguments are left out, a single key stands for a list of one, points outside the view are moved to its edge,
    unknown modes of interaction are the marks'.
    """
    known = {name: value for name, value in arguments.items() if name in kind.model_fields and name != "kind"}
    notes = [f"{name} is unknown and was left out" for name in arguments if name not in known]
    if isinstance(known.get("keys"), str):
        known["keys"] = [known["keys"]]
    if "interaction_mode" in known and known["interaction_mode"] not in MODES:
        notes.append(f"interaction_mode must be one of {', '.join(MODES)}: set_of_marks was taken")
        known["interaction_mode"] = MODES[0]
    for name, most in (("x", viewport.width), ("y", viewport.height)):
        value = known.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and not 0 <= value <= most:
            known[name] = min(max(0.0, value), float(most))  # not a number stays what it is, and is refused
            notes.append(f"{name} = {value!r:.30} is outside the view: its edge was taken")
    return known, "; ".join(notes)[:500]


def is_empty(name: str, arguments: dict[str, Any]) -> bool:
    """Whether the command asks for nothing at all, which OmniBoxes did with success."""
    return name == "keypress" and arguments.get("keys") == []


def has_happened(name: str, error: ActionError) -> bool:
    """Whether a command with this error counts as carried out: a click whose link leads nowhere was a click all the same."""
    if name in ARRIVALS:
        return False
    return error.fault == "site" or error.code in SILENT or error.code in SILENT_FOR.get(name, ())
