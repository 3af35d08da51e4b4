"""Scripted solutions of the tracker's templates, as lists of moves."""

from agent.types import AgentAction
from browser_service.models import Observation, Observe
from environments.tasks.scripts import Move, answering, choose, go, press, script, to_the_end, write
from environments.tasks.templates import Parameters, Solve

BUTTON, LINK = "button", "link"
ISSUE, SETTINGS = "/issues/{number}", "/projects/{identifier}/settings"


def look(parameters: Parameters, observation: Observation) -> AgentAction:
    """Only looks again: a list is filled after a moment."""
    return Observe()


def edit(*moves: Move) -> Solve:
    """Opens the issue's form and makes the moves, and sends it."""
    return script(go(ISSUE + "/edit"), *moves, to_the_end, press("Submit", BUTTON))


def form(path: str, *moves: Move, send: str = "Create") -> Solve:
    """Opens a form of the project and makes the moves, and sends it."""
    return script(go("/projects/{identifier}" + path), *moves, press(send, BUTTON))


READ = answering(go(ISSUE))
READ_OWN = answering(go("/my/page"))
READ_LIST = answering(go("/projects/{identifier}/issues"))
READ_VERSION = answering(go("/versions/{version_id}"))
NOTE = edit(to_the_end, write("", "{text}"))
SET_STATUS, CLOSE = edit(choose("Status *", "{label}")), edit(choose("Status *", "Closed"))
SET_PRIORITY, ASSIGN = edit(choose("Priority *", "{label}")), edit(choose("Assignee", "{label}"))
SET_TRACKER, MOVE = edit(choose("Tracker *", "{label}")), edit(choose("Project *", "{label}"))
SET_CATEGORY, SET_VERSION = edit(choose("Category", "{label}")), edit(choose("Target version", "{label}"))
SET_RATIO, SET_DUE = edit(choose("% Done", "{label}")), edit(write("Due date", "{value}"))
SET_ESTIMATE, RENAME = edit(write("Estimated time", "{value}")), edit(write("Subject *", "{value}"))
LOG = script(
    go(ISSUE + "/time_entries/new"),
    *(
        write("Date *", "{on}"),
        write("Hours *", "{hours}"),
        choose("Activity *", "{activity}"),
        press("Create", BUTTON),
    ),
)
CREATE = form(
    "/issues/new",
    *(choose("Tracker *", "{tracker}"), write("Subject *", "{subject}"), choose("Priority *", "{priority}")),
    *(choose("Assignee", "{assignee}"), to_the_end),
)
WATCH = script(go(ISSUE), press("Watch", LINK))
ADD_WATCHER = script(
    go(ISSUE),
    *(
        press("Add", LINK),
        write("Search for user:", "{member}"),
        look,
        press("{member}", "checkbox"),
        press("Add", BUTTON),
    ),
)
RELATE = script(
    go(ISSUE), press("Add", LINK, last=True), write("relation[issue_to_id]", "{other}"), press("Add", BUTTON)
)
ADD_NEWS = form("/news/new", write("Title *", "{title}"), write("Description *", "{text}"))
COMMENT_NEWS = script(go("/news/{news}"), press("Add a comment"), write("", "{text}"), press("Add", BUTTON))
ADD_VERSION = form("/versions/new", write("Name *", "{name}"), write("Due date", "{on}"))
CLOSE_VERSION = script(go("/versions/{version_id}/edit"), choose("Status", "closed"), press("Save", BUTTON))
ADD_CATEGORY = form("/issue_categories/new", write("Name *", "{name}"))
WRITE_PAGE = script(go("/projects/{identifier}/wiki/{title}/edit"), write("", "{text}"), press("Save", BUTTON))
DESCRIBE = script(go(SETTINGS), write("Description", "{text}"), to_the_end, press("Save", BUTTON))
JOIN = script(
    go(SETTINGS + "/members"),
    *(press("New member", LINK), press("{person}", "checkbox"), press("{role}", "checkbox"), press("Add", BUTTON)),
)
