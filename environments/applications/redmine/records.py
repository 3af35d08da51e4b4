"""Records of the tracker's start state, as the task templates see them."""

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict

TRACKERS = ("Bug", "Feature", "Support")
STATUSES = ("New", "In Progress", "Resolved", "Feedback", "Closed", "Rejected")
PRIORITIES = ("Low", "Normal", "High", "Urgent", "Immediate")
ACTIVITIES = ("Design", "Development")
CLOSED = ("Closed", "Rejected")


class Model(BaseModel):
    """A part of the start state."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Comment(Model):
    """A note on an issue."""

    author: str
    text: str
    at: datetime


class Entry(Model):
    """Time that somebody spent on an issue."""

    user: str
    hours: float
    activity: str
    on: date


class Issue(Model):
    """An issue. Example: `Issue(number=17, project=2, tracker="Bug", subject="Payments is empty on ...", ...)`."""

    number: int
    """Id in the database."""
    project: int
    """Place of its project, from 0."""
    tracker: str
    subject: str
    description: str
    status: str
    priority: str
    author: str
    assignee: str | None
    category: str | None
    version: str | None
    start: date
    due: date | None
    estimate: float | None
    done: int
    at: datetime
    watchers: tuple[str, ...]
    comments: tuple[Comment, ...]
    entries: tuple[Entry, ...]
    related: int | None
    """An issue of the same project with a lower number, to which it is related."""

    @property
    def is_open(self) -> bool:
        """True unless it is closed or rejected."""
        return self.status not in CLOSED

    @property
    def hours(self) -> float:
        """Time spent on it."""
        return sum(entry.hours for entry in self.entries)


class Page(Model):
    """A page of a wiki."""

    title: str
    text: str


class News(Model):
    """A news item."""

    number: int
    title: str
    summary: str
    text: str
    author: str
    at: datetime


class Project(Model):
    """A project with all that belongs to it but its issues."""

    number: int
    identifier: str
    name: str
    description: str
    categories: tuple[str, ...]
    developers: tuple[str, ...]
    """Members to whom issues are assigned; the actor is one besides."""
    reporters: tuple[str, ...]
    versions: tuple[str, ...]
    """The first one is closed."""
    pages: tuple[Page, ...]
    news: tuple[News, ...]


class Tracker(Model):
    """The start state as the task templates see it."""

    projects: tuple[Project, ...]
    issues: tuple[Issue, ...]
