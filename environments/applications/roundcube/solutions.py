"""Scripted solutions of the mail templates, as lists of moves."""

from agent.types import AgentAction
from browser_service.models import Observation, Sleep
from environments.base import Unsolvable
from environments.marks import describe, fill, marks
from environments.tasks.scripts import Move, answering, go, press, script, write
from environments.tasks.templates import Parameters, Solve

MAIL = "/?_task=mail&_mbox={folder}&_uid={uid}&_action=show"
CONTACT = "/?_task=addressbook&_source=0&_cid={number}&_action="
IDENTITY = "/?_task=settings&_action=edit-identity&_iid=1"
COMPOSE = "/?_task=mail&_action=compose"
WAIT_S = 1.5


def receiver(value: str, place: int = 0) -> Move:
    """Writes an address into the first, or another, empty field for receivers."""

    def move(parameters: Parameters, observation: Observation) -> AgentAction:
        fields = [mark for mark in marks(observation, "combobox") if not mark.options]
        if len(fields) <= place:
            raise Unsolvable(f"Expected a field for receivers on {observation.url}, found {describe(observation)}.")
        return fill(fields[place], f"{value.format(**parameters)}, ")

    return move


def wait(parameters: Parameters, observation: Observation) -> AgentAction:
    """Waits a moment: what was pressed is asked of the server, or opens a form in a frame."""
    return Sleep(duration=WAIT_S)


def on_mail(*moves: Move) -> Solve:
    """Opens the mail and goes on."""
    return script(go(MAIL), *moves, wait)


def sending(*moves: Move) -> Solve:
    """Sends at the end."""
    return script(*moves, press("Send", "button"), wait, wait)


FLAG, UNFLAG = (on_mail(press("Mark"), press(f"As {state}")) for state in ("flagged", "unflagged"))
READ, UNREAD = (on_mail(press("Mark"), press(f"As {state}")) for state in ("read", "unread"))
DELETE = on_mail(press("Delete", "menuitem"))
MOVE = on_mail(press("More"), press("Move to..."), press("{target}", "link", last=True))
RESTORE = on_mail(press("More"), press("Move to..."), press("Inbox", "link", last=True))
BODY = write("Message Body", "{new_text}")
REPLY = sending(go(MAIL), press("Reply"), BODY)
REPLY_ALL = sending(go(MAIL), press("Reply all"), BODY)
FORWARD = sending(go(MAIL), press("Forward"), receiver("{to}"))
WRITE = (go(COMPOSE), receiver("{to}"), write("Subject", "{subject}"), BODY)
SEND = sending(*WRITE)
SEND_COPY = sending(
    *WRITE[:2], press("Add recipient (header)"), press("Cc", "menuitem"), receiver("{copy}", 1), *WRITE[2:]
)
DRAFT = script(*WRITE, press("Save", "menuitem"), wait)
ANSWER = answering(go("/?_task=mail"))
EMPTY = script(
    go("/?_task=mail&_mbox=Trash"),
    *(press("Folder actions..."), press("Empty", "menuitem"), press("Delete", "button"), wait),
)
ADD_FOLDER = script(
    go("/?_task=settings&_action=folders"),
    *(press("Create", "menuitem"), wait, write("Folder name", "{value}"), press("Save", "button"), wait),
)
ADD_CONTACT = script(
    go("/?_task=addressbook"),
    *(press("Create", "menuitem"), wait),
    *(write("First Name", "{first}"), write("Last Name", "{last}"), write("Email", "{email}")),
    *(press("Save", "button"), wait),
)
SET_EMAIL = script(go(CONTACT + "edit"), write("Email", "{new_email}"), press("Save", "button"), wait)
DELETE_CONTACT = script(
    go("/?_task=addressbook"),
    write("Search terms", "{name}", press_enter=True),
    *(wait, press("{name}", "option"), wait, press("Delete", "menuitem"), press("Delete", "button"), wait),
)
ADD_TO_GROUP = script(go(CONTACT + "show"), press("Groups", "tab"), press("{group}", "checkbox"), wait)
ADD_GROUP = script(
    go("/?_task=addressbook"),
    press("Addressbook/group options"),
    *(press("Add group", "menuitem"), write("Name", "{new_name}"), press("Save", "button"), wait),
)
RENAME_GROUP = script(
    go("/?_task=addressbook"),
    press("{group}", "treeitem"),
    wait,
    press("Addressbook/group options"),
    *(press("Rename group", "menuitem"), write("Name", "{new_name}"), press("Save", "button"), wait),
)
SET_IDENTITY = script(go(IDENTITY), write("{label}", "{value}"), press("Save", "button"), wait)
SET_PAGE_SIZE = script(
    go("/?_task=settings&_action=edit-prefs&_section=mailbox"),
    *(write("Rows per page", "{value}"), press("Save", "button"), wait),
)
ADD_RESPONSE = script(
    go("/?_task=settings&_action=edit-response"),
    *(write("Name", "{name}"), write("Text", "{new_text}"), press("Save", "button"), wait),
)
