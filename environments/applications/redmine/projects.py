"""Goals about whole projects: counting their issues, and adding to them."""

import random

from environments.applications.redmine.goals import (
    CATEGORIES,
    NOTES,
    PAGES,
    PLACES,
    SUBJECTS,
    TEXTS,
    TITLES,
    VERSIONS,
    user_id,
)
from environments.applications.redmine.ids import ROLES, page_id, version_id
from environments.applications.redmine.records import PRIORITIES, TRACKERS, Issue, Project, Tracker
from environments.applications.redmine.world import ACTOR, people, tracker
from environments.tasks.templates import Parameters


def an_issue(rng: random.Random, world: Tracker, project: Project) -> Parameters:
    """Fields of a new issue."""
    kind, priority, name = rng.choice(TRACKERS), rng.choice(PRIORITIES), rng.choice(project.developers)
    return {
        "tracker": kind,
        "tracker_id": TRACKERS.index(kind) + 1,
        "priority": priority,
        "priority_id": PRIORITIES.index(priority) + 1,
        "assignee": name,
        "assignee_id": user_id(name),
        "subject": f"{rng.choice(SUBJECTS)} {rng.choice(PLACES)}",
    }


def bugs_of_version(rng: random.Random, world: Tracker, project: Project) -> Parameters:
    """How many open bugs an open version has."""
    version = rng.choice(project.versions[1:])
    found = [one for one in _open(world, project) if one.version == version and one.tracker == "Bug"]
    return {"version": version, "version_id": version_id(project, version), "answer": str(len(found))}


def issues_of_member(rng: random.Random, world: Tracker, project: Project) -> Parameters:
    """How many open issues a developer has."""
    member = rng.choice(project.developers)
    return {"member": member, "answer": str(sum(one.assignee == member for one in _open(world, project)))}


def largest_estimate(rng: random.Random, world: Tracker, project: Project) -> Parameters:
    """The one open issue of a version whose estimate is the largest."""
    found = {}
    for version in project.versions[1:]:
        issues = [one for one in _open(world, project) if one.version == version and one.estimate]
        hours = sorted((one.estimate or 0.0 for one in issues), reverse=True)
        if len(hours) > 1 and hours[0] != hours[1]:
            found[version] = max(issues, key=lambda one: one.estimate or 0.0).number
    if not found:
        raise ValueError(f"{project.name}: no version has one issue with the largest estimate")
    version = rng.choice(list(found))
    return {"version": version, "version_id": version_id(project, version), "answer": str(found[version])}


def two_issues(rng: random.Random, world: Tracker, project: Project) -> Parameters:
    """Two open issues that are not related."""
    issues = _open(world, project)
    while True:
        first, second = rng.sample(issues, 2)
        if first.number != second.related and second.number != first.related:
            return {"number": first.number, "subject": first.subject, "other": second.number}


def a_news_item(rng: random.Random, world: Tracker, project: Project) -> Parameters:
    """Title and text of a news item."""
    return {"title": f"{rng.choice(TITLES)} {rng.choice(PLACES)}", "text": rng.choice(NOTES)}


def an_item(rng: random.Random, world: Tracker, project: Project) -> Parameters:
    """A news item, and a comment on it."""
    item = rng.choice(project.news)
    return {"news": item.number, "title": item.title, "text": rng.choice(NOTES)}


def a_version(rng: random.Random, world: Tracker, project: Project) -> Parameters:
    """Name and date of a new version."""
    return {"name": rng.choice(VERSIONS), "on": f"2027-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"}


def an_open_version(rng: random.Random, world: Tracker, project: Project) -> Parameters:
    """An open version."""
    name = rng.choice(project.versions[1:])
    return {"version": name, "version_id": version_id(project, name)}


def a_category(rng: random.Random, world: Tracker, project: Project) -> Parameters:
    """Name of a new category."""
    return {"name": rng.choice(CATEGORIES)}


def a_new_page(rng: random.Random, world: Tracker, project: Project) -> Parameters:
    """Title and text of a new page of the wiki."""
    return _texts(rng) | _titled(rng.choice(PAGES))


def a_page(rng: random.Random, world: Tracker, project: Project) -> Parameters:
    """A page of the wiki, and another text for it."""
    title = rng.choice(project.pages[1:]).title
    return _texts(rng) | _titled(title) | {"page": page_id(project, title)}


def a_description(rng: random.Random, world: Tracker, project: Project) -> Parameters:
    """Another description of the project."""
    return {"text": rng.choice(TEXTS)}


def a_newcomer(rng: random.Random, world: Tracker, project: Project) -> Parameters:
    """Somebody who is not a member, and a role."""
    taken = {*project.developers, *project.reporters, ACTOR}
    name, role = rng.choice([name for name in people() if name not in taken]), rng.choice(("Developer", "Reporter"))
    return {"person": name, "user_id": user_id(name), "role": role, "role_id": ROLES[role]}


def another_project(rng: random.Random, project: Project, issue: Issue) -> Parameters:
    """A project that the issue is not in."""
    other = rng.choice([one for one in tracker().projects if one.number != project.number])
    return {"label": other.name, "value": other.number}


def _open(world: Tracker, project: Project) -> list[Issue]:
    return [issue for issue in world.issues if issue.project == project.number - 1 and issue.is_open]


def _texts(rng: random.Random) -> Parameters:
    return {"text": f"{rng.choice(TEXTS)} {rng.choice(NOTES)}"}


def _titled(title: str) -> Parameters:
    return {"title": title, "heading": title.replace("_", " ")}
