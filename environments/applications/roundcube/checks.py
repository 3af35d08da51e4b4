"""Checks of answers, and of mails: the wanted rows are there, and nothing changed that does not follow from them."""

from collections.abc import Mapping
from typing import Any

from environments.applications.hosted.rows import Row, Rows
from environments.applications.roundcube.site.account import ACCOUNT
from environments.applications.roundcube.world import ACTOR
from environments.tasks.templates import Check, Ending, Parameters

FROM = f"{ACTOR} <{ACCOUNT}>"
QUOTE = ">"


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
