"""Input and answers of OmniBoxes clients: as lenient as OmniBoxes was, and no more.

Such a client reads the status alone, and resends a command after any other than 200. So 200 means that the command
was carried out, or that it would have had no effect in OmniBoxes either. The body states deviations beside `success`.
"""

from typing import Any

from browser_service.models import ActionError, Viewport, Wire

ARRIVALS = frozenset({"visit_page", "open_tab", "forward", "reload"})
"""Commands whose only effect is that a document loads; if it does not load, nothing happened."""
SILENT = frozenset({"NO_HISTORY", "OUT_OF_VIEW", "NOT_EDITABLE", "READ_ONLY", "UNKNOWN_KEY", "NOTHING_COPIED"})
"""Errors that OmniBoxes did not notice, and so answered with success."""
BLOCKED = "NAV_BLOCKED"
"""The error of a document that the egress rules refused. The click or key that led to it was made all the same."""
SILENT_FOR = {"scroll_id": frozenset({"UNKNOWN_MARK", "STALE_MARK"})}
MODES = ("set_of_marks", "coordinates")


def as_meant(name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The command that the client means. WebGym's `scroll_coords` names a direction, which ours does not know."""
    if name == "scroll_coords" and "direction" in arguments and not arguments.keys() & {"dx", "dy"}:
        return "hover_and_scroll_coords", arguments
    return name, arguments


def lenient(arguments: dict[str, Any], kind: type[Wire], viewport: Viewport) -> tuple[dict[str, Any], str]:
    """The arguments in this service's form, and a note of the changes ("" if there were none).

    Unknown arguments are dropped, a single key becomes a list of one, points outside the viewport are moved to its
    edge, unknown interaction modes become set_of_marks.
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
            known[name] = min(max(0.0, value), float(most))  # not a number stays as it is, and is refused
            notes.append(f"{name} = {value!r:.30} is outside the view: its edge was taken")
    return known, "; ".join(notes)[:500]


def is_empty(name: str, arguments: dict[str, Any]) -> bool:
    """True if the command asks for no effect, which OmniBoxes answered with success."""
    return name == "keypress" and arguments.get("keys") == []


def has_happened(name: str, error: ActionError) -> bool:
    """True if a command with this error counts as carried out: a click on a broken link was a click all the same."""
    if name in ARRIVALS:
        return False
    return (
        error.fault == "site" or error.code == BLOCKED or error.code in SILENT or error.code in SILENT_FOR.get(name, ())
    )
