"""The start state: folders with mails, an address book, an account; the same for every episode."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict

from environments.applications.roundcube import words
from environments.applications.roundcube.site.account import ACCOUNT

ACTOR = "Robin Vale"
"""Whose mails they are."""
ORGANIZATION = "Harbour Workshop"
SESSION = "rlloopmailsession00000000000001"
SIZES = {
    "INBOX": 420,
    **{"Projects": 220, "Invoices": 180, "Travel": 150, "Family": 130, "Newsletters": 170, "Archive": 320},
    **{"Sent": 300, "Drafts": 6, "Junk": 24, "Trash": 18},
}
"""Mails by folder."""
RECENT = 10
"""The newest mails of the inbox, which its page shows without scrolling: some unread, some flagged, some with copies."""
OWN_FOLDERS = ("Projects", "Invoices", "Travel", "Family", "Newsletters", "Archive")
"""Folders that the account's owner has made."""
LAST_DAY = datetime(2025, 11, 14, 17, 30, tzinfo=UTC)
GROUPS = ("Suppliers", "Neighbours", "Choir", "Board", "Cyclists")


class Mail(BaseModel):
    """A mail. Example: `Mail(folder="INBOX", uid=417, subject="The ladder in Porto", sender="Ada Ash", ...)`."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    folder: str
    uid: int
    """Its number in the folder, by which pages know it."""
    id: str
    subject: str
    sender: str
    """The full name."""
    email: str
    """The sender's address."""
    receiver: str
    date: str
    """Day. Example: `2025-11-13`."""
    text: str
    total: str
    """Amount that an invoice names; empty for other mails."""
    attachment: str
    is_read: bool
    is_flagged: bool
    copy_to: str
    """The address that got a copy; empty without one."""


class Contact(BaseModel):
    """A row of the address book. Example: `Contact(number=3, name="Ada Cedar", email="ada.cedar@lighthouse.test", ...)`."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    number: int
    """Its id in the database."""
    name: str
    email: str
    phone: str
    groups: tuple[str, ...]


class Account(BaseModel):
    """The start state as the task templates see it."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    mails: tuple[Mail, ...]
    contacts: tuple[Contact, ...]

    def of(self, folder: str) -> list[Mail]:
        """The mails of a folder, the newest last."""
        return [mail for mail in self.mails if mail.folder == folder]

    def lone(self, *folders: str) -> list[Mail]:
        """Mails whose sender has sent no other one that is in the same folder."""
        counted = Counter((mail.folder, mail.sender) for mail in self.mails)
        return [mail for mail in self.mails if mail.folder in folders and counted[mail.folder, mail.sender] == 1]


@lru_cache(maxsize=1)
def world() -> dict[str, Any]:
    """Everything that is seeded, as JSON: 1,938 mails in 11 folders, 78 contacts in 5 groups."""
    rng = random.Random("mail 1")
    people = _people(rng)
    subjects = _subjects(rng)
    folders = {name: _folder(rng, name, size, people, subjects) for name, size in SIZES.items()}
    emails = [one["email"] for one in people]
    return {
        "actor": ACTOR,
        "organization": ORGANIZATION,
        "session": SESSION,
        "contacts": people,
        "groups": [{"name": name, "members": sorted(rng.sample(emails, 6))} for name in GROUPS],
        "responses": [{"name": "Thanks", "data": "Thank you, I have got it."}],
        "folders": folders,
    }


@lru_cache(maxsize=1)
def account() -> Account:
    """The start state."""
    made = world()
    names = {one["email"]: f"{one['firstname']} {one['surname']}" for one in made["contacts"]} | {ACCOUNT: ACTOR}
    mails = tuple(
        Mail(
            folder=folder,
            uid=uid,
            id=one["id"],
            subject=one["subject"],
            sender=names[one["sender"]],
            email=one["sender"],
            receiver=names[one["receiver"]],
            date=one["date"][:10],
            text=one["text"],
            total=one["total"],
            attachment=one["attachment"],
            is_read="\\Seen" in one["flags"],
            is_flagged="\\Flagged" in one["flags"],
            copy_to=one["cc"].partition("<")[2].rstrip(">"),
        )
        for folder, found in made["folders"].items()
        for uid, one in enumerate(found, start=1)
    )
    contacts = tuple(
        Contact(
            number=number,
            name=names[one["email"]],
            email=one["email"],
            phone=one["phone"],
            groups=tuple(group["name"] for group in made["groups"] if one["email"] in group["members"]),
        )
        for number, one in enumerate(made["contacts"], start=1)
    )
    return Account(mails=mails, contacts=contacts)


def _people(rng: random.Random) -> list[dict[str, str]]:
    made = []
    for first in words.FIRST:
        for last in words.LAST:
            company = rng.choice(words.COMPANIES)
            email = f"{first}.{last}@{company}.test".lower()
            phone = f"+49 30 {rng.randint(100_000, 999_999)}"
            person = {"firstname": first, "surname": last, "email": email, "phone": phone}
            made.append(person | {"organization": company.capitalize()})
    rng.shuffle(made)
    return made


def _subjects(rng: random.Random) -> list[str]:
    """Subjects, each of them once."""
    made: list[str] = [
        pattern.format(thing=thing, place=place)
        for pattern in words.SUBJECTS
        for thing in words.THINGS
        for place in words.PLACES
    ]
    rng.shuffle(made)
    return made


def _folder(
    rng: random.Random, name: str, size: int, people: list[dict[str, str]], subjects: list[str]
) -> list[dict[str, Any]]:
    """The mails of a folder, the oldest first."""
    hours = sorted(rng.sample(range(12 * size), size), reverse=True)
    return [
        _mail(rng, name, number, LAST_DAY - timedelta(hours=before, minutes=rng.randrange(60)), people, subjects.pop())
        for number, before in enumerate(hours, start=1)
    ]


def _mail(
    rng: random.Random, folder: str, number: int, at: datetime, people: list[dict[str, str]], subject: str
) -> dict[str, Any]:
    other, third = rng.sample(people, 2)
    mine = {"firstname": "Robin", "surname": "Vale", "email": ACCOUNT}
    sender, receiver = (mine, other) if folder in ("Sent", "Drafts") else (other, mine)
    total = f"{rng.randint(40, 1_900)}.{rng.choice((25, 50, 75, 90))}" if folder == "Invoices" else ""
    is_new = folder == "INBOX" and number > SIZES[folder] - RECENT
    is_unread = (is_new and number % 2 == 0) or (folder not in ("Sent", "Drafts", "Trash") and rng.random() < 0.2)
    is_flagged = number % 3 == 0 if is_new else folder not in ("Drafts", "Trash") and rng.random() < 0.12
    has_copies = number % 5 < 2 if is_new else folder != "Drafts" and rng.random() < 0.1
    flags = [flag for flag, holds in (("\\Seen", not is_unread), ("\\Flagged", is_flagged)) if holds]
    return {
        "id": f"{folder.lower()}.{number}@{sender['email'].partition('@')[2]}",
        "subject": subject,
        "from": _address(sender),
        "to": _address(receiver),
        "cc": _address(third) if has_copies else "",
        "sender": sender["email"],
        "receiver": receiver["email"],
        "date": at.isoformat(),
        "flags": flags + (["\\Draft"] if folder == "Drafts" else []),
        "text": _text(rng, sender["firstname"], receiver["firstname"], total),
        "total": total,
        "attachment": f"invoice-{number:03}.txt" if total else "",
    }


def _address(person: dict[str, str]) -> str:
    return f"{person['firstname']} {person['surname']} <{person['email']}>"


def _text(rng: random.Random, sender: str, receiver: str, total: str) -> str:
    said = " ".join(rng.sample(words.SENTENCES, rng.randint(2, 4)))
    due = f"\n\nThe total of this invoice is {total} EUR." if total else ""
    return f"Dear {receiver},\n\n{said}{due}\n\n{rng.choice(words.GREETINGS)}\n{sender}\n"
