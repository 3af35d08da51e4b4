"""Scripted solutions of the forum's templates, as lists of moves."""

from environments.tasks.scripts import Move, answering, choose, go, press, press_after, script, to_the_end, write
from environments.tasks.templates import Solve

THREAD = "/t/thread/{number}/"
BUTTON = "button"


def moderate(item: str, *more: Move) -> Solve:
    """Opens the thread, chooses an item of its options, and goes on."""
    return script(go(THREAD), press("settings", BUTTON), press(item, BUTTON), *more)


REPLY = script(go(THREAD), press("Reply", BUTTON), write("", "{text}"), press("Post reply", BUTTON))
EDIT = script(go(THREAD), press("Edit", BUTTON), write("", "{text}"), press("Edit reply", BUTTON))
LIKE = script(go(THREAD), press("Like", BUTTON))
LIKE_REPLY = script(go(THREAD + "#post-{post}"), press_after("{poster}", "Like", BUTTON))
HIDE_REPLY = script(
    go(THREAD + "#post-{post}"), press_after("{poster}", "expand_more", BUTTON), press_after("{poster}", "Hide", BUTTON)
)
CLOSE, OPEN, HIDE = moderate("Close"), moderate("Open"), moderate("Hide")
PIN, PIN_GLOBALLY = moderate("Pin in category"), moderate("Pin globally")
RENAME = moderate("Change title", write("Thread title", "{new_title}"), press("Change title", BUTTON, last=True))
MOVE = moderate("Move", choose("", "{new_category}"), press("Move thread", BUTTON))
WATCH = script(go(THREAD), press("Watch", BUTTON), press("On site only", BUTTON))
WATCH_BY_EMAIL = script(go(THREAD), press("Watch", BUTTON), press("On site and with e-mail", BUTTON))
FOLLOW = script(go("/u/{slug}/{member}/"), press("Follow", BUTTON))
PROFILE = script(go("/options/edit-details/"), write("{label}", "{text}", press_enter=True))
OPTION = script(
    go("/options/forum-options/"), press("Hide my presence", BUTTON), to_the_end, press("Save changes", BUTTON)
)
START = (
    go("/"),
    press("Start thread", BUTTON),
    write("Thread title", "{title}"),
    choose("", "{category}"),
    write("", "{text}"),
)
START_THREAD = script(*START, press("Start thread", BUTTON, last=True))
START_CLOSED = script(
    *START, press("more_horiz", BUTTON), press("Closed", BUTTON), press("Start thread", BUTTON, last=True)
)
POLL = script(
    go(THREAD),
    press("Add poll", BUTTON),
    write("Poll question", "{question}"),
    write("Poll choice", "{first}"),
    write("Poll choice", "{second}", last=True, press_enter=True),
)
READ = answering(go(THREAD))
