"""Ids of rows in the tracker's database: the seed makes them in this order, and checks them."""

from collections.abc import Iterable

from environments.applications.redmine.records import (
    ACTIVITIES,
    PRIORITIES,
    STATUSES,
    TRACKERS,
    Project,
    Tracker,
)

USERS_FROM, ACTIVITIES_FROM = 5, 8
"""Ids of the first person, and of the first activity."""
ROLES = {"Manager": 3, "Developer": 4, "Reporter": 5}
Ids = dict[str, list[tuple[int, str]]]


def version_id(project: Project, name: str) -> int:
    """Id of a version."""
    return _below(project, project.versions, name)


def category_id(project: Project, name: str) -> int:
    """Id of a category."""
    return _below(project, project.categories, name)


def page_id(project: Project, title: str) -> int:
    """Id of a page of the wiki, and of its text."""
    return _below(project, [page.title for page in project.pages], title)


def ids(tracker: Tracker, people: list[str]) -> Ids:
    """Ids and names of all rows that tasks are about, by Redmine's name of the model."""
    projects = tracker.projects
    return {
        "Tracker": _numbered(TRACKERS),
        "IssueStatus": _numbered(STATUSES),
        "IssuePriority": _numbered(PRIORITIES),
        "TimeEntryActivity": _numbered(ACTIVITIES, ACTIVITIES_FROM),
        "Role": [(number, name) for name, number in ROLES.items()],
        "User": _numbered(people, USERS_FROM),
        "Project": [(project.number, project.name) for project in projects],
        "Version": [(version_id(project, name), name) for project in projects for name in project.versions],
        "IssueCategory": [(category_id(project, name), name) for project in projects for name in project.categories],
        "WikiPage": [(page_id(project, page.title), page.title) for project in projects for page in project.pages],
        "News": [(item.number, item.title) for project in projects for item in project.news],
        "Issue": [(issue.number, issue.subject) for issue in tracker.issues],
    }


def _numbered(names: Iterable[str], first: int = 1) -> list[tuple[int, str]]:
    return list(enumerate(names, start=first))


def _below(project: Project, names: tuple[str, ...] | list[str], name: str) -> int:
    """Id of something of which each project has the same number."""
    return (project.number - 1) * len(names) + names.index(name) + 1
