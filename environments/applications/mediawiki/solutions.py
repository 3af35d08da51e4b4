"""Scripted solutions of the wiki's templates, as lists of moves."""

from agent.types import AgentAction
from browser_service.models import Observation
from environments.marks import fill
from environments.tasks.scripts import Move, answering, called, go, press, script, to_the_end, write
from environments.tasks.templates import Parameters, Solve

ARTICLE, EDITOR, ACTION = "/wiki/{path}", "Wikitext source editor", "/index.php?title={path}&action="
REAL_NAME = "Real name: Real name is optional. If provided, it may be used to give you attribution for your work."


def into(name: str, value: str) -> Move:
    """Replaces the text of a field with suggestions."""

    def move(parameters: Parameters, observation: Observation) -> AgentAction:
        return fill(called(observation, name, "combobox", "textbox"), value.format(**parameters))

    return move


def edit(address: str, text: str, button: str, *before: Move) -> Solve:
    """Opens an editor, replaces its text, and saves the page by a button."""
    return script(go(address), *before, write(EDITOR, text), to_the_end, press(button, "button"))


READ, READ_HISTORY, READ_LINKS = (
    answering(go(address)) for address in (ARTICLE, ACTION + "history", "/wiki/Special:WhatLinksHere/{path}")
)
WATCH, UNWATCH = script(go(ARTICLE), press("Watch")), script(go(ARTICLE), press("Unwatch"))
CREATE = edit("/index.php?title={new_path}&action=edit", "{text}", "Save page")
OWN_PAGE = edit("/index.php?title=User:{new_path}&action=edit", "{text}", "Save page")
REDIRECT = edit("/index.php?title={new_path}&action=edit", "#REDIRECT [[{title}]]", "Save page")
RETARGET = edit(ACTION + "edit", "#REDIRECT [[{target}]]", "Save changes")
SECTION = edit(ACTION + "edit&section={section}", "== {heading} ==\n{text}", "Save changes")
CATEGORISE = edit(ACTION + "edit&section=3", "{edited}", "Save changes")
NEW_TOPIC = "/index.php?title={talk}&action=edit&section=new"
TOPIC = edit(NEW_TOPIC, "{text}", "Save changes", write("Subject:", "{subject}"))
TOPIC_ON_NEW_PAGE = edit(NEW_TOPIC, "{text}", "Save page", write("Subject:", "{subject}"))
UNDO = script(go(ACTION + "history"), press("undo", "link"), to_the_end, press("Save changes", "button"))
MOVE_TO = (go("/wiki/Special:MovePage/{path}"), into("wpNewTitleMain", "{new_title}"))
RENAME = script(*MOVE_TO, press("Move page", "button"))
RENAME_ALONE = script(*MOVE_TO, press("Leave a redirect behind", "checkbox"), press("Move page", "button"))
PROTECT, UNPROTECT = (
    script(
        go(ACTION + "protect"),
        press(before, "combobox"),
        press(after, "option"),
        to_the_end,
        press("Confirm", "button"),
    )
    for before, after in (
        ("Allow all users", "Allow only administrators"),
        ("Allow only administrators", "Allow all users"),
    )
)
DELETE = script(go(ACTION + "delete"), press("Delete page", "button"))
RESTORE = script(go("/wiki/Special:Undelete/{path}"), press("Undelete", "button"))
BLOCK = script(
    go("/wiki/Special:Block/{user}"),
    to_the_end,
    press("Other time:", "combobox", last=False),
    press("{expiry}", "option"),
    to_the_end,
    press("Block this user", "button"),
)
UNBLOCK = script(go("/wiki/Special:Unblock/{user}"), press("Remove this block", "button"))
PROMOTE = script(
    go("/wiki/Special:UserRights/{user}"), press("administrator", "checkbox"), press("Save user groups", "button")
)
SET_REAL_NAME = script(go("/wiki/Special:Preferences"), write(REAL_NAME, "{text}"), press("Save", "button"))
