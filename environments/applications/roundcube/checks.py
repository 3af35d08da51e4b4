"""Checks of the mail templates: the wanted rows are there, and nothing changed that does not follow from them."""

from collections.abc import Mapping
from typing import Any

from environments.applications.hosted.rows import Row, Rows
from environments.applications.roundcube.preferences import preferences
from environments.applications.roundcube.site.account import ACCOUNT
from environments.applications.roundcube.world import ACTOR
from environments.tasks.answers import is_number, is_text
from environments.tasks.templates import Check, Ending, Parameters

FROM = f"{ACTOR} <{ACCOUNT}>"
QUOTE = ">"
PREFERENCES = "users/1/preferences"


def number_answered(end: Ending) -> Mapping[str, bool]:
    """The answer is the number, and nothing changed."""
    return {"answer": is_number(end.answer, float(end.parameters["answer"])), "no_side_effects": end.changes.only()}


def text_answered(end: Ending) -> Mapping[str, bool]:
    """The answer is the text, and nothing changed."""
    return {"answer": is_text(end.answer, end.parameters["answer"]), "no_side_effects": end.changes.only()}


def marked(flag: str, value: bool) -> Check:
    """The mail has the flag, or no longer."""

    def check(end: Ending) -> Mapping[str, bool]:
        rows, wanted = Rows(end.changes), end.parameters
        path = path_of(wanted)
        return {
            "marked": rows.changed(table_of(wanted), wanted["id"]) == {flag: value},
            "no_side_effects": rows.only(f"{path}/{flag}"),
        }

    return check


def moved(end: Ending) -> Mapping[str, bool]:
    """The mail is in the wanted folder, as it was, and no longer where it was."""
    rows, wanted = Rows(end.changes), end.parameters
    target = f"mail.{wanted['target']}"
    gone, new = rows.gone(table_of(wanted)), rows.new(target)
    return {
        "moved": bool(gone) and new == gone and list(new) == [wanted["id"]],
        "no_side_effects": rows.only(path_of(wanted), f"{target}/{wanted['id']}"),
    }


def sent(end: Ending) -> Mapping[str, bool]:
    """A mail with the wanted subject and text went to the wanted addresses, once, and is kept in the folder Sent."""
    wanted = end.parameters
    return _sent(end, wanted["to"], wanted["copy"], wanted["subject"], lambda row: row["text"] == wanted["new_text"])


def replied(end: Ending) -> Mapping[str, bool]:
    """A reply with the wanted text went to the sender."""
    wanted = end.parameters
    return _sent(end, wanted["email"], "", f"Re: {wanted['subject']}", _is_reply(wanted), "is_answered")


def replied_to_all(end: Ending) -> Mapping[str, bool]:
    """A reply with the wanted text went to the sender, and to who had got a copy."""
    wanted = end.parameters
    subject = f"Re: {wanted['subject']}"
    return _sent(end, wanted["email"], wanted["copy_to"], subject, _is_reply(wanted), "is_answered")


def forwarded(end: Ending) -> Mapping[str, bool]:
    """The mail went to the wanted address, with all that it says."""
    wanted = end.parameters

    def says_it(row: Row) -> bool:
        return _plain(wanted["text"]) in _plain(row["text"]) and wanted["subject"] in row["text"]

    return _sent(end, wanted["to"], "", f"Fwd: {wanted['subject']}", says_it, "keywords")


def saved_as_draft(end: Ending) -> Mapping[str, bool]:
    """The wanted mail is in the folder Drafts, and was not sent."""
    rows, wanted = Rows(end.changes), end.parameters
    drafts = rows.new("mail.Drafts")
    fits = [
        _fits(row, wanted["to"], "", wanted["subject"]) and row["text"] == wanted["new_text"] for row in drafts.values()
    ]
    return {"saved": fits == [True], "no_side_effects": rows.only(*(f"mail.Drafts/{key}" for key in drafts))}


def emptied(end: Ending) -> Mapping[str, bool]:
    """All mails of the folder Trash are gone."""
    rows = Rows(end.changes)
    gone = rows.gone("mail.Trash")
    return {
        "emptied": len(gone) == end.parameters["count"],
        "no_side_effects": rows.only(*(f"mail.Trash/{key}" for key in gone)),
    }


def folder_made(end: Ending) -> Mapping[str, bool]:
    """There is the wanted folder, at the top, in the list of folders."""
    rows, name = Rows(end.changes), end.parameters["value"]
    return {
        "made": rows.new("folders") == {name: {"id": name, "is_subscribed": True}},
        "no_side_effects": rows.only(f"folders/{name}"),
    }


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
    """The preferences before and after; both are empty if they have not changed."""
    found = end.changes.of(PREFERENCES)
    return (preferences(found[0].before), preferences(found[0].after)) if found else ({}, {})


def table_of(wanted: Parameters) -> str:
    """Table of the mail's folder."""
    return f"mail.{wanted['folder']}"


def path_of(wanted: Parameters) -> str:
    """Path of the mail."""
    return f"{table_of(wanted)}/{wanted['id']}"


def _sent(end: Ending, to: str, copy: str, subject: str, says_it: Any, trace: str = "") -> Mapping[str, bool]:
    """Criteria for a mail that was sent. `trace`: column of the mail that was answered or forwarded."""
    rows, wanted = Rows(end.changes), end.parameters
    outbox, kept = rows.new("outbox"), rows.new("mail.Sent")
    receivers = sorted(filter(None, (to, copy)))
    fits = [
        _fits(row, to, copy, subject) and sorted(row["delivered_to"].split(", ")) == receivers
        for row in outbox.values()
    ]
    # Who answers a mail, or forwards it, has read it.
    traces = [f"{path_of(wanted)}/{column}" for column in (trace, "is_read")] if trace else []
    return {
        "sent": fits == [True],
        "text": [bool(says_it(row)) for row in outbox.values()] == [True],
        "no_side_effects": not (trace and rows.changed(table_of(wanted), wanted["id"]).get("is_read") is False)
        and sorted(kept) == sorted(row["id"] for row in outbox.values())
        and rows.only(*(f"outbox/{key}" for key in outbox), *(f"mail.Sent/{key}" for key in kept), *traces),
    }


def _fits(row: Row, to: str, copy: str, subject: str) -> bool:
    """True for a mail of the account with these receivers and this subject, and nothing attached."""
    return (
        (_address(row["to"]), _address(row["cc"])) == (to, copy)
        and row["subject"] == subject
        and row["from"] == FROM
        and not (row["attachments"] or row["bcc"] or row["reply_to"] or row["x_priority"])
    )


def _address(header: str) -> str:
    return header.partition("<")[2].rstrip(">") or header


def _is_reply(wanted: Parameters) -> Any:
    """True for a mail that has the wanted text and nothing else of its own: what it quotes may be there."""

    def says_it(row: Row) -> bool:
        own = [line for line in row["text"].splitlines() if not line.startswith(QUOTE)]
        said = [line for line in own if line.strip() and not (line.startswith("On ") and line.endswith(" wrote:"))]
        return "\n".join(said).strip() == wanted["new_text"] and row["in_reply_to"] == f"<{wanted['id']}>"

    return says_it


def _plain(text: str) -> str:
    return " ".join(text.split())


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
