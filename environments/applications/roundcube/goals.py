"""Goals of the mail tasks: each draws a mail, a contact or a new thing, and what is to be done with it."""

import random
from collections.abc import Callable

from environments.applications.roundcube import words
from environments.applications.roundcube.world import (
    GROUPS,
    OWN_FOLDERS,
    RECENT,
    SIZES,
    Account,
    Contact,
    Mail,
)
from environments.tasks.templates import Fill, Filled, Parameters

Choose = Callable[[random.Random, Account], Mail]
More = Callable[[random.Random, Account, Mail], Parameters]
Holds = Callable[[Mail], bool]
PAGE_SIZES = (10, 20, 25, 30, 40, 60, 75, 100)


def recent(holds: Holds = lambda mail: True) -> Choose:
    """A mail that the first page shows without scrolling."""
    return lambda rng, account: rng.choice([mail for mail in account.of("INBOX")[-RECENT:] if holds(mail)])


def inside(*folders: str) -> Choose:
    """Any mail of these folders, which has to be found."""
    return lambda rng, account: rng.choice([mail for mail in account.mails if mail.folder in folders])


def lone(*folders: str) -> Choose:
    """A mail whose sender has no other one in its folder."""
    return lambda rng, account: rng.choice(account.lone(*folders))


def nothing(rng: random.Random, account: Account, mail: Mail) -> Parameters:
    """No further parameters."""
    return {}


def a_text(rng: random.Random, account: Account, mail: Mail) -> Parameters:
    """A text to write."""
    return {"new_text": new_text(rng)}


def a_receiver(rng: random.Random, account: Account, mail: Mail) -> Parameters:
    """The address of somebody else."""
    others = [one for one in account.contacts if one.email not in (mail.email, mail.copy_to)]
    return {"to": rng.choice(others).email}


def another_folder(rng: random.Random, account: Account, mail: Mail) -> Parameters:
    """A folder that the mail is not in."""
    return {"target": rng.choice([name for name in OWN_FOLDERS if name != mail.folder])}


def to(target: str) -> More:
    """A folder."""
    return lambda rng, account, mail: {"target": target}


def the_answer(answer: Callable[[Mail], str]) -> More:
    """The answer to a question about the mail."""
    return lambda rng, account, mail: {"answer": answer(mail)}


def how_many_of_sender(rng: random.Random, account: Account, mail: Mail) -> Parameters:
    """Number of the mails of the sender in the folder."""
    return {"answer": str(sum(other.sender == mail.sender for other in account.of(mail.folder)))}


def about(choose: Choose, goal: str, more: More = nothing) -> Fill:
    """Fills a goal about a mail that is chosen from the start state."""

    def fill(rng: random.Random, account: Account) -> Filled:
        mail = choose(rng, account)
        chosen = mail.model_dump(include={"folder", "uid", "id", "subject", "sender", "email", "text", "copy_to"})
        parameters = chosen | more(rng, account, mail)
        return Filled(goal.format(**parameters), parameters)

    return fill


def new_mail(goal: str) -> Fill:
    """Fills a goal about a mail that is to be written: `to`, `copy`, `subject`, `new_text`."""

    def fill(rng: random.Random, account: Account) -> Filled:
        first, second = rng.sample(account.contacts, 2)
        parameters: Parameters = {
            "to": first.email,
            "copy": second.email if "{copy}" in goal else "",
            "subject": f"{rng.choice(words.NEW_SUBJECTS)}, {rng.choice(words.PLACES)}",
            "new_text": new_text(rng),
        }
        return Filled(goal.format(**parameters), parameters)

    return fill


def contact(goal: str, answer: Callable[[Contact], str] | None = None) -> Fill:
    """Fills a goal about somebody of the address book: `name`, `new_email`, `group`."""

    def fill(rng: random.Random, account: Account) -> Filled:
        found = rng.choice(account.contacts)
        group = rng.choice([name for name in GROUPS if name not in found.groups])
        parameters: Parameters = {
            "number": found.number,
            "name": found.name,
            "old_email": found.email,
            "new_email": f"{found.name.partition(' ')[0].lower()}@{rng.choice(words.PLACES).lower()}.test",
            "group": group,
            "group_number": GROUPS.index(group) + 1,
        }
        if answer is not None:
            parameters["answer"] = answer(found)
        return Filled(goal.format(**parameters), parameters)

    return fill


def new_contact(rng: random.Random, account: Account) -> Filled:
    """Somebody who is not in the address book."""
    first, last = rng.choice(words.NEW_PEOPLE).split()
    email = f"{first}.{last}@{rng.choice(words.COMPANIES)}.test".lower()
    goal = (
        f"Add a contact with the first name {first}, the last name {last} and the e-mail address {email}; nothing else."
    )
    return Filled(goal, {"first": first, "last": last, "email": email})


def group(goal: str) -> Fill:
    """Fills a goal about a group of the address book: an old `group`, a `new_name`."""

    def fill(rng: random.Random, account: Account) -> Filled:
        old = rng.choice(GROUPS)
        parameters = {"group": old, "number": GROUPS.index(old) + 1, "new_name": rng.choice(words.NEW_GROUPS)}
        return Filled(goal.format(**parameters), parameters)

    return fill


def value(goal: str, values: tuple[str, ...] | tuple[int, ...], **parameters: str) -> Fill:
    """Fills a goal with one of the values: `value`."""

    def fill(rng: random.Random, account: Account) -> Filled:
        chosen: Parameters = {"value": rng.choice(values), **parameters}
        return Filled(goal.format(**chosen), chosen)

    return fill


def response(rng: random.Random, account: Account) -> Filled:
    """A new response, which is a text to be inserted into mails."""
    name, text = rng.choice(words.RESPONSES), new_text(rng)
    goal = f'In the settings, create a response with the name "{name}" and exactly this text: {text}'
    return Filled(goal, {"name": name, "new_text": text})


def unread(rng: random.Random, account: Account) -> Filled:
    """The number of unread mails of a folder."""
    folder = rng.choice(("INBOX", *OWN_FOLDERS))
    number = sum(not mail.is_read for mail in account.of(folder))
    name = "Inbox" if folder == "INBOX" else folder
    goal = f"How many unread mails are in the folder {name}? Answer with the number."
    return Filled(goal, {"folder": folder, "answer": str(number)})


def trash(rng: random.Random, account: Account) -> Filled:
    """Everything in the trash."""
    return Filled("Empty the folder Trash: delete all of its mails for good.", {"count": SIZES["Trash"]})


def new_text(rng: random.Random) -> str:
    """Two sentences."""
    return f"{rng.choice(words.BEGINNINGS)} {rng.choice(words.ENDINGS)}"


def copied_name(mail: Mail) -> str:
    """The full name of who got a copy."""
    first, last = mail.copy_to.partition("@")[0].split(".")
    return f"{first.capitalize()} {last.capitalize()}"
