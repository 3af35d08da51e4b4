"""Checks of the address book and of the settings: the wanted rows are there, and nothing else has changed."""

from collections.abc import Mapping
from typing import Any

from environments.applications.hosted.rows import Rows
from environments.applications.roundcube.preferences import preferences
from environments.tasks.templates import Ending, Parameters

PREFERENCES = "users/1/preferences"


def contact_added(end: Ending) -> Mapping[str, bool]:
    """The address book has the wanted person."""
    rows, wanted = Rows(end.changes), end.parameters
    new = rows.new("contacts")
    found = [(row["firstname"], row["surname"], row["email"].lower(), row["del"]) for row in new.values()]
    return {
        "added": found == [(wanted["first"], wanted["last"], wanted["email"], 0)],
        "no_side_effects": rows.only(*(f"contacts/{key}" for key in new)),
    }


def contact_set(end: Ending) -> Mapping[str, bool]:
    """The person has the wanted address instead of the old one."""
    rows, wanted = Rows(end.changes), end.parameters
    now = rows.changed("contacts", wanted["number"])
    columns = ("email", "vcard", "words")
    return {
        "changed": now.get("email") == wanted["new_email"],
        "no_side_effects": _kept_lines(end, wanted)
        and rows.only(*(f"contacts/{wanted['number']}/{column}" for column in columns)),
    }


def contact_deleted(end: Ending) -> Mapping[str, bool]:
    """The person is no longer in the address book: Roundcube keeps a row that says so."""
    rows, wanted = Rows(end.changes), end.parameters
    return {
        "deleted": rows.changed("contacts", wanted["number"]) == {"del": 1},
        "no_side_effects": rows.only(f"contacts/{wanted['number']}/del"),
    }


def group_made(end: Ending) -> Mapping[str, bool]:
    """There is the wanted group, without members."""
    rows, wanted = Rows(end.changes), end.parameters
    new = rows.new("contactgroups")
    return {
        "made": [(row["name"], row["del"]) for row in new.values()] == [(wanted["new_name"], 0)],
        "no_side_effects": rows.only(*(f"contactgroups/{key}" for key in new)),
    }


def group_renamed(end: Ending) -> Mapping[str, bool]:
    """The group has the wanted name."""
    rows, wanted = Rows(end.changes), end.parameters
    return {
        "renamed": rows.changed("contactgroups", wanted["number"]) == {"name": wanted["new_name"]},
        "no_side_effects": rows.only(f"contactgroups/{wanted['number']}/name"),
    }


def in_group(end: Ending) -> Mapping[str, bool]:
    """The person is in the group."""
    rows, wanted = Rows(end.changes), end.parameters
    new = rows.new("contactgroupmembers")
    found = [(row["contactgroup_id"], row["contact_id"]) for row in new.values()]
    return {
        "added": found == [(wanted["group_number"], wanted["number"])],
        "no_side_effects": rows.only(*(f"contactgroupmembers/{key}" for key in new)),
    }


def identity_set(end: Ending) -> Mapping[str, bool]:
    """A field of the own identity has the wanted value."""
    rows, wanted = Rows(end.changes), end.parameters
    now = {column: str(value).strip() for column, value in rows.changed("identities", 1).items()}
    return {
        "changed": now == {wanted["column"]: wanted["value"]},
        "no_side_effects": rows.only(f"identities/1/{wanted['column']}"),
    }


def preference_set(end: Ending) -> Mapping[str, bool]:
    """A preference has the wanted value, and no other one has changed."""
    rows, wanted = Rows(end.changes), end.parameters
    before, now = preferences_of(end)
    return {
        "changed": now != before and now == before | {wanted["column"]: wanted["value"]},
        "no_side_effects": rows.only(PREFERENCES),
    }


def response_made(end: Ending) -> Mapping[str, bool]:
    """There is the wanted response."""
    rows, wanted = Rows(end.changes), end.parameters
    new = rows.new("responses")
    found = [(row["name"], row["data"].strip(), row["del"]) for row in new.values()]
    return {
        "made": found == [(wanted["name"], wanted["new_text"], 0)],
        "no_side_effects": rows.only(*(f"responses/{key}" for key in new)),
    }


def preferences_of(end: Ending) -> tuple[dict[str, Any], dict[str, Any]]:
    """The preferences before and after; both are empty if they have not changed, or if too many have."""
    found = end.changes.of(PREFERENCES)
    try:
        return (preferences(found[0].before), preferences(found[0].after)) if found else ({}, {})
    except ValueError:  # of a long text, only the beginning is known
        return {}, {}


def _kept_lines(end: Ending, wanted: Parameters) -> bool:
    """True if the person's card differs by the address only."""
    card = f"contacts/{wanted['number']}/vcard"
    for change in end.changes.of(card):
        before, after = (
            str(value).replace(email, "")
            for value, email in ((change.before, wanted["old_email"]), (change.after, wanted["new_email"]))
        )
        return sorted(_lines(before)) == sorted(_lines(after))
    return False


def _lines(card: str) -> list[str]:
    return [line.partition(":")[2] for line in card.split("\r\n") if not line.startswith("REV")]
