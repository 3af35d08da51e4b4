"""Goals of the tracker's tasks: each draws an issue or a project, and what is to be done with it."""

import random
from collections.abc import Callable
from datetime import date, timedelta

from environments.applications.redmine.ids import ACTIVITIES_FROM, USERS_FROM, category_id, version_id
from environments.applications.redmine.records import (
    ACTIVITIES,
    CLOSED,
    PRIORITIES,
    STATUSES,
    TRACKERS,
    Issue,
    Project,
    Tracker,
)
from environments.applications.redmine.world import ACTOR, END, people
from environments.tasks.templates import Fill, Filled, Parameters

Choose = Callable[[random.Random, Tracker], Issue]
More = Callable[[random.Random, Project, Issue], Parameters]
OfProject = Callable[[random.Random, Tracker, Project], Parameters]
NOTES = (
    *("I take this with me to the meeting.", "The supplier answers next week.", "Please add a drawing."),
    *("It is the same cause as last year.", "The old cable was the reason.", "We repeat the test in the evening."),
    *("Ask the caretaker for the key.", "The list was checked by two people."),
)
SUBJECTS = (
    *("Numbers do not add up", "Page stays white", "Letters are too small", "Bell rings twice", "Button does nothing"),
    *("Wrong year in the footer", "Cable is missing", "Lamp stays off"),
)
PLACES = (
    "in room 4",
    "at the side door",
    "in the north wing",
    "on the second floor",
    "at the counter",
    "in the cellar",
)
TITLES = ("Fire drill", "New telephone list", "Lunch together", "Quiet week", "Visit from the council", "Key count")
CATEGORIES = ("Accessibility", "Hosting", "Documentation", "Training", "Interfaces", "Security", "Colours")
VERSIONS = ("3.0 Elder", "3.1 Fir", "3.2 Ginkgo", "4.0 Hazel", "4.1 Ivy", "5.0 Juniper")
PAGES = ("Parking", "Holiday_plan", "Key_list", "First_aid", "Wish_list", "Sources", "Telephone_list")
TEXTS = (
    *("A pilot for the coming year, run by two people.", "Is merged with the new portal in spring."),
    *("Waits for the decision of the board.", "Looked after by the evening shift.", "Open to everybody in town."),
)


def about(choose: Choose, goal: str, more: More) -> Fill:
    """Fills a goal about an issue that is drawn."""

    def fill(rng: random.Random, tracker: Tracker) -> Filled:
        issue = choose(rng, tracker)
        project = tracker.projects[issue.project]
        parameters = of_issue(issue) | of_project(project) | more(rng, project, issue)
        return Filled(goal.format(**parameters), parameters)

    return fill


def of(goal: str, more: OfProject) -> Fill:
    """Fills a goal about a project that is drawn."""

    def fill(rng: random.Random, tracker: Tracker) -> Filled:
        project = rng.choice(tracker.projects)
        parameters = of_project(project) | more(rng, tracker, project)
        return Filled(goal.format(**parameters), parameters)

    return fill


def of_issue(issue: Issue) -> Parameters:
    """Parameters about an issue."""
    return {"number": issue.number, "subject": issue.subject}


def of_project(project: Project) -> Parameters:
    """Parameters about a project."""
    return {"project": project.name, "project_id": project.number, "identifier": project.identifier}


def own(rng: random.Random, tracker: Tracker) -> Issue:
    """An open issue of the actor, which the first page shows."""
    return rng.choice([issue for issue in tracker.issues if issue.assignee == ACTOR])


def any_open(rng: random.Random, tracker: Tracker) -> Issue:
    """An open issue of somebody else."""
    return rng.choice([issue for issue in tracker.issues if issue.is_open and issue.assignee != ACTOR])


def assigned(rng: random.Random, tracker: Tracker) -> Issue:
    """An issue that somebody else is assigned to."""
    return rng.choice([issue for issue in tracker.issues if issue.assignee not in (None, ACTOR)])


def due(rng: random.Random, tracker: Tracker) -> Issue:
    """An issue with a due date."""
    return rng.choice([issue for issue in tracker.issues if issue.due])


def worked_on(rng: random.Random, tracker: Tracker) -> Issue:
    """An issue on which time was spent more than once."""
    return rng.choice([issue for issue in tracker.issues if len(issue.entries) > 1])


def unwatched(rng: random.Random, tracker: Tracker) -> Issue:
    """An open issue that nobody watches."""
    return rng.choice([issue for issue in tracker.issues if issue.is_open and not issue.watchers])


def lone(rng: random.Random, tracker: Tracker) -> Issue:
    """An open issue without category, version, hours and related issues: nothing else changes when it moves."""
    related = {issue.related for issue in tracker.issues}
    return rng.choice(
        [
            issue
            for issue in tracker.issues
            if issue.is_open
            and not (issue.category or issue.version or issue.entries or issue.related)
            and issue.number not in related
        ]
    )


def nothing(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """No further parameters."""
    return {}


def the_answer(answer: Callable[[Issue], str]) -> More:
    """The answer to a question about the issue."""
    return lambda rng, project, issue: {"answer": answer(issue)}


def the_project(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """The project as the answer."""
    return {"answer": project.name}


def a_note(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """A text for a note."""
    return {"text": rng.choice(NOTES)}


def the_status(name: str) -> More:
    """A status that the issue does not have."""
    return lambda rng, project, issue: {"label": name, "value": STATUSES.index(name) + 1}


def another_status(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """An open status that the issue does not have."""
    return _other(rng, STATUSES, issue.status, *CLOSED)


def another_priority(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """A priority that the issue does not have."""
    return _other(rng, PRIORITIES, issue.priority)


def another_tracker(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """A tracker that the issue does not have."""
    return _other(rng, TRACKERS, issue.tracker)


def another_ratio(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """A share of the work that is done, other than the issue's."""
    value = rng.choice([value for value in range(10, 100, 10) if value != issue.done])
    return {"label": f"{value} %", "value": value}


def another_assignee(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """A developer of the project to whom the issue is not assigned."""
    name = rng.choice([name for name in project.developers if name != issue.assignee])
    return {"label": name, "value": user_id(name)}


def another_category(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """A category that the issue does not have."""
    name = rng.choice([name for name in project.categories if name != issue.category])
    return {"label": name, "value": category_id(project, name)}


def another_version(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """An open version that the issue is not of."""
    name = rng.choice([name for name in project.versions[1:] if name != issue.version])
    return {"label": name, "value": version_id(project, name)}


def another_estimate(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """A number of hours that is not the issue's estimate."""
    return {"value": rng.choice([hours / 2 for hours in range(3, 60) if hours / 2 != issue.estimate])}


def another_due_date(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """A date after the issue's start that is not its due date."""
    later = [_day(rng) for _ in range(5)]
    return {"value": next(on for on in later if on != str(issue.due))}


def another_subject(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """Another subject."""
    return {"value": f"{rng.choice(SUBJECTS)} {rng.choice(PLACES)}"}


def some_hours(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """Hours, an activity and a day."""
    place = rng.randrange(len(ACTIVITIES))
    hours = {"hours": rng.randint(2, 30) / 4, "on": str(END.date() + timedelta(days=rng.randint(1, 25)))}
    return hours | {"activity": ACTIVITIES[place], "activity_id": ACTIVITIES_FROM + place}


def a_watcher(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """A member of the project."""
    name = rng.choice(project.developers + project.reporters)
    return {"member": name, "user_id": user_id(name)}


def user_id(name: str) -> int:
    """Id of a person."""
    return USERS_FROM + people().index(name)


def _other(rng: random.Random, names: tuple[str, ...], *taken: str) -> Parameters:
    """A name that is not taken, with its id."""
    name = rng.choice([name for name in names if name not in taken])
    return {"label": name, "value": names.index(name) + 1}


def _day(rng: random.Random) -> str:
    """A day after all that has happened."""
    return str(date(2026, 11, 2) + timedelta(days=rng.randrange(300)))
