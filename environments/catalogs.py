"""Catalogues of candidates, in a drawn order: families that make tasks from seeds, or the tasks of a file."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, cycle, islice
from pathlib import Path
from typing import NamedTuple, Protocol

from agent.types import Split, Task
from environments.base import SeededEnvironment, UnknownTask
from environments.history import TaskHistory
from environments.samplers import Candidate
from environments.sampling import draw, seed_block
from environments.taskfiles.huggingface import PREFIX
from environments.taskfiles.reading import Reading, TaskFileError, open_source
from environments.taskfiles.table import TaskTable


class Draw(NamedTuple):
    """Parameters of a draw of tasks. Example: `Draw("train", iteration=3, seed=0)`."""

    split: Split
    iteration: int
    seed: int
    planned: frozenset[str] = frozenset()
    """Ids of tasks that this iteration has already; they are not drawn again."""

    @property
    def key(self) -> str:
        """Key of the random order. Held-out tasks are the same at each evaluation."""
        more = f"/after {len(self.planned)}" if self.planned else ""
        return f"{self.seed}/{self.split}/{self.iteration if self.split == 'train' else 'always'}{more}"


class Catalog(Protocol):
    """A collection from which tasks are chosen."""

    by_family: bool
    """True if history is kept by family, because each task is played once."""

    def candidates(self, wanted: Draw, history: TaskHistory, is_blocked: Callable[[str], bool]) -> list[Candidate]:
        """Returns all candidates, in order of preference. `is_blocked` is True for hosts that must not be visited."""
        ...

    def tasks(self, chosen: Sequence[Candidate], wanted: Draw) -> list[Task]:
        """Returns the tasks of the chosen candidates."""
        ...

    def canaries(self, wanted: Draw, count: int) -> list[Task]:
        """Returns `count` different canaries, tasks that nobody can do, or all where there are fewer.

        Equal arguments give equal tasks. Raises ValueError if there is none.
        """
        ...

    def find(self, task_id: str) -> Task:
        """Returns the task with this id. Raises `UnknownTask` if there is none."""
        ...


class Families:
    """Families of an environment that makes tasks from seeds: each training iteration has its own block of seeds."""

    by_family = True

    def __init__(self, environment: SeededEnvironment, domains: Sequence[str]) -> None:
        self._environment, self._domains = environment, list(domains)

    def candidates(self, wanted: Draw, history: TaskHistory, is_blocked: Callable[[str], bool]) -> list[Candidate]:
        """Returns the families, shuffled. Their sites are local, so none is blocked."""
        order = random.Random(wanted.key).sample(self._domains, len(self._domains))
        block = seed_block(wanted.split, wanted.iteration)
        planned = Counter(task_id.rpartition(".")[0] for task_id in wanted.planned)
        found = []
        for place, domain in enumerate(order):
            example = self._environment.task(domain, block[0], wanted.split)
            room = len(block) - planned[domain]
            found.append(Candidate(domain, domain, example.difficulty, host="", room=room, place=place))
        return found

    def tasks(self, chosen: Sequence[Candidate], wanted: Draw) -> list[Task]:
        """Makes a task with a new seed for each candidate."""
        made = {domain: self._made(domain, wanted) for domain in {one.key for one in chosen}}
        return [next(made[one.key]) for one in chosen]

    def canaries(self, wanted: Draw, count: int) -> list[Task]:
        """Makes canaries from seeds, of the families in turn."""
        key = f"{wanted.key}/canaries"
        order = random.Random(key).sample(self._domains, len(self._domains))
        seeds = draw(seed_block(wanted.split, wanted.iteration), key)
        return [self._environment.canary(domain, next(seeds)) for domain in islice(cycle(order), count)]

    def find(self, task_id: str) -> Task:
        """Makes the task from its id; any family and split of the environment is allowed."""
        return self._environment.task_from_id(task_id)

    def _made(self, domain: str, wanted: Draw) -> Iterator[Task]:
        block = seed_block(wanted.split, wanted.iteration)
        for seed in draw(block, f"{wanted.key}/{domain}"):
            if (task := self._environment.task(domain, seed, wanted.split)).id not in wanted.planned:
                yield task


class FileTasks:
    """The tasks of one split in a file or dataset."""

    by_family = False

    def __init__(self, table: TaskTable) -> None:
        self._table = table

    def candidates(self, wanted: Draw, history: TaskHistory, is_blocked: Callable[[str], bool]) -> list[Candidate]:
        """Returns the tasks in random order; in training, tasks with the fewest submissions first."""
        entries = self._table.entries
        order = random.Random(wanted.key).sample(range(len(entries)), len(entries))
        if wanted.split == "train":
            order.sort(key=lambda place: history.submissions.get(entries[place].id, 0))
        shut = {host for host in {entry.host for entry in entries} if is_blocked(host)}
        return [
            Candidate(entry.id, entry.group, entry.difficulty, entry.host, room=1, place=place)
            for place in order
            if (entry := entries[place]).host not in shut and entry.id not in wanted.planned
        ]

    def tasks(self, chosen: Sequence[Candidate], wanted: Draw) -> list[Task]:
        """Reads the tasks from the file again."""
        return self._table.tasks([self._table.entries[one.place] for one in chosen])

    def canaries(self, wanted: Draw, count: int) -> list[Task]:
        """Reads the rows with `"canary": true`, in random order."""
        entries = [entry for entry in self._table.canaries if entry.id not in wanted.planned]
        if not self._table.canaries:
            raise ValueError(
                'no row of the tasks has "canary": true; mark tasks that nobody can do, or set canary_tasks=0'
            )
        return self._table.tasks(random.Random(f"{wanted.key}/canaries").sample(entries, min(count, len(entries))))

    def find(self, task_id: str) -> Task:
        """Reads the task from the file again."""
        rows = chain(self._table.entries, self._table.canaries)
        entry = next((entry for entry in rows if entry.id == task_id), None)
        if entry is None:
            raise UnknownTask(f"There is no task {task_id!r} of this split among {len(self._table.entries)}.")
        return self._table.tasks([entry])[0]


def file_tasks(source: str, reading: Reading, *, group_by: str) -> FileTasks:
    """Returns the tasks of a file, cached per process and content of the file. Raises `TaskFileError`."""
    if source.startswith(PREFIX):
        stamp = (0, 0)
    else:
        try:
            status = Path(source).stat()
        except OSError as error:
            raise TaskFileError(f"there is no task file {source} ({error.strerror})") from None
        stamp = (status.st_mtime_ns, status.st_size)
    return _cached(source, reading, group_by, stamp)


@lru_cache(maxsize=4)
def _cached(source: str, reading: Reading, group_by: str, stamp: tuple[int, int]) -> FileTasks:
    return FileTasks(TaskTable(open_source(source), reading, group_by=group_by))
