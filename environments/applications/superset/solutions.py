"""Scripted solutions of Superset's templates, as lists of moves.

Its pages are built by scripts and come late on a busy machine, so a script waits where a person would.
"""

from agent.types import AgentAction
from browser_service.models import Observation, Observe, Sleep
from environments.base import Unsolvable
from environments.marks import FIELDS, fill, nth
from environments.tasks.scripts import Move, answering, called, go, press, script, write
from environments.tasks.templates import Parameters, Solve

BUTTON = "button"
PAUSE_S = 6.0
OPENING_S = (3.0, 8.0, 20.0)
"""Pauses until a page is built: on a busy machine that takes half a minute."""
CONFIRM = 'Type "DELETE" to confirm'


def wait(name: str, *roles: str, pause_s: float = PAUSE_S) -> Move:
    """Waits a while if the page has no such mark yet, or still changes."""

    def move(parameters: Parameters, observation: Observation) -> AgentAction:
        try:
            called(observation, name.format(**parameters), *roles)
        except Unsolvable:
            return Sleep(duration=pause_s)
        return Observe() if observation.settled else Sleep(duration=1)

    return move


def pause(parameters: Parameters, observation: Observation) -> AgentAction:
    """Waits until what was sent is stored."""
    return Sleep(duration=4)


def write_into(place: int, value: str) -> Move:
    """Fills the field at a place, from 0: some have no name."""
    return lambda parameters, observation: fill(nth(observation, place, *FIELDS), value.format(**parameters))


def opened(path: str, name: str, *roles: str) -> tuple[Move, ...]:
    """Opens a page and waits for a mark."""
    return go(path), *(wait(name, *roles, pause_s=pause_s) for pause_s in OPENING_S)


def saving(*moves: Move) -> Solve:
    """Makes the moves; the last one sends something."""
    return script(*moves, pause)


BOARD = opened("/superset/dashboard/{dashboard}/", "Edit dashboard", BUTTON)
LISTED_BOARD = opened("/dashboard/list/?filters=(dashboard_title:'{title}')", "edit", BUTTON)
LISTED_CHART = opened("/chart/list/?filters=(slice_name:'{name}')", "edit", BUTTON)
EXPLORED = opened("/explore/?slice_id={chart}", "Update chart", BUTTON)
PROPERTIES = (press("edit", BUTTON), wait("Save", BUTTON))
SAVE = press("Save", BUTTON)
DELETE = (press("delete", BUTTON), wait(CONFIRM), write(CONFIRM, "DELETE"), press("Delete", BUTTON))
EDITOR = (*opened("/sqllab/?dbid=1&name=Query&sql=%20", "Limit 1K", BUTTON), write("", "{sql}"), wait("Run", BUTTON))

READ_BOARD, READ_CHART = answering(*BOARD), answering(*EXPLORED)
READ_LIST = answering(*LISTED_CHART)
READ_OWNERS = answering(
    *LISTED_BOARD, *PROPERTIES, press("Access & ownership Manage dashboard owners and access permissions", "tab")
)
READ_QUERY = answering(*opened("/sqllab/?dbid=1&name=Query&sql=%20", "Limit 1K", BUTTON))
STAR_BOARD = saving(*BOARD, press("unstarred", BUTTON))
STAR_CHART = saving(*LISTED_CHART, press("unstarred", BUTTON))
PUBLISH = saving(*BOARD, press("Draft", BUTTON))
UNPUBLISH = saving(*BOARD, press("Published", BUTTON))
RENAME_BOARD = saving(*LISTED_BOARD, *PROPERTIES, write("The display name of your dashboard", "{new_title}"), SAVE)
SET_SLUG = saving(*LISTED_BOARD, *PROPERTIES, write("A readable URL for your dashboard", "{slug}"), SAVE)
CERTIFY_BOARD = saving(
    *(*LISTED_BOARD, *PROPERTIES),
    press("Certification Add certification details for this dashboard", "tab"),
    *(pause, write_into(0, "{certifier}"), SAVE),
)
DELETE_BOARD = saving(*LISTED_BOARD, *DELETE)
ADD_BOARD = saving(
    *opened("/dashboard/new/", "Dashboard title"),
    *(write("Dashboard title", "{new_title}", press_enter=True), wait("Save", BUTTON), SAVE),
)
RENAME_CHART = saving(*LISTED_CHART, *PROPERTIES, write("Name", "{new_name}"), SAVE)
DESCRIBE_CHART = saving(*LISTED_CHART, *PROPERTIES, write_into(1, "{text}"), SAVE)
CERTIFY_CHART = saving(
    *(*LISTED_CHART, *PROPERTIES),
    press("Advanced Certification and additional settings", "tab"),
    *(pause, write("Certified by", "{certifier}"), SAVE),
)
DELETE_CHART = saving(*LISTED_CHART, *DELETE)
COPY_CHART = saving(
    *(*EXPLORED, SAVE, wait("Save as...", "radio"), press("Save as...", "radio"), write("Name", "{new_name}"), SAVE)
)
NEW_LAYER = (*opened("/annotationlayer/list/", "delete", BUTTON), press("Annotation layer", BUTTON), wait("name"))
ADD_LAYER = saving(
    *(*NEW_LAYER, write("name", "{name}"), write("Description (this can be seen in the list)", "{text}")),
    press("Add", BUTTON),
)


def in_list(path: str, column: str) -> tuple[Move, ...]:
    """A list with the row whose name is the parameter `name`."""
    return opened(f"{path}?filters=({column}:'{{name}}')", "delete", BUTTON)


LISTED_LAYER = in_list("/annotationlayer/list/", "name")
RENAME_LAYER = saving(*LISTED_LAYER, *PROPERTIES, write("name", "{new_title}"), SAVE)
DELETE_LAYER = saving(*LISTED_LAYER, *DELETE)
DELETE_QUERY = saving(*in_list("/savedqueryview/list/", "label"), *DELETE)
DELETE_STYLE = saving(*in_list("/csstemplatemodelview/list/", "template_name"), *DELETE)
RUN_QUERY = saving(*EDITOR, press("Run", BUTTON), pause)
SAVE_QUERY = saving(*EDITOR, SAVE, pause, write_into(0, "{label}"), SAVE)
