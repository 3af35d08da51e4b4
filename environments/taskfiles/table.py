"""A table of tasks for sampling: a small record per row in memory; the tasks themselves are read on demand."""

from collections.abc import Sequence
from sys import intern
from typing import NamedTuple
from urllib.parse import urlsplit

from agent.types import Task
from environments.taskfiles.reading import Reading, Rejected, read_rows, refuse_rejected, task_at
from environments.taskfiles.rows import Source, TaskFileError

FIELDS = ("difficulty", "domain", "host", "split", "max_steps")
"""Fields by which tasks can be grouped, besides their labels."""


class Entry(NamedTuple):
    """One task of a table. Example: `Entry(place=417, id="17", difficulty=3, host="www.imdb.com", group="Entertainment")`."""

    place: int
    id: str
    difficulty: int
    host: str
    group: str
    """Text of the field that the table groups by; "" if there is none."""


class TaskTable:
    """All tasks of a source by position. A million of them take some 300 MB; their texts stay on the disk."""

    def __init__(self, source: Source, reading: Reading, *, group_by: str = "") -> None:
        """Reads the source once and keeps the tasks of `reading.split`. `group_by` is one of `FIELDS`, or a label's name.

        Raises `TaskFileError` if the source cannot be read, has an invalid or unplayable row, or has no task at all.
        """
        self._source, self._reading = source, reading
        self.entries: list[Entry] = []
        self.canaries: list[Entry] = []
        """Tasks that nobody can do (`Task.canary`), apart from the others."""
        rejected: list[Rejected] = []
        for place, task in read_rows(source, reading):
            if isinstance(task, Rejected):
                rejected.append(task)
            elif task.split == reading.split:
                self._check_playable(task)
                group = intern(field_of(task, group_by)) if group_by else ""
                entry = Entry(place, task.id, task.difficulty, intern(host_of(task.start_url)), group)
                (self.canaries if task.canary else self.entries).append(entry)
        refuse_rejected(source, rejected)
        if not self.entries:
            raise TaskFileError(f"{source.name} has no {reading.split} tasks")

    def tasks(self, entries: Sequence[Entry]) -> list[Task]:
        """Reads the tasks of some entries. Raises `TaskFileError` if the source has changed since it was read."""
        return [task_at(self._source, entry.place, entry.id, self._reading) for entry in entries]

    def _check_playable(self, task: Task) -> None:
        if task.environment != self._reading.environment:
            raise TaskFileError(
                f"{self._source.name}: task {task.id} is for the environment {task.environment}, not {self._reading.environment}"
            )
        if self._reading.needs_address and not task.start_url:
            raise TaskFileError(
                f"{self._source.name}: task {task.id} has no start_url; set environment.tasks.start_url"
            )


def field_of(task: Task, name: str) -> str:
    """A field or label of a task as text, "" if it has none. Example: `field_of(task, "difficulty") == "3"`."""
    if name == "host":
        return host_of(task.start_url)
    return str(getattr(task, name)) if name in FIELDS else task.labels.get(name, "")


def host_of(url: str) -> str:
    """The host of a web address in lower case, "" if there is none. Example: `host_of("https://www.IMDb.com/x") == "www.imdb.com"`."""
    return urlsplit(url).hostname or ""
