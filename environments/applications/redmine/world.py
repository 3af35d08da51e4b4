"""The tracker's start state: projects with people, versions, issues, hours and pages, the same for every episode."""

import random
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from environments.applications.redmine import ids, words
from environments.applications.redmine.records import (
    ACTIVITIES,
    CLOSED,
    PRIORITIES,
    STATUSES,
    TRACKERS,
    Comment,
    Entry,
    Issue,
    News,
    Page,
    Project,
    Tracker,
)

TITLE = "Workbench"
ACTOR = "Robin Vale"
"""The member who is signed in and manages every project."""
AUTOLOGIN = "5b7f0c2e9a416d38c1f2047be6a95d80f3c7e214"
"""Value of the cookie that signs in."""
ISSUES = 110
"""Issues of each project, on average."""
OWN = 9
"""Open issues that are assigned to the actor: all of them are on the first page."""
BEGIN, END = datetime(2025, 10, 6, 8, 0), datetime(2026, 10, 2, 17, 0)


def people() -> list[str]:
    """Names of all users, in the order of their numbers; the actor is the first."""
    return [ACTOR, *(f"{first} {last}" for first, last in zip(words.FIRST, words.LAST, strict=True))]


@lru_cache(maxsize=1)
def tracker() -> Tracker:
    """The start state: 8 projects with 880 issues, their notes and hours, 64 pages and 40 news items."""
    rng = random.Random("tracker 1")
    projects = tuple(_project(rng, place, theme) for place, theme in enumerate(words.THEMES))
    return Tracker(projects=projects, issues=_issues(rng, projects))


def world() -> dict[str, Any]:
    """Everything that is seeded, as JSON, with the ids by which the tasks know it."""
    known = {
        "title": TITLE,
        "people": people(),
        "autologin": AUTOLOGIN,
        "begin": BEGIN.isoformat(),
        "ids": {kind: [list(one) for one in rows] for kind, rows in ids.ids(tracker(), people()).items()},
    }
    return known | tracker().model_dump(mode="json")


def _project(rng: random.Random, place: int, theme: words.Theme) -> Project:
    members = rng.sample(people()[1:], 10)
    titles = rng.sample(words.NEWS, 5)
    return Project(
        number=place + 1,
        identifier=theme.identifier,
        name=theme.name,
        description=theme.description,
        categories=theme.parts,
        developers=tuple(members[:6]),
        reporters=tuple(members[6:]),
        versions=words.RELEASES,
        pages=tuple(Page(title=title, text=_sentences(rng, words.PARAGRAPHS, 4)) for title in ("Wiki", *words.PAGES)),
        news=tuple(
            News(
                number=place * 5 + number,
                title=title,
                summary=rng.choice(words.PARAGRAPHS),
                text=_sentences(rng, words.PARAGRAPHS, 3),
                author=rng.choice(members),
                at=END - timedelta(days=200 - 30 * number, hours=place),
            )
            for number, title in enumerate(titles, start=1)
        ),
    )


def _issues(rng: random.Random, projects: tuple[Project, ...]) -> tuple[Issue, ...]:
    count = ISSUES * len(projects)
    subjects: set[str] = set()
    newest: dict[int, int] = {}
    own = set(rng.sample(range(count // 2, count), OWN))
    issues = []
    for place in range(count):
        project = rng.choice(projects)
        at = BEGIN + (END - BEGIN) * place / count
        made = _issue(rng, project, place + 1, at.replace(microsecond=0), subjects, newest.get(project.number))
        newest[project.number] = made.number
        if place in own:
            made = made.model_copy(update={"assignee": ACTOR, "status": rng.choice(STATUSES[:2]), "version": None})
        issues.append(made)
    return tuple(issues)


def _issue(
    rng: random.Random, project: Project, number: int, at: datetime, subjects: set[str], earlier: int | None
) -> Issue:
    tracker = rng.choices(TRACKERS, weights=(5, 3, 2))[0]
    category = rng.choice(project.categories)
    version = rng.choice((None, None, *project.versions))
    status = rng.choices(STATUSES, weights=(5, 4, 2, 2, 6, 1))[0]
    if version == project.versions[0]:
        status = "Closed"
    team = (*project.developers, *project.reporters)
    assignee = rng.choice((None, *project.developers)) if status == "New" else rng.choice(project.developers)
    start = at.date()
    return Issue(
        number=number,
        project=project.number - 1,
        tracker=tracker,
        subject=_subject(rng, tracker, category, subjects),
        description=_sentences(rng, words.DESCRIPTIONS, 2),
        status=status,
        priority=rng.choices(PRIORITIES, weights=(3, 8, 4, 2, 1))[0],
        author=rng.choice(team),
        assignee=assignee,
        category=rng.choice((category, category, None)),
        version=version,
        start=start,
        due=start + timedelta(days=rng.randint(10, 300)) if rng.random() < 0.5 else None,
        estimate=rng.randint(1, 40) / 2 if rng.random() < 0.6 else None,
        done=100 if status in CLOSED else 10 * rng.randrange(1, 9) if status != "New" else 0,
        at=at,
        watchers=tuple(sorted(rng.sample(team, rng.choice((0, 0, 1, 2))))),
        comments=tuple(
            Comment(author=rng.choice(team), text=text, at=at + timedelta(hours=5 + 20 * place))
            for place, text in enumerate(rng.sample(words.COMMENTS, rng.choice((0, 0, 1, 2, 3))))
        ),
        entries=tuple(
            Entry(
                user=rng.choice(project.developers),
                hours=rng.randint(1, 24) / 4,
                activity=rng.choice(ACTIVITIES),
                on=start + timedelta(days=place),
            )
            for place in range(rng.choice((0, 0, 1, 2, 3)) if status != "New" else 0)
        ),
        related=earlier if rng.random() < 0.1 else None,
    )


def _subject(rng: random.Random, tracker: str, part: str, taken: set[str]) -> str:
    """A subject that no other issue has."""
    while True:
        if tracker == "Bug":
            subject = f"{part}: {rng.choice(words.SYMPTOMS)} {rng.choice(words.CONDITIONS)}"
        else:
            pattern = rng.choice(words.WISHES if tracker == "Feature" else words.QUESTIONS)
            mark = "?" if tracker == "Support" else ""
            subject = f"{pattern.format(part=part.lower())} {rng.choice(words.FOR_WHOM)}{mark}"
        if subject not in taken:
            taken.add(subject)
            return subject


def _sentences(rng: random.Random, sentences: tuple[str, ...], count: int) -> str:
    return " ".join(rng.sample(sentences, count))
